"""HTTP in general: unknown paths and methods, CORS, the health check."""

from __future__ import annotations

from itertools import product

import httpx2
import pytest

from tests.api.failing_backends import serve_without_items
from tests.api.responses import NO_SUCH_METHOD, NO_SUCH_PATH, Refusal, assert_ok, assert_refused
from tests.api.service import Account, Service, as_json, serve
from tests.provision import Provision

ORIGIN = "http://localhost:5173"
FOREIGN = (
    "http://evil.example",
    "null",
    f"{ORIGIN}.evil.example",
    "https://localhost:5173",
    "http://localhost",
)
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# What a browser sends besides what the page sets: tracing, and what libraries add by themselves.
TRACING = "authorization,baggage,sentry-trace,traceparent,tracestate,x-datadog-trace-id,x-requested-with"


def preflight(
    origin: str, method: str = "DELETE", headers: str = "authorization,content-type"
) -> dict[str, str]:
    """Return the headers with which a browser asks whether it may."""
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


def refused_preflight(what: str) -> Refusal:
    """Return the refusal that names what is not allowed."""
    return Refusal(400, f"Disallowed CORS {what}", "bad_request")


def words(header: str) -> set[str]:
    """Split a header at its commas."""
    return {word.strip() for word in header.split(",")}


async def test_health_check_is_true(service: Service) -> None:
    """For anyone, with a broken token as well."""
    for caller in (service.anyone, service.client("broken")):
        assert_ok(await caller.get("/utils/health-check/"), True)


async def test_unknown_path_is_a_404_in_the_common_form(service: Service, user: Account) -> None:
    """With the code that every error has, signed in or not."""
    for path in (
        "/",
        "/unknown",
        "/users/me/unknown",
        "/items/x/y",
        "/users/%00/x",
        "/%F0%9F%98%80",
        "/\\",
    ):
        for caller in (service.anyone, user.http):
            for method in ("GET", "POST"):
                assert_refused(await caller.request(method, path), NO_SUCH_PATH)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/users/", {"GET", "HEAD", "POST"}),
        ("PUT", "/users/me", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", "/users/me", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("GET", "/users/me/password", {"PATCH"}),
        ("POST", "/items/x", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("GET", "/login/access-token", {"POST"}),
        ("OPTIONS", "/items/", {"GET", "HEAD", "POST"}),
        ("TRACE", "/items/", {"GET", "HEAD", "POST"}),
        ("POST", "/utils/health-check/", {"GET", "HEAD"}),
    ],
)
async def test_unknown_method_is_a_405_in_the_common_form(
    service: Service, method: str, path: str, allowed: set[str]
) -> None:
    """With the code that every error has, and every method that the path does take (RFC 9110, 15.5.6)."""
    answer = await service.anyone.request(method, path)
    assert_refused(answer, NO_SUCH_METHOD)
    assert words(answer.headers["Allow"]) == allowed


@pytest.mark.parametrize("host", ["eitherdb.example", "evil.example:81"])
async def test_path_with_or_without_its_slash_leads_to_the_right_one(service: Service, host: str) -> None:
    """By path and query only: neither is the scheme this one behind a proxy, nor the host to be trusted."""
    for asked, right in (
        ("/items?limit=1&q=%C3%A4%20b", "/items/?limit=1&q=%C3%A4%20b"),
        ("/users/me/", "/users/me"),
        ("/items/a%20b%23c/", "/items/a%20b%23c"),
        ("/login/access-token/?x=http://y", "/login/access-token?x=http://y"),
    ):
        method = "POST" if "login" in asked else "GET"
        answer = await service.anyone.request(method, asked, headers={"Host": host})
        assert (answer.status_code, answer.headers["Location"]) == (307, f"/api/v1{right}")


