"""Lists, origins and hosts as settings give them."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address

_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")


def split(text: str, otherwise: str) -> object:
    """Read `a,b` and `["a", "b"]`; where it is neither, say `otherwise`."""
    if not text.strip().startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(otherwise) from None


def is_origin(origin: str) -> bool:
    """Tell whether it is what a browser sends as one: scheme, host, and a port unless it is the usual."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and 1 <= int(match["port"] or 80) <= 65535


def is_host(text: str) -> bool:
    """Tell whether it is a host's name or IP address: no scheme, no port, no user."""
    try:
        ip_address(text)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text) is not None
    return True
