"""The middleware that answers what nothing else caught, on applications that fail."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from api.cors import Cors
from api.errors import UnexpectedErrors


def failing(*, at: str) -> UnexpectedErrors:
    """Return an application that fails at once or when it has begun to answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        if at == "body":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("as planned")

    return UnexpectedErrors(app)


def test_failure_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """With a 500, and the reason in the log only."""
    answer = TestClient(failing(at="start")).get("/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "as planned" not in answer.text
    assert "as planned" in caplog.text


def test_failure_in_the_middle_of_an_answer_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    """A second answer can't be sent; the server closes the connection, so that the client sees an error."""
    with pytest.raises(OSError, match="as planned"):
        TestClient(failing(at="body")).get("/")
    assert "as planned" in caplog.text


async def test_what_is_no_request_passes_through() -> None:
    """A failure of the lifespan is the server's to tell."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "lifespan"}
    for app in (failing(at="start"), Cors(failing(at="start"), allow_origins=())):
        with pytest.raises(OSError, match="as planned"):
            await app(scope, receive, send)
    assert sent == []


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        (None, {"vary": "Origin"}),
        ("https://app.example", {"vary": "Origin", "access-control-allow-origin": "https://app.example"}),
        ("https://other.example", {"vary": "Origin"}),
    ],
)
def test_answer_says_that_it_depends_on_the_origin(origin: str | None, headers: dict[str, str]) -> None:
    """Also where none is named: a cache must not give that answer to a page."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = TestClient(Cors(app, allow_origins=("https://app.example", "https://two.example")))
    answer = client.get("/", headers={} if origin is None else {"Origin": origin})
    assert dict(answer.headers) == headers
