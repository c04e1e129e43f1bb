"""Headers that every answer gets, on the least of all applications."""

from __future__ import annotations

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from api.headers import SecurityHeaders

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
POLICY = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
NOTHING = {"cache-control": "no-store"}
TAGGED = {"cache-control": "private, no-cache"}


def headers_of(response: Response, *, strict_transport: bool = False) -> dict[str, str]:
    """Return the headers with which the response is sent, without its length."""
    client = TestClient(
        SecurityHeaders(response, strict_transport=strict_transport), follow_redirects=False
    )
    headers = dict(client.get("/").headers)
    assert headers.pop("content-length") == "0"
    return headers


def test_answer_gets_all_of_them() -> None:
    """Nobody keeps it, and it may load nothing."""
    assert headers_of(Response()) == ALWAYS | POLICY | NOTHING


def test_answer_with_a_tag_is_kept_and_asked_for_again() -> None:
    """By the client alone."""
    assert headers_of(Response(headers={"ETag": '"1"'})) == ALWAYS | POLICY | TAGGED | {"etag": '"1"'}


@pytest.mark.parametrize("name", ["Cache-Control", "Content-Security-Policy"])
def test_answer_keeps_its_own(name: str) -> None:
    """It is not sent twice."""
    assert headers_of(Response(headers={name: "own"})) == ALWAYS | POLICY | NOTHING | {name.lower(): "own"}


def test_deployment_demands_tls() -> None:
    """For two years, of all hosts below."""
    expected = {"strict-transport-security": "max-age=63072000; includeSubDomains"}
    assert headers_of(Response(), strict_transport=True) == ALWAYS | POLICY | NOTHING | expected


@pytest.mark.parametrize(
    ("status", "location"),
    [(307, "/items/?limit=1"), (302, "http://inner:8000/items/?limit=1")],
)
def test_redirect_to_a_slash_names_no_host(status: int, location: str) -> None:
    """Behind a proxy it would be another than the client's; other redirects are left alone."""
    response = Response(status_code=status, headers={"Location": "http://inner:8000/items/?limit=1"})
    assert headers_of(response)["location"] == location


async def test_what_is_no_request_passes_through() -> None:
    """A lifespan has no headers."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        del message

    scope = {"type": "lifespan"}
    await SecurityHeaders(app, strict_transport=True)(scope, receive, send)
    assert seen == [scope, receive, send]
