"""The setting ROOT_PATH: the path under which a reverse proxy serves the API."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import AfterValidator

# RFC 3986, section 3.3, without the special characters of HTML and JavaScript: pages contain the path.
_PATH = re.compile(r"(/([A-Za-z0-9\-._~!$+,;=:@]|%[0-9A-Fa-f]{2})+)+")


def _check_root_path(value: str) -> str:
    """Return the path percent-encoded and without a trailing slash; `/` becomes empty."""
    path = re.sub(r"[^\x00-\x7f]+", lambda match: quote(match[0]), value.strip().rstrip("/"))
    if path and not (_PATH.fullmatch(path) and _is_plain(path)):
        raise ValueError(
            "no path; give where the proxy shows the service, such as /shop: without scheme, host or query"
        )
    return path


def _is_plain(path: str) -> bool:
    """Return whether every client and proxy decodes the path to the same printable text."""
    try:
        segments = [unquote(segment, errors="strict") for segment in path.split("/")]
    except UnicodeDecodeError:
        return False
    # Browsers remove dot segments, and some proxies decode an encoded slash.
    return all(
        segment.isprintable() and "/" not in segment and segment not in {".", ".."} for segment in segments
    )


RootPath = Annotated[str, AfterValidator(_check_root_path)]
"""Empty, or a percent-encoded path with a leading slash and no trailing slash."""
