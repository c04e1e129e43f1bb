"""Failures behind the API: the response and the log."""

from __future__ import annotations

import logging
import re

import pytest

from api.app import create_app
from backends.errors import BackendError, Conflict, RevisionMismatch, SchemaMismatch, Unavailable
from backends.ids import new_id
from backends.protocols import Backend
from config import Settings
from tests.api.failing_backends import HalfBroken, serve_without_items, without_users
from tests.api.responses import CONFLICT, UNAVAILABLE, Refusal, assert_ok, assert_refused, shown_user
from tests.api.routes import PROTECTED
from tests.api.service import PASSWORD, Service, as_json, serve
from tests.provision import Provision, make_settings


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the API said about errors."""
    return [record for record in caplog.records if record.name == "api.errors"]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("hidden reason"), BackendError("hidden reason"), RevisionMismatch(None, "1")],
    ids=repr,
)
async def test_unexpected_error_is_a_500_with_an_id(
    provision: Provision, service: Service, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The client gets an id and nothing else; the log has it, with the request and the traceback."""
    async with serve_without_items(provision, service, error) as account:
        for method, path, body in (("GET", "/items/", {}), ("POST", "/items/", as_json({"title": "Lamp"}))):
            caplog.clear()
            answer = await account.http.request(method, path, **body)
            assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
            assert set(answer.json()) == {"detail", "code"}
            found = re.fullmatch(r"Internal server error \(id ([0-9a-f]{16})\)", answer.json()["detail"])
            assert found, answer.text
            [record] = logged(caplog)
            assert record.levelno == logging.ERROR
            assert all(word in record.getMessage() for word in (found[1], method, path))
            assert record.exc_info
            assert record.exc_info[1] is error
        assert_ok(await account.http.get("/users/me"), shown_user(account.user))


@pytest.mark.parametrize("error", [RuntimeError(), Unavailable("hidden reason")], ids=repr)
async def test_logged_error_is_one_line(
    provision: Provision, service: Service, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Nobody writes lines into the log by asking for a path with line ends in it."""
    async with serve_without_items(provision, service, error) as account:
        await account.http.get("/items/x%0AERROR%20forged%0D%E2%80%A8")
        [record] = logged(caplog)
        assert len(record.getMessage().splitlines()) == 1


@pytest.mark.parametrize("error", [RuntimeError(), Unavailable("hidden reason")], ids=repr)
async def test_logged_error_names_no_address(
    provision: Provision, service: Service, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """What failed is told by the route, in which an address is only `{email}`."""
    del service
    wrap = without_users(error)
    async with serve(provision, wrap=wrap, environment="staging", first_superuser=None) as broken:
        await broken.anyone.post("/password-recovery/lovelace@example.com")
        [record] = logged(caplog)
        assert "POST /api/v1/password-recovery/{email:path}" in record.getMessage()
        assert "lovelace" not in caplog.text


async def test_unexpected_errors_have_ids_of_their_own(provision: Provision, service: Service) -> None:
    """Two failures, two ids."""
    async with serve_without_items(provision, service, RuntimeError()) as account:
        details = {(await account.http.get("/items/")).json()["detail"] for _ in range(5)}
    assert len(details) == 5


@pytest.mark.parametrize(
    ("error", "refusal", "seconds"),
    [
        (Unavailable("hidden reason", retry_after_seconds=7), UNAVAILABLE, "7"),
        (Conflict("hidden reason"), CONFLICT, "1"),
    ],
    ids=["unavailable", "conflict"],
)
async def test_database_that_fails_is_a_503_with_retry_after(
    provision: Provision,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    refusal: Refusal,
    seconds: str,
) -> None:
    """On every route that needs it; the reason is in the log only, and is no error of the program."""
    async with serve_without_items(provision, service, error) as account:
        for route in PROTECTED:
            if route.operation.startswith("items-"):
                arguments = as_json(route.body) if route.body else {}
                path = route.path.format(item_id=new_id())
                caplog.clear()
                answer = await account.http.request(route.method, path, **arguments)
                assert_refused(answer, refusal)
                assert answer.headers["Retry-After"] == seconds
                [record] = logged(caplog)
                assert (record.levelname, record.exc_info) == ("WARNING", None)
                assert "hidden reason" in record.getMessage()


async def test_database_that_fails_lets_nobody_in(provision: Provision, service: Service) -> None:
    """Without users there is no signing in, by token or by password; the process still says it runs."""
    user = (await service.user()).user
    wrap = without_users(Unavailable("hidden reason"))
    async with serve(provision, wrap=wrap, environment="staging", first_superuser=None) as broken:
        for answer in (
            await broken.login(user.email, PASSWORD),
            await broken.sign_in(user).http.get("/users/me"),
            await broken.sign_in(user).http.get("/items/"),
            await broken.anyone.post(
                "/users/signup", **as_json({"email": "new@example.com", "password": PASSWORD})
            ),
        ):
            assert_refused(answer, UNAVAILABLE)
        assert_ok(await broken.anyone.get("/utils/health-check/"), True)


async def test_start_closes_the_backend_when_it_fails(provision: Provision, service: Service) -> None:
    """A schema that is not the code's stops the start, before anything is written."""
    broken: list[HalfBroken] = []

    def with_another_schema(backend: Backend) -> Backend:
        error = RevisionMismatch(None, "0001")
        broken.append(HalfBroken(backend, backend.users, backend.items, schema_error=error))
        return broken[0]

    with pytest.raises(SchemaMismatch):
        async with serve(provision, wrap=with_another_schema):
            pytest.fail("it started")
    assert broken[0].closed == 1
    assert await service.all_users() == []


async def test_stop_closes_the_backend(provision: Provision, service: Service) -> None:
    """What the lifespan opened it closes, once."""
    opened: list[HalfBroken] = []

    def watch(backend: Backend) -> Backend:
        opened.append(HalfBroken(backend, backend.users, backend.items))
        return opened[0]

    async with serve(provision, wrap=watch, environment="staging", first_superuser=None) as running:
        assert await running.all_users() == await service.all_users()
        assert opened[0].closed == 0
    assert opened[0].closed == 1


async def test_start_fails_when_the_backend_does() -> None:
    """A database that can't be reached is no service."""

    async def opener(_: Settings) -> Backend:
        raise Unavailable("hidden reason")

    app = create_app(make_settings(), opener=opener)
    with pytest.raises(Unavailable, match="hidden reason"):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")
