"""Passwords: one whatever keyboard typed it, and hashes of before that are good until the next login."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from pydantic import SecretStr

from api.security import make_reset_token
from backends.errors import BackendError, Conflict, Unavailable
from backends.models import NewUser, User, UserChanges
from backends.protocols import Backend
from tests.api.failing_backends import Failing, HalfBroken
from tests.api.responses import (
    INACTIVE_USER,
    INCORRECT_LOGIN,
    INCORRECT_PASSWORD,
    MESSAGE_PASSWORD_UPDATED,
    SAME_PASSWORD,
    assert_invalid,
    assert_ok,
    assert_refused,
)
from tests.api.service import CHEAP_HASHER, PASSWORD, SECRET, Account, Service, as_json, serve
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

TYPED_ON_A_MAC, TYPED_ELSEWHERE = f"{SECRET}\u00a0cafe\u0301", f"{SECRET} caf\u00e9"
SPELLINGS = [(TYPED_ON_A_MAC, TYPED_ELSEWHERE), (TYPED_ELSEWHERE, TYPED_ON_A_MAC)]
OTHER = f"{SECRET}-other"
EMAIL = "ada@example.com"

# Made with passlib 1.7.4 and bcrypt 4.0.1.
BCRYPT = "$2b$04$Rb/EEH5cq7jU.4.f/iq2IuiTb0S4RZMfLoaAzoOCYstopQSGpXYjq"
OUTDATED = {
    "bcrypt": BCRYPT,
    "Argon2i": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.I).hash(PASSWORD),
    "Argon2id with a shorter hash": PasswordHasher(
        time_cost=1, memory_cost=8, parallelism=1, hash_len=16
    ).hash(PASSWORD),
}

Setting = Callable[[Service, str], Awaitable[httpx2.Response | None]]


async def sign_up(service: Service, password: str) -> httpx2.Response:
    """Sign up."""
    return await service.anyone.post("/users/signup", **as_json({"email": EMAIL, "password": password}))


async def create(service: Service, password: str) -> httpx2.Response:
    """Be made by a superuser."""
    body = as_json({"email": EMAIL, "password": password})
    return await (await service.superuser()).http.post("/users/", **body)


async def create_privately(service: Service, password: str) -> httpx2.Response:
    """Be made by a test of a front end."""
    body = {"email": EMAIL, "password": password, "full_name": "Ada"}
    return await service.anyone.post("/private/users/", **as_json(body))


async def be_given(service: Service, password: str) -> httpx2.Response:
    """Be given another one by a superuser."""
    ada, body = await service.user(EMAIL), as_json({"password": password})
    return await (await service.superuser()).http.patch(f"/users/{ada.id}", **body)


async def change(service: Service, password: str) -> httpx2.Response:
    """Change one's own."""
    ada = await service.user(EMAIL)
    body = {"current_password": PASSWORD, "new_password": password}
    return await ada.http.patch("/users/me/password", **as_json(body))


async def reset(service: Service, password: str) -> httpx2.Response:
    """Set one with the link of a mail."""
    token = make_reset_token((await service.user(EMAIL)).user, service.settings)
    return await service.anyone.post(
        "/reset-password/", **as_json({"token": token, "new_password": password})
    )


SETTINGS: dict[str, Setting] = {
    "sign_up": sign_up,
    "create": create,
    "create_privately": create_privately,
    "be_given": be_given,
    "change": change,
    "reset": reset,
}
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


async def stored(service: Service, email: str = EMAIL) -> User:
    """Return the user as it is stored."""
    user = await service.backend.users.find_by_email(email)
    assert user is not None
    return user


def is_ours(hashed_password: str) -> bool:
    """Tell whether a hash is of the kind that the API makes in these tests."""
    return extract_parameters(hashed_password) == extract_parameters(CHEAP_HASHER.hash(PASSWORD))


@every_setting
@pytest.mark.parametrize(("typed", "typed_later"), SPELLINGS, ids=["on a Mac", "elsewhere"])
@ONE_BACKEND
async def test_password_signs_in_from_every_keyboard(
    service: Service, setting: Setting, typed: str, typed_later: str
) -> None:
    """However it was set, and on whatever: composed or not, with whichever blank."""
    answer = await setting(service, typed)
    assert answer is not None
    assert answer.status_code == 200, answer.text
    before = await stored(service)
    assert (await service.login(EMAIL, typed_later)).status_code == 200
    assert (await service.login(EMAIL, typed)).status_code == 200
    assert_refused(await service.login(EMAIL, typed.upper()), INCORRECT_LOGIN)
    assert await stored(service) == before


@pytest.mark.parametrize(("typed", "typed_later"), SPELLINGS, ids=["on a Mac", "elsewhere"])
async def test_first_superuser_signs_in_from_every_keyboard(
    provision: Provision, service: Service, typed: str, typed_later: str
) -> None:
    """The password of the settings is one like others."""
    settings: dict[str, Any] = {"first_superuser": EMAIL, "first_superuser_password": SecretStr(typed)}
    assert await service.all_users() == []
    async with serve(provision, **settings) as running:
        assert (await running.login(EMAIL, typed_later)).status_code == 200


