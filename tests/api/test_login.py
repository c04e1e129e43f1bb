"""`POST /login/access-token` and `POST /login/test-token`."""

from __future__ import annotations

import time

import jwt
import pytest

from tests.api.responses import (
    INACTIVE_USER,
    INCORRECT_LOGIN,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_user,
)
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json
from tests.conftest import ONE_BACKEND

WRONG = f"{SECRET}-wrong"


async def test_login_returns_a_bearer_token(service: Service, user: Account) -> None:
    """The answer is a token and its type, and the token signs in."""
    answer = await service.login(user.user.email, PASSWORD)
    assert_ok(answer, {"access_token": answer.json()["access_token"], "token_type": "bearer"})
    me = await service.client(answer.json()["access_token"]).get("/users/me")
    assert_ok(me, shown_user(user.user))


async def test_login_token_expires_as_configured(service: Service, user: Account) -> None:
    """The token says whose it is and ends `ACCESS_TOKEN_EXPIRE_MINUTES` after it was made."""
    token = (await service.login(user.user.email, PASSWORD)).json()["access_token"]
    key = service.settings.secret_key.get_secret_value()
    claims = jwt.decode(token, key, algorithms=["HS256"], audience="access", issuer="eitherdb")
    assert claims["sub"] == user.id
    assert claims["exp"] - claims["iat"] == 60 * service.settings.access_token_expire_minutes
    assert claims["session"] == 0
    assert set(claims) == {"sub", "session", "iat", "exp", "iss", "aud"}


async def test_login_ignores_the_case_of_the_address(service: Service, user: Account) -> None:
    """Any spelling of an address is the same user's."""
    for spelling in ("USER@EXAMPLE.COM", "User@Example.Com", "uSER@example.com"):
        assert (await service.login(spelling, PASSWORD)).status_code == 200, spelling
    assert await service.all_users() == [user.user]


async def test_login_accepts_long_and_foreign_passwords(service: Service) -> None:
    """All of a password counts: its 128th character, astral characters, spaces at its ends."""
    password = f" {SECRET} пароль 😀 ".ljust(127, "é") + " "
    body = {"email": "long@example.com", "password": password}
    assert (await service.anyone.post("/users/signup", **as_json(body))).status_code == 200
    assert (await service.login("long@example.com", password)).status_code == 200
    for near in (password[:-1], password[1:], password[:72], password.replace("é", "e")):
        assert_refused(await service.login("long@example.com", near), INCORRECT_LOGIN)


async def test_login_refuses_a_wrong_password_and_an_unknown_address_alike(
    service: Service, user: Account
) -> None:
    """Nobody learns from the answer whether an address is known."""
    wrong = await service.login(user.user.email, WRONG)
    unknown = await service.login("unknown@example.com", PASSWORD)
    assert_refused(wrong, INCORRECT_LOGIN)
    assert_refused(unknown, INCORRECT_LOGIN)
    assert wrong.headers == unknown.headers


@ONE_BACKEND
async def test_login_takes_as_long_for_an_unknown_address(costly: Service) -> None:
    """Nor from the time: the processor works as hard for an address that nobody has, or that is none."""
    body = {"email": "known@example.com", "password": PASSWORD}
    await costly.anyone.post("/users/signup", **as_json(body))

    async def seconds(email: str) -> float:
        """Measure the processor's time, which other processes don't lengthen."""
        start = time.process_time()
        assert_refused(await costly.login(email, WRONG), INCORRECT_LOGIN)
        return time.process_time() - start

    known = min([await seconds("known@example.com") for _ in range(3)])
    for email in ("unknown@example.com", "no address"):
        assert max([await seconds(email) for _ in range(3)]) > known / 2


async def test_login_tells_an_inactive_user_only_with_the_right_password(service: Service) -> None:
    """Only who knows the password learns that the account is inactive."""
    await service.user("inactive@example.com", is_active=False)
    assert_refused(await service.login("inactive@example.com", PASSWORD), INACTIVE_USER)
    assert_refused(await service.login("inactive@example.com", WRONG), INCORRECT_LOGIN)


STRANGE = [
    "\x00",
    "user@example.com\x00",
    "us er@example.com",
    '{"$gt": ""}',
    "😀@example.com",
    "x" * 10_000 + "@example.com",
]


async def test_login_refuses_strange_usernames(service: Service, user: Account) -> None:
    """Whatever is no address of a user is an incorrect login, and no fault of the server."""
    for username in STRANGE:
        assert_refused(await service.login(username, PASSWORD), INCORRECT_LOGIN)
    assert await service.all_users() == [user.user]


@ONE_BACKEND
async def test_login_refuses_strange_passwords(service: Service, user: Account) -> None:
    """Whatever is not the password is an incorrect login: no limit of length, no forbidden character."""
    for password in (*STRANGE, PASSWORD + "\x00", PASSWORD.upper(), f" {PASSWORD}", PASSWORD * 1000):
        assert_refused(await service.login(user.user.email, password), INCORRECT_LOGIN)


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "idna", "no-such-charset"])
@ONE_BACKEND
async def test_login_survives_forms_in_any_charset(service: Service, user: Account, charset: str) -> None:
    """Multipart forms name their charset, and some charsets make lone surrogates: that is a 4xx too."""
    lone_surrogate = {"utf-7": "+2AA-", "unicode_escape": r"\ud800"}.get(charset, "x" * 100)
    for username, password in ((user.user.email, lone_surrogate), (lone_surrogate, PASSWORD)):
        part = '--limit\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        body = part.format("username", username) + part.format("password", password) + "--limit--\r\n"
        content_type = f"multipart/form-data; boundary=limit; charset={charset}"
        answer = await service.anyone.post(
            "/login/access-token", content=body, headers={"Content-Type": content_type}
        )
        assert answer.status_code in {400, 422}, answer.text


@ONE_BACKEND
async def test_login_refuses_json(service: Service, user: Account) -> None:
    """Only a form will do, as OAuth 2 wants it."""
    body = {"username": user.user.email, "password": PASSWORD}
    answer = await service.anyone.post("/login/access-token", **as_json(body))
    assert_invalid(answer, ("body", "username"), ("body", "password"))


@ONE_BACKEND
async def test_login_refuses_missing_and_empty_fields(service: Service) -> None:
    """Both fields are needed, with something in them."""
    username, password = ("body", "username"), ("body", "password")
    for form, faults in (
        ({}, (username, password)),
        ({"username": "user@example.com"}, (password,)),
        ({"password": PASSWORD}, (username,)),
        ({"username": "", "password": ""}, (username, password)),
    ):
        answer = await service.anyone.post("/login/access-token", data=form)
        assert_invalid(answer, *faults)


@ONE_BACKEND
async def test_login_refuses_files_as_fields(service: Service) -> None:
    """An uploaded file is no text, and the answer does not choke on it."""
    files = {"username": ("name.txt", b"user@example.com"), "password": ("word.txt", b"\xff")}
    answer = await service.anyone.post("/login/access-token", files=files)
    assert_invalid(answer, ("body", "username"), ("body", "password"))


async def test_test_token_returns_its_user(user: Account) -> None:
    """The user whose token it is, as everywhere else."""
    assert_ok(await user.http.post("/login/test-token"), shown_user(user.user))
