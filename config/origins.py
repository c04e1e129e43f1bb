"""Parsers and validators for lists, origins and hosts in settings."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address

_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")


def split(text: str, error: str) -> object:
    """Parse `a,b` or `["a", "b"]`; raise ValueError with the text `error` for invalid JSON."""
    if not text.strip().startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(error) from None


def is_origin(origin: str) -> bool:
    """Return whether a browser may send this origin: scheme, host and an optional port."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and 1 <= int(match["port"] or 80) <= 65535


def is_host(text: str) -> bool:
    """Return whether the text is a host name or an IP address, without scheme, port and user."""
    try:
        ip_address(text)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text) is not None
    return True
