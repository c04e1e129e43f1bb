"""How deep a body is nested, found out without reading it as JSON."""

from __future__ import annotations

import random
import re

from api.errors import MAX_JSON_DEPTH
from api.request_limits import _is_too_deep

PIECES = ["[", "{", "]", "}", "[" * 9, "{" * 9, "]" * 9, "}" * 9, '"', '"[[["', '"\\"{"', "\\", "1,", "é"]


def depth(body: bytes) -> int:
    """Return the depth by its definition: strings go, an opening bracket adds one, a closing takes one."""
    deepest = level = 0
    for char in re.sub(r'"([^"\\]|\\.)*"?', "", body.decode(), flags=re.DOTALL):
        level += (char in "[{") - (char in "]}")
        deepest = max(deepest, level)
    return deepest


def test_depth_is_found_as_it_is_defined() -> None:
    """Also of what is no JSON: closed before it is opened, or never, and strings without an end."""
    source = random.Random(20261123)  # noqa: S311 - the same bodies in every run
    found = []
    for _ in range(5_000):
        # Half of them open more than they close, so that both answers come up.
        weights = [15, 15, 5, 5] if source.random() < 0.5 else [5, 5, 5, 5]
        weights = [*weights, *weights, 2, 5, 5, 1, 5, 5]
        body = "".join(source.choices(PIECES, weights, k=source.randrange(60))).encode()
        found.append(_is_too_deep(body))
        assert found[-1] is (depth(body) > MAX_JSON_DEPTH), body
    assert 500 < sum(found) < 4_500


def test_depth_of_brackets_in_strings_is_none() -> None:
    """A text may hold more of them than may be nested."""
    assert not _is_too_deep(b'"' + b"[" * 100 + b'"')
    assert not _is_too_deep(b"]" * 100 + b"[" * (100 + MAX_JSON_DEPTH))
    assert _is_too_deep(b"]" * 100 + b"[" * (101 + MAX_JSON_DEPTH))
