"""ROOT_PATH: the path below which a reverse proxy shows the service."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import AfterValidator

# RFC 3986, section 3.3, without the characters that have a meaning in HTML or JavaScript, where it is put.
_PATH = re.compile(r"(/([A-Za-z0-9\-._~!$+,;=:@]|%[0-9A-Fa-f]{2})+)+")


def _check_root_path(value: str) -> str:
    """Return the path percent-encoded and without a slash at its end; an empty text for `/`."""
    path = re.sub(r"[^\x00-\x7f]+", lambda match: quote(match[0]), value.strip().rstrip("/"))
    if path and not (_PATH.fullmatch(path) and _is_plain(path)):
        raise ValueError(
            "no path; give where the proxy shows the service, such as /shop: without scheme, host or query"
        )
    return path


def _is_plain(path: str) -> bool:
    """Tell whether the path is the same for everybody who decodes it, and is text."""
    try:
        segments = [unquote(segment, errors="strict") for segment in path.split("/")]
    except UnicodeDecodeError:
        return False
    # Browsers remove dots, and an encoded slash is a slash to some proxies.
    return all(
        segment.isprintable() and "/" not in segment and segment not in {".", ".."} for segment in segments
    )


RootPath = Annotated[str, AfterValidator(_check_root_path)]
"""Empty, or percent-encoded, with a slash at its beginning and none at its end."""
