"""What a request may be in size, and how deep a body is nested without reading it as JSON."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from api.errors import MAX_HEADER_BYTES, MAX_JSON_DEPTH, MAX_QUERY_BYTES
from api.request_limits import MAX_FORM_BYTES, BoundedRequest, RequestLimits, _is_too_deep

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


# -- sizes ---------------------------------------------------------------------------------------

LIMIT = 10


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


async def status_of(
    pieces: Sequence[bytes] = (b"",), *, query: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = ()
) -> int:
    """Send a request to an application whose bodies have at most `LIMIT` bytes; return the status."""
    sent: list[Message] = []
    received = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1}
        for n, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": query}
    try:
        await RequestLimits(asgi, max_body_bytes=LIMIT)(scope, receive, send)
    except HTTPException as exc:
        return exc.status_code
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (b"10", 200),
        (b"11", 413),
        (b"0" * 25 + b"1", 200),  # as much as zeros can say
        (b"9" * 5_000, 413),  # a number that Python would not parse
        (b"x", 200),  # for the server to refuse
    ],
)
async def test_announced_length_is_looked_at_first(length: bytes, status: int) -> None:
    """The limit itself is allowed."""
    assert await status_of(headers=[(b"content-length", length)]) == status


@pytest.mark.parametrize(
    ("pieces", "status"), [([b"x" * 10], 200), ([b"x" * 9, b"x"], 200), ([b"x" * 9, b"xx"], 413)]
)
async def test_body_is_counted_in_all_its_pieces(pieces: list[bytes], status: int) -> None:
    """Whatever it says that its length is."""
    assert await status_of(pieces, headers=[(b"content-length", b"1")]) == status


async def test_query_and_headers_may_be_as_long_as_their_limits() -> None:
    """Of headers, names and values count together."""
    assert await status_of(query=b"x" * MAX_QUERY_BYTES) == 200
    assert await status_of(query=b"x" * (MAX_QUERY_BYTES + 1)) == 414
    half = MAX_HEADER_BYTES // 2
    assert await status_of(headers=[(b"x", b"y" * (half - 1)), (b"z" * half, b"")]) == 200
    assert await status_of(headers=[(b"x", b"y" * (half - 1)), (b"z" * half, b"1")]) == 431


async def test_what_is_no_request_passes_through() -> None:
    """A lifespan has no size."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        del message

    scope = {"type": "lifespan"}
    await RequestLimits(app, max_body_bytes=LIMIT)(scope, receive, send)
    assert seen == [scope, receive, send]


# -- forms and JSON ------------------------------------------------------------------------------


def request_of(body: bytes, content_type: str) -> BoundedRequest:
    """Return a request with this body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    return BoundedRequest({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.mark.parametrize(
    "charset",
    ["utf-8", "UTF-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "ISO-8859-1"],
)
async def test_form_in_a_usual_charset_is_read(charset: str) -> None:
    """By any of its names, in any case."""
    part = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nada\r\n--x--\r\n'
    form = await request_of(part, f"multipart/form-data; boundary=x; charset={charset}").form()
    assert dict(form) == {"username": "ada"}


async def test_form_may_be_as_long_as_its_limit() -> None:
    """And no byte longer."""
    assert MAX_FORM_BYTES == 16_384
    kind = "application/x-www-form-urlencoded"
    fits = b"a=" + b"x" * (MAX_FORM_BYTES - 2)
    assert len(str((await request_of(fits, kind).form())["a"])) == MAX_FORM_BYTES - 2
    with pytest.raises(HTTPException) as caught:
        await request_of(fits + b"x", kind).form()
    assert caught.value.status_code == 413


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
async def test_json_in_utf_8_is_read(encoding: str) -> None:
    """With or without a byte order mark, which RFC 8259 lets a parser ignore."""
    assert await request_of('{"a": "é"}'.encode(encoding), "application/json").json() == {"a": "é"}


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
async def test_json_in_another_encoding_is_refused(encoding: str) -> None:
    """Before anything of it is parsed."""
    with pytest.raises(json.JSONDecodeError, match="not in UTF-8"):
        await request_of('{"a": "b"}'.encode(encoding), "application/json").json()
