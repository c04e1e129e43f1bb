"""TLS of PostgreSQL connections, configured by libpq's options."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from backends.url_parts import refusal

TLS = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
"""libpq's options of TLS."""


def tls_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return asyncpg's arguments for TLS. asyncpg accepts libpq's options only as parts of a URL."""
    tls = {name: given[name] for name in TLS if name in given}
    if not tls:
        return {}
    root = tls.get("sslrootcert")
    mode = tls.get("sslmode") or (
        "verify-full" if root == "system" else os.environ.get("PGSSLMODE", "prefer")
    )
    if mode == "disable" and len(tls) > 1:
        raise refusal(
            "sslmode", "disable leaves no use for the other options of TLS; give one or the other"
        )
    for name in ("sslrootcert", "sslcrl"):
        if name in tls and mode in {"allow", "prefer"}:
            raise refusal(name, "needs a sslmode that looks at certificates; add sslmode=verify-full")
    if root == "system":
        if mode != "verify-full":
            raise refusal("sslrootcert", "system needs sslmode=verify-full")
        return {"ssl": _system_context(tls), "direct_tls": tls.get("sslnegotiation") == "direct"}
    if mode in {"verify-ca", "verify-full"} and not _has_root_certificate(tls):
        raise refusal(
            "sslmode",
            f"{mode} needs certificates to trust; add sslrootcert=system for those of the system, or "
            "sslrootcert=/path/to/file",
        )
    return {"dsn": f"postgresql://?{urlencode(tls, quote_via=quote)}"}


def _has_root_certificate(tls: dict[str, str]) -> bool:
    """Return whether a root certificate is configured; libpq's default is in the user's home folder."""
    named = tls.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    return bool(named) or (Path.home() / ".postgresql/root.crt").is_file()


def _system_context(tls: dict[str, str]) -> ssl.SSLContext:
    """Return a context with the system's root certificates.

    asyncpg does not support libpq's `sslrootcert=system`.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    for option, attribute in (
        ("ssl_min_protocol_version", "minimum_version"),
        ("ssl_max_protocol_version", "maximum_version"),
    ):
        if option in tls:
            setattr(context, attribute, ssl.TLSVersion[tls[option].replace(".", "_")])
    try:
        if "sslcert" in tls:
            context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), tls.get("sslpassword", ""))
        if "sslcrl" in tls:
            context.load_verify_locations(tls["sslcrl"])
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    except (OSError, ValueError) as exc:
        raise refusal("sslcert", f"the certificate, its key or the sslcrl can't be used: {exc}") from None
    return context
