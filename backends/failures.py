"""Error messages for operators: the meaning of a driver's error and its remedy.

Each backend has a table that maps its error codes to `Failure`. Every message contains the meaning, the
server's own message and the remedy. Messages go to logs and operators, never to clients of the API. Users'
data is removed from the server's message first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from backends.errors import BackendError, Conflict, ConnectionLost, PermissionDenied, Unavailable

Kind = Literal["conflict", "unavailable", "denied", "lost", "failed"]

MAX_WORDS = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of failure.

    Attributes:
        kind: The kind of error to raise. Conflicts are retried.
        meaning: A description of the failure.
        remedy: The action for an operator.
    """

    kind: Kind
    meaning: str
    remedy: str


ERRORS: dict[Kind, type[BackendError]] = {
    "conflict": Conflict,
    "unavailable": Unavailable,
    "denied": PermissionDenied,
    "lost": ConnectionLost,
    "failed": BackendError,
}

COLLISION = Failure("conflict", "concurrent changes collided", "try again")
UNKNOWN = Failure("failed", "the database failed", "its log may say more")


def error_for(failure: Failure, code: str, words: str) -> BackendError:
    """Return the error for a failure, with the code and the server's message after the meaning."""
    said = ": ".join(filter(None, (code, one_line(words))))
    meaning = f"{failure.meaning} ({said})" if said else failure.meaning
    return ERRORS[failure.kind](f"{meaning}; {failure.remedy}")


def one_line(words: str) -> str:
    """Return a message as one line of bounded length, with passwords in URLs masked."""
    line = re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", " ".join(words.split()))
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}…"


# -- connections ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """The names of a product and of its TLS options in DATABASE_URL."""

    product: str
    tls: str
    certificates: str
    client_certificate: str


# Patterns for the drivers' messages, in this order. The drivers have no codes for these errors; they quote
# the operating system and OpenSSL as text.
_CONNECTING: tuple[tuple[str, str, str], ...] = (
    (
        r"Errno -|name resolution|not known|nodename|getaddrinfo|idna|DNS|resolver",
        "the host name is unknown",
        "check the host in DATABASE_URL, and this machine's DNS",
    ),
    (
        r"Errno (111|61)\b|refused",
        "nothing listens at this address",
        "start the server, or check host and port in DATABASE_URL",
    ),
    (
        r"Errno (101|113|51|65)\b|unreachable",
        "the network is unreachable",
        "check the host in DATABASE_URL, and network and firewall",
    ),
    (
        r"Errno 13\b",
        "permission to open the socket was denied",
        "let the user of this process access its folder",
    ),
    (r"Errno (2|20)\b", "the socket does not exist", "start the server, or check the path in DATABASE_URL"),
    (
        r"mismatch, certificate|doesn't match|not valid for",
        "the server's certificate is for another host name",
        "use a host name of the certificate, or install a certificate for this host name",
    ),
    (r"certificate has expired", "the server's certificate has expired", "renew it on the server"),
    (
        r"not yet valid",
        "the server's certificate is not valid yet",
        "check the clocks of both machines",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not trusted",
        "name the file with the certificate of its authority: {certificates}",
    ),
    (
        r"\[X509|\[PEM|PEM lib|KEY_VALUES_MISMATCH|BAD_DECRYPT|BAD_PASSWORD|NO_START_LINE",
        "a certificate or key that DATABASE_URL names can't be used",
        "give files in PEM format, a certificate with its own key",
    ),
    (
        r"CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN",
        "the server does not accept the certificate of this client",
        "give one that it trusts: {client_certificate}",
    ),
    (
        r"rejected SSL upgrade",
        "the server refuses TLS, or is not {product}",
        "check host and port in DATABASE_URL; for a server without TLS omit {tls}",
    ),
    (
        r"\[SSL|SSL handshake|TLS",
        "the TLS handshake failed",
        "check that the server at this host and port is {product} with TLS, or omit {tls}",
    ),
    (
        r"closed|connection_lost|reset|Errno (104|54|32)\b|Got response id|Message length|opcode",
        "the server closed the connection, or is not {product}",
        "check host and port in DATABASE_URL; if the server demands TLS, add {tls}",
    ),
    (
        r"replica set name",
        "no member of this replica set responds",
        "check replicaSet and the hosts in DATABASE_URL against rs.status() on the server",
    ),
    (
        r"[Pp]rimary|replica set",
        "the replica set has no primary",
        "check rs.status() on its members; if it is not initiated, run rs.initiate()",
    ),
)
_NO_ANSWER = (
    "the server did not answer in time",
    "check that {product} listens there, and the firewall, or raise DB_CONNECT_TIMEOUT_SECONDS",
)


def connection_error(words: str, terms: ProductTerms, *, kind: Kind) -> BackendError:
    """Return the error for a failed connection attempt.

    Args:
        words: The driver's message; empty if the server did not respond.
        terms: The terms of the product.
        kind: The kind of error to return.
    """
    line = one_line(re.sub(r" ?\(configured timeouts:[^)]*\)", "", words))
    meaning, remedy = next(
        ((meaning, remedy) for pattern, meaning, remedy in _CONNECTING if re.search(pattern, line)),
        _NO_ANSWER,
    )
    names = {name: getattr(terms, name) for name in ProductTerms.__slots__}
    return error_for(Failure(kind, meaning.format(**names), remedy.format(**names)), "", line)
