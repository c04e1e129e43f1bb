"""Parsing of database URLs into their parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from backends.errors import BackendError

ENCODE = "write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25 in a user, password or name"

Host = tuple[str | None, int | None]
"""A host name, address or socket path, and a port; None for the driver's default."""


@dataclass(frozen=True, slots=True)
class UrlParts:
    """The parts of a URL, still percent-encoded."""

    scheme: str
    user: str | None
    password: str | None
    hosts: str
    path: str
    query: str


def refusal(option: str, reason: str) -> BackendError:
    """Return the error that refuses an option by name."""
    return BackendError(f"the option {option}: {reason}")


_PORT = re.compile(r"[0-9]{0,5}[/?#]")


def split_url(url: str) -> UrlParts:
    """Split a URL.

    A password may contain reserved characters if it can be distinguished from a port and a path.

    Raises:
        BackendError: The URL is ambiguous.
    """
    scheme, _, rest = url.partition("://")
    account = re.match(r"[^:/?#@]*:([^@]*)@", rest)
    if account and not _PORT.match(account[1]):
        end = account.end()
        while "@" in rest[end:].partition("/")[0].partition("?")[0]:
            end = rest.index("@", end) + 1
        given, rest = rest[: end - 1], rest[end:]
    else:
        authority = re.split("[/?#]", rest, maxsplit=1)[0]
        given, rest = authority.rpartition("@")[0], rest[authority.rfind("@") + 1 :]
    before, _, query = rest.partition("?")
    hosts, slash, path = before.partition("/")
    if "@" in path or "#" in rest:
        raise BackendError(f"the URL can't be parsed: {ENCODE}")
    user, colon, password = given.partition(":")
    return UrlParts(
        scheme=scheme,
        user=user or None,
        password=password if colon else None,
        hosts=hosts,
        path=slash + path,
        query=query,
    )


def decoded(text: str) -> str:
    """Decode percent-encoded text. A percent sign without hex digits stands for itself.

    Raises:
        BackendError: The decoded bytes are not UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BackendError("the URL can't be parsed: percent-encoded text must be UTF-8") from None


def parse_hosts(hosts: str) -> tuple[Host, ...]:
    """Parse a comma-separated list of `name`, `name:port`, `[IPv6]:port` or encoded socket paths.

    Raises:
        BackendError: A host has none of these forms.
    """
    return tuple(_host(host) for host in hosts.split(","))


def _host(host: str) -> Host:
    if host.startswith("/"):
        return host, None
    match = re.fullmatch(
        r"(\[(?P<ip>[0-9A-Fa-f:.]+(%\w+)?)\]|(?P<name>[^\[\]:]*))(:(?P<port>[^:]*))?", host
    )
    if match is None:
        raise BackendError("the URL can't be parsed: an IPv6 address stands in brackets: [::1]:5432")
    name = match["ip"] or decoded(match["name"])
    return name or None, parse_port(match["port"]) if match["port"] else None


def parse_port(digits: str) -> int:
    """Parse a port.

    Raises:
        BackendError: The text is not a port number.
    """
    if not re.fullmatch("[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise BackendError(f"the URL can't be parsed: a port is a number from 1 to 65535; {ENCODE}")
    return int(digits)


def split_query(query: str) -> list[tuple[str, str]]:
    """Return the decoded names and values of a query. A plus sign stands for itself.

    Raises:
        BackendError: An option has no value.
    """
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
            raise BackendError(f"the URL's options can't be parsed: give name=value, joined by &; {ENCODE}")
        if not value:
            raise refusal(name, "has no value; give one, or leave the option out")
        pairs.append((name, decoded(value)))
    return pairs