@every_setting
@ONE_BACKEND
async def test_length_of_a_password_is_that_of_its_normalised_form(
    service: Service, setting: Setting
) -> None:
    """What is typed as twice as many code points is no longer for that; what composes may be too short."""
    for password, fault in (
        ("e\u0301" * 7, "string_too_short"),
        ("e\u0301" * 129, "string_too_long"),
        ("e\u0301" * 600, "string_too_long"),
        ("\ufb2c" * 43, "string_too_long"),  # each composes to nothing, and decomposes to three
    ):
        answer = await setting(service, password)
        assert answer is not None
        assert_invalid(answer, ("body", "new_password" if setting in {change, reset} else "password"))
        assert answer.json()["detail"][0]["type"] == fault
        if setting in {be_given, change, reset}:
            await service.backend.users.delete((await stored(service)).id)


async def test_longest_password_signs_in_decomposed(service: Service) -> None:
    """128 code points that a Mac sends as 256, or as 512."""
    for n, (composed, typed) in enumerate((("é", "e\u0301"), ("\u1f82", "\u03b1\u0313\u0300\u0345"))):
        email = f"long{n}@example.com"
        body = as_json({"email": email, "password": typed * 128})
        assert (await service.anyone.post("/users/signup", **body)).status_code == 200
        for password in (composed * 128, typed * 128):
            assert (await service.login(email, password)).status_code == 200
        assert_refused(await service.login(email, typed * 127), INCORRECT_LOGIN)


async def test_change_compares_normalised_passwords(service: Service) -> None:
    """The present one is right in any spelling, and the same in another spelling is no new one."""
    await sign_up(service, TYPED_ON_A_MAC)
    ada = service.sign_in(await stored(service))
    for current, new, answer in (
        (TYPED_ELSEWHERE, TYPED_ON_A_MAC, SAME_PASSWORD),
        (TYPED_ON_A_MAC, TYPED_ELSEWHERE, SAME_PASSWORD),
        (TYPED_ELSEWHERE, TYPED_ELSEWHERE, SAME_PASSWORD),
        (TYPED_ELSEWHERE.upper(), OTHER, INCORRECT_PASSWORD),
    ):
        body = as_json({"current_password": current, "new_password": new})
        assert_refused(await ada.http.patch("/users/me/password", **body), answer)
    body = as_json({"current_password": TYPED_ELSEWHERE, "new_password": OTHER})
    assert_ok(await ada.http.patch("/users/me/password", **body), MESSAGE_PASSWORD_UPDATED)


async def add(service: Service, hashed_password: str, **values: Any) -> Account:
    """Store a user with this hash, as an import from elsewhere does."""
    new = NewUser(email=EMAIL, hashed_password=hashed_password, **values)
    return service.sign_in(await service.backend.users.add(new))


@pytest.mark.parametrize("password", ["e\u0301" * 4, "\ufb2c" * 100], ids=["4 of 8", "300 of 100"])
async def test_password_whose_length_was_valid_before_still_counts(service: Service, password: str) -> None:
    """It was counted as typed: its owner signs in, and can change it."""
    ada = await add(service, CHEAP_HASHER.hash(password))
    body = as_json({"current_password": password, "new_password": OTHER})
    assert_ok(await ada.http.patch("/users/me/password", **body), MESSAGE_PASSWORD_UPDATED)
    assert (await service.login(EMAIL, OTHER)).status_code == 200


async def test_hash_of_what_was_typed_is_replaced_at_login(service: Service) -> None:
    """Until then only that spelling signs in, afterwards every one does."""
    await add(service, CHEAP_HASHER.hash(TYPED_ON_A_MAC))
    assert_refused(await service.login(EMAIL, TYPED_ELSEWHERE), INCORRECT_LOGIN)
    assert (await service.login(EMAIL, TYPED_ON_A_MAC)).status_code == 200
    assert (await service.login(EMAIL, TYPED_ELSEWHERE)).status_code == 200


@pytest.mark.parametrize("hashed_password", OUTDATED.values(), ids=OUTDATED.keys())
async def test_outdated_hash_is_replaced_at_login(service: Service, hashed_password: str) -> None:
    """The next login finds one of ours, and to everybody else the user is as before."""
    ada = await add(service, hashed_password)
    tag = (await ada.http.get("/users/me")).headers["ETag"]
    assert_refused(await service.login(EMAIL, OTHER), INCORRECT_LOGIN)
    assert await stored(service) == ada.user
    assert (await service.login(EMAIL, PASSWORD)).status_code == 200
    after = await stored(service)
    assert is_ours(after.hashed_password)
    assert after == replace(ada.user, hashed_password=after.hashed_password)
    assert (await service.login(EMAIL, PASSWORD)).status_code == 200
    assert_refused(await service.login(EMAIL, OTHER), INCORRECT_LOGIN)
    assert await stored(service) == after
    # The session goes on, and a tag from before lets a change through.
    changed = await ada.http.patch("/users/me", json={"full_name": "Ada"}, headers={"If-Match": tag})
    assert changed.status_code == 200


