"""The first superuser, who exists once the service has started."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from tests.api.responses import INCORRECT_LOGIN, assert_ok, assert_refused, shown_user
from tests.api.service import SECRET, Service, as_json, serve
from tests.provision import Provision

EMAIL = "boss@example.com"
GIVEN = f"{SECRET}-boss"


def printed_passwords(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the passwords that were shown on the terminal since the last look."""
    return re.findall(r"^ *Password +(\S+)$", capsys.readouterr().out, flags=re.MULTILINE)


async def test_start_makes_the_superuser_with_the_given_password(
    provision: Provision, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """One active superuser, who signs in with that password; it is printed nowhere."""
    settings: dict[str, Any] = {"first_superuser": EMAIL, "first_superuser_password": SecretStr(GIVEN)}
    async with serve(provision, **settings) as running:
        token = (await running.login(EMAIL, GIVEN)).json()["access_token"]
        me = await running.client(token).get("/users/me")
        [stored] = await running.all_users()
        assert_ok(me, shown_user(stored, email=EMAIL, is_active=True, is_superuser=True, full_name=None))
    assert capsys.readouterr() == ("", "")
    assert await service.all_users() == [stored]


async def test_start_prints_a_generated_password_once(
    provision: Provision,
    service: Service,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where none is given, the one that was made is shown and works; the next start shows nothing."""
    async with serve(provision, first_superuser=EMAIL) as running:
        [password] = printed_passwords(capsys)
        assert len(password) >= 16
        assert (await running.login(EMAIL, password)).status_code == 200
    stored = await service.all_users()
    async with serve(provision, first_superuser=EMAIL) as running:
        assert (await running.login(EMAIL, password)).status_code == 200
    assert capsys.readouterr() == ("", "")
    assert password not in caplog.text
    assert await service.all_users() == stored


async def test_start_makes_another_password_each_time(
    provision: Provision, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generated passwords are not the same in two deployments."""
    for email in (EMAIL, "other@example.com"):
        async with serve(provision, first_superuser=email):
            pass
    assert len(set(printed_passwords(capsys))) == 2
    assert len(await service.all_users()) == 2


async def test_restart_changes_nothing(provision: Provision, service: Service) -> None:
    """A password that was changed since stays, whatever the settings say, as does every other field."""
    settings: dict[str, Any] = {"first_superuser": EMAIL, "first_superuser_password": SecretStr(GIVEN)}
    changed = f"{SECRET}-changed"
    async with serve(provision, **settings) as running:
        [user] = await running.all_users()
        path = f"/users/{user.id}"
        body = as_json({"full_name": "Boss", "password": changed})
        assert (await running.sign_in(user).http.patch(path, **body)).status_code == 200
    stored = await service.all_users()
    for address in (EMAIL, "BOSS@Example.com"):
        async with serve(provision, **{**settings, "first_superuser": address}) as running:
            assert await running.all_users() == stored
            assert (await running.login(EMAIL, changed)).status_code == 200
            assert_refused(await running.login(EMAIL, GIVEN), INCORRECT_LOGIN)


async def test_start_normalises_the_address(provision: Provision, service: Service) -> None:
    """Whatever its case in the settings."""
    settings: dict[str, Any] = {
        "first_superuser": "Boss@Example.COM",
        "first_superuser_password": SecretStr(GIVEN),
    }
    async with serve(provision, **settings) as running:
        assert (await running.login(EMAIL, GIVEN)).status_code == 200
    assert [user.email for user in await service.all_users()] == [EMAIL]


async def test_start_has_a_default_on_a_developers_machine_only(
    provision: Provision, service: Service
) -> None:
    """Elsewhere nobody is made whom nobody asked for."""
    for environment, addresses in (("production", []), ("staging", []), ("local", ["admin@example.com"])):
        async with serve(provision, environment=environment, first_superuser=None):
            assert [user.email for user in await service.all_users()] == addresses


async def test_many_starts_at_once_make_one_superuser(
    provision: Provision, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers start together: one of them makes the user, and only its password is printed and works."""
    async with AsyncExitStack() as stack:
        starts = (stack.enter_async_context(serve(provision, first_superuser=EMAIL)) for _ in range(5))
        running = await asyncio.gather(*starts)
        [password] = printed_passwords(capsys)
        for worker in running:
            assert (await worker.login(EMAIL, password)).status_code == 200
    assert [(user.email, user.is_superuser) for user in await service.all_users()] == [(EMAIL, True)]