async def test_answers_set_no_cookie(service: Service, user: Account) -> None:
    """Bearer tokens only: nothing that a browser would send by itself."""
    for answer in (
        await service.login("user@example.com", "wrong"),
        await service.login("user@example.com", "s3cret-horse"),
        await user.http.get("/users/me"),
        await service.anyone.get("/users/me"),
    ):
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_preflight_allows_a_configured_origin(service: Service) -> None:
    """All methods, on any path; nothing with credentials."""
    assert service.settings.allowed_origins == (ORIGIN,)
    for method, path in product(METHODS, ("/items/", "/unknown")):
        answer = await service.anyone.options(path, headers=preflight(ORIGIN, method))
        assert (answer.status_code, answer.headers[ALLOW_ORIGIN]) == (200, ORIGIN)
        assert words(answer.headers["Access-Control-Allow-Methods"]) == set(METHODS)
        assert int(answer.headers["Access-Control-Max-Age"]) >= 600
        assert "Access-Control-Allow-Credentials" not in answer.headers
        asked = {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
        assert asked <= words(answer.headers["Vary"])


@pytest.mark.parametrize("asked", ["", "authorization", "X-Anything_at.all!", TRACING, "a, b ,, c"])
async def test_preflight_allows_any_header(service: Service, asked: str) -> None:
    """It says the names that were asked for: `*` would not cover `Authorization`."""
    answer = await service.anyone.options("/items/", headers=preflight(ORIGIN, headers=asked))
    assert (answer.status_code, answer.headers[ALLOW_ORIGIN]) == (200, ORIGIN)
    assert words(answer.headers["Access-Control-Allow-Headers"]) == words(asked)


@pytest.mark.parametrize("asked", ["a b", "a:b", "a, (b)", "<script>", "\xe9", "a;b"])
async def test_preflight_repeats_nothing_that_is_no_header(service: Service, asked: str) -> None:
    """No browser asks for that."""
    headers = [
        (name.encode(), value.encode("latin-1")) for name, value in preflight(ORIGIN, headers=asked).items()
    ]
    answer = await service.anyone.options("/items/", headers=headers)
    assert_refused(answer, refused_preflight("headers"))
    assert "Access-Control-Allow-Headers" not in answer.headers


async def test_preflight_allows_no_other_origin_or_method(service: Service) -> None:
    """A browser stops where the header is absent or the status is no success; the body says what it was."""
    for origin in FOREIGN:
        answer = await service.anyone.options("/items/", headers=preflight(origin))
        assert_refused(answer, refused_preflight("origin"))
        assert ALLOW_ORIGIN not in answer.headers
        assert "Origin" in words(answer.headers["Vary"])
    trace = await service.anyone.options("/items/", headers=preflight(ORIGIN, "TRACE"))
    assert_refused(trace, refused_preflight("method"))
    assert trace.headers[ALLOW_ORIGIN] == ORIGIN


async def every_kind_of_answer(
    service: Service, user: Account, origin: str
) -> list[tuple[int, httpx2.Response]]:
    """Return answers of many statuses to a browser's requests from this origin."""
    headers = {"Origin": origin}
    unreadable = {**headers, "Content-Type": "application/json"}
    taken = as_json({"email": "user@example.com", "password": "s3cret-other"})["content"]
    return [
        (200, await user.http.get("/users/me", headers=headers)),
        (400, await service.anyone.post("/users/signup", content=taken, headers=unreadable)),
        (401, await service.anyone.get("/users/me", headers=headers)),
        (403, await user.http.get("/users/", headers=headers)),
        (404, await user.http.get("/items/x", headers=headers)),
        (404, await service.anyone.get("/unknown", headers=headers)),
        (405, await service.anyone.put("/users/me", headers=headers)),
        (422, await user.http.get("/items/?limit=x", headers=headers)),
        (422, await user.http.post("/items/", content=b"{", headers=unreadable)),
    ]


async def test_every_answer_may_be_read_by_a_configured_origin(service: Service, user: Account) -> None:
    """Errors too: the dashboard shows their text. Caches learn that the answer depends on the origin."""
    for status, answer in await every_kind_of_answer(service, user, ORIGIN):
        assert (answer.status_code, answer.headers.get(ALLOW_ORIGIN)) == (status, ORIGIN)
        assert "Origin" in words(answer.headers["Vary"])
        readable = words(answer.headers["Access-Control-Expose-Headers"])
        assert readable == {"Allow", "ETag", "Retry-After", "Subject", "WWW-Authenticate"}


async def test_no_answer_may_be_read_by_another_origin(service: Service, user: Account) -> None:
    """The header is absent, and without it a browser shows nothing."""
    for origin in FOREIGN:
        for _, answer in await every_kind_of_answer(service, user, origin):
            assert ALLOW_ORIGIN not in answer.headers


async def test_unexpected_error_may_be_read_by_a_configured_origin(
    provision: Provision, service: Service
) -> None:
    """The id of a 500 reaches the person who has to report it, from a configured origin only."""
    async with serve_without_items(provision, service, RuntimeError()) as account:
        for origin, allowed in ((ORIGIN, ORIGIN), (FOREIGN[0], None)):
            answer = await account.http.get("/items/", headers={"Origin": origin})
            assert (answer.status_code, answer.headers.get(ALLOW_ORIGIN)) == (500, allowed)


async def test_origins_are_those_of_the_settings(provision: Provision, service: Service) -> None:
    """Configured ones replace the default."""
    origins = ("https://one.example", "https://two.example:8443")
    user = (await service.user()).user
    async with serve(provision, cors_origins=origins, first_superuser=user.email) as running:
        http = running.sign_in(user).http
        for origin in origins:
            answer = await http.get("/users/me", headers={"Origin": origin})
            assert answer.headers[ALLOW_ORIGIN] == origin
        answer = await http.get("/users/me", headers={"Origin": ORIGIN})
        assert ALLOW_ORIGIN not in answer.headers