async def test_outdated_hash_lets_change_the_password(service: Service) -> None:
    """Which is hashed as ours at once."""
    ada = await add(service, BCRYPT)
    body = as_json({"current_password": PASSWORD, "new_password": OTHER})
    assert_ok(await ada.http.patch("/users/me/password", **body), MESSAGE_PASSWORD_UPDATED)
    assert is_ours((await stored(service)).hashed_password)


async def test_outdated_hash_of_an_inactive_user_stays(service: Service) -> None:
    """Nobody signed in."""
    ada = await add(service, BCRYPT, is_active=False)
    assert_refused(await service.login(EMAIL, PASSWORD), INACTIVE_USER)
    assert await stored(service) == ada.user


async def test_password_that_is_set_during_a_login_stays(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login with the old one replaces no hash any more."""
    ada = await add(service, BCRYPT)
    passwords, new_hash = service.app.state.services.passwords, CHEAP_HASHER.hash(OTHER)
    verify = passwords.verify

    async def verify_meanwhile(password: str, user: User | None) -> Any:
        verification = await verify(password, user)
        await service.backend.users.update(ada.id, UserChanges(hashed_password=new_hash))
        return verification

    monkeypatch.setattr(passwords, "verify", verify_meanwhile)
    assert (await service.login(EMAIL, PASSWORD)).status_code == 200
    assert (await stored(service)).hashed_password == new_hash


async def test_login_elsewhere_does_not_disturb_a_change_of_the_password(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another hash of the same password, and another change at the same time: the password was right."""
    ada = await add(service, BCRYPT)
    passwords = service.app.state.services.passwords
    hash_ = passwords.hash

    async def hash_meanwhile(password: str) -> str:
        await service.backend.users.replace_hash(ada.id, old=BCRYPT, new=CHEAP_HASHER.hash(PASSWORD))
        await service.backend.users.update(ada.id, UserChanges(full_name="Ada"))
        return str(await hash_(password))

    monkeypatch.setattr(passwords, "hash", hash_meanwhile)
    body = as_json({"current_password": PASSWORD, "new_password": OTHER})
    assert_ok(await ada.http.patch("/users/me/password", **body), MESSAGE_PASSWORD_UPDATED)
    assert (await service.login(EMAIL, OTHER)).status_code == 200


class _KeepsHashes:
    """A user repository that can't replace a hash."""

    def __init__(self, backend: Backend, error: Exception) -> None:
        self._users = backend.users
        self.replace_hash = Failing(error).replace_hash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._users, name)


@pytest.mark.parametrize(
    "error", [Unavailable("no answer"), Conflict("busy"), BackendError("read only")], ids=repr
)
async def test_hash_that_can_not_be_replaced_ends_no_login(
    provision: Provision, service: Service, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Who is who is known; the log says that the hash stays, and whose."""
    ada = await add(service, BCRYPT)

    def wrap(backend: Backend) -> Backend:
        users: Any = _KeepsHashes(backend, error)
        return HalfBroken(backend, users, backend.items)

    async with serve(provision, wrap=wrap) as failing:
        caplog.clear()
        assert (await failing.login(EMAIL, PASSWORD)).status_code == 200
    (record,) = (record for record in caplog.records if record.name == "api.routes.login")
    assert record.levelno == logging.WARNING
    assert ada.id in record.getMessage()
    assert BCRYPT not in caplog.text
    assert await stored(service) == ada.user


@pytest.mark.parametrize("hashed_password", ["!", BCRYPT[:-1], "$argon2id$v=19$m=8,t=1,p=1$x$x", PASSWORD])
@ONE_BACKEND
async def test_hash_that_cannot_be_read_is_a_wrong_password(
    service: Service, caplog: pytest.LogCaptureFixture, hashed_password: str
) -> None:
    """To the client; the log names the user, and neither hash nor password."""
    ada = await add(service, hashed_password)
    body = as_json({"current_password": PASSWORD, "new_password": OTHER})
    for answer, refusal in (
        (await service.login(EMAIL, PASSWORD), INCORRECT_LOGIN),
        (await ada.http.patch("/users/me/password", **body), INCORRECT_PASSWORD),
    ):
        assert_refused(answer, refusal)
    records = [record for record in caplog.records if record.name == "api.security"]
    assert [record.levelno for record in records] == [logging.ERROR] * 2
    assert all(ada.id in record.getMessage() for record in records)
    assert hashed_password not in caplog.text
    assert SECRET not in caplog.text
    assert await stored(service) == ada.user


@ONE_BACKEND
async def test_refusals_take_as_long_as_the_slowest_kind_of_hash(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody learns from the time whether an address has a hash of another application, or any."""
    await add(service, BCRYPT)
    await service.user("user@example.com")
    passwords = service.app.state.services.passwords
    monkeypatch.setattr(passwords._durations, "_fastest", {"slow": 0.5})
    for email in (EMAIL, "user@example.com", "nobody@example.com", "no address"):
        began = time.perf_counter()
        assert_refused(await service.login(email, OTHER), INCORRECT_LOGIN)
        assert time.perf_counter() - began >= 0.5, email
