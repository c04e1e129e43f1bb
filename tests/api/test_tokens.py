"""Authentication: bearer tokens on every route that requires one, and the order of the checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.security import make_access_token, sign
from backends.ids import new_id, utc_now
from backends.models import UserChanges
from tests.api.responses import (
    INACTIVE_USER,
    INVALID_TOKEN,
    MESSAGE_PASSWORD_UPDATED,
    NOT_AUTHENTICATED,
    NOT_PRIVILEGED,
    USER_NOT_FOUND,
    assert_ok,
    assert_refused,
    shown_user,
)
from tests.api.routes import FOR_SUPERUSERS, PROTECTED, WITH_BODY, Route, Scene
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json
from tests.conftest import ONE_BACKEND

PROTECTED_WITH_BODY = [route for route in WITH_BODY if route.access != "anyone"]
FOR_SUPERUSERS_WITH_BODY = [route for route in FOR_SUPERUSERS if route.body]


def forge(claims: object, *, key: str, header: object = None) -> str:
    """Make a JWT by hand, as libraries refuse to make most of these."""
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    head = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{_encode(hmac.digest(key.encode(), head.encode(), hashlib.sha256))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def good_claims(user: Account) -> dict[str, Any]:
    """Return the claims of a token that is accepted."""
    now = int(utc_now().timestamp())
    return {"sub": user.id, "session": 0, "iss": "eitherdb", "aud": "access", "iat": now, "exp": now + 3600}


@pytest.mark.parametrize("route", PROTECTED, ids=str)
@ONE_BACKEND
async def test_every_route_refuses_who_is_not_let_in(scene: Scene, route: Route) -> None:
    """No token, a broken one, a token of nobody and one of an inactive user; nothing changes."""
    inactive = await scene.service.user(is_active=False, is_superuser=True)
    nobody = make_access_token(replace(scene.user.user, id=new_id()), scene.service.settings)
    before = await scene.stored()
    for caller, refusal in (
        (scene.service.anyone, NOT_AUTHENTICATED),
        (scene.service.client("broken"), INVALID_TOKEN),
        (scene.service.client(nobody), USER_NOT_FOUND),
        (inactive.http, INACTIVE_USER),
    ):
        assert_refused(await scene.send(route, caller=caller), refusal)
    assert await scene.stored() == before


@pytest.mark.parametrize("route", FOR_SUPERUSERS, ids=str)
@ONE_BACKEND
async def test_every_superuser_route_refuses_other_users(scene: Scene, route: Route) -> None:
    """Only a superuser may; nothing changes."""
    before = await scene.stored()
    assert_refused(await scene.send(route, caller=scene.user.http), NOT_PRIVILEGED)
    assert await scene.stored() == before


BODIES = {
    "invalid": (b"[]", b'{"email": 1, "password": 1, "title": 1}', b"null", b""),
    "unreadable": (b"{", b'{"title": "\xff"}', b"[" * 100_000, b'{"title": ' + b"9" * 5000),
}
invalid_and_unreadable_bodies = pytest.mark.parametrize("bodies", BODIES.values(), ids=BODIES.keys())
JSON = {"Content-Type": "application/json"}


@ONE_BACKEND
@invalid_and_unreadable_bodies
@pytest.mark.parametrize("route", PROTECTED_WITH_BODY, ids=str)
async def test_every_route_authenticates_before_it_validates(
    scene: Scene, route: Route, bodies: tuple[bytes, ...]
) -> None:
    """Who is not let in learns nothing about the body, whatever it is, not even that it is no JSON."""
    for body in bodies:
        for caller, refusal in (
            (scene.service.anyone, NOT_AUTHENTICATED),
            (scene.service.client("broken"), INVALID_TOKEN),
        ):
            answer = await caller.request(route.method, scene.path(route), content=body, headers=JSON)
            assert_refused(answer, refusal)


@ONE_BACKEND
@invalid_and_unreadable_bodies
@pytest.mark.parametrize("route", FOR_SUPERUSERS_WITH_BODY, ids=str)
async def test_every_superuser_route_checks_the_privilege_before_it_validates(
    scene: Scene, route: Route, bodies: tuple[bytes, ...]
) -> None:
    """Who may not do it learns nothing about the body."""
    for body in bodies:
        answer = await scene.user.http.request(route.method, scene.path(route), content=body, headers=JSON)
        assert_refused(answer, NOT_PRIVILEGED)


@ONE_BACKEND
async def test_lists_authenticate_and_check_the_privilege_before_they_validate(scene: Scene) -> None:
    """The query is looked at last."""
    for query in ({"skip": "x"}, {"limit": "-1"}, {"cursor": "x"}, {"count": "x"}):
        for path in ("/users/", "/items/"):
            assert_refused(await scene.service.anyone.get(path, params=query), NOT_AUTHENTICATED)
        assert_refused(await scene.user.http.get("/users/", params=query), NOT_PRIVILEGED)


@ONE_BACKEND
async def test_token_in_another_scheme_is_none(service: Service, user: Account) -> None:
    """A good token counts only behind `Bearer`."""
    token = user.token
    for header in ("", "Basic dTpw", f"Token {token}", token, f"Bearer{token}", f"JWT {token}"):
        answer = await service.anyone.get("/users/me", headers={"Authorization": header})
        assert_refused(answer, NOT_AUTHENTICATED)


@ONE_BACKEND
async def test_token_scheme_may_be_in_any_case(service: Service, user: Account) -> None:
    """Schemes have no case (RFC 9110, section 11.1)."""
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {user.token}"}
        assert_ok(await service.anyone.get("/users/me", headers=headers), shown_user(user.user))


@ONE_BACKEND
async def test_token_elsewhere_is_none(service: Service, user: Account) -> None:
    """A token in a cookie or in the query signs nobody in."""
    token = user.token
    by_cookie = await service.anyone.get("/users/me", headers={"Cookie": f"access_token={token}"})
    by_query = await service.anyone.get("/users/me", params={"access_token": token, "token": token})
    assert_refused(by_cookie, NOT_AUTHENTICATED)
    assert_refused(by_query, NOT_AUTHENTICATED)


GARBAGE = [
    b"",
    b" ",
    b"x",
    b"a.b",
    b"a.b.c",
    b"....",
    b"\xe9\xff.\xe9.\xe9",
    b"x" * 10_000,
    # A header that nests deeper than a parser can follow.
    base64.urlsafe_b64encode(b"[" * 10_000) + b".e30.x",
]


@ONE_BACKEND
async def test_token_garbage_is_refused(service: Service, user: Account) -> None:
    """What is no token at all is a 403, never a 500."""
    for garbage in GARBAGE:
        headers = {b"Authorization": b"Bearer " + garbage}
        assert_refused(await service.anyone.get("/users/me", headers=headers), INVALID_TOKEN)
    assert_ok(await user.http.get("/users/me"), shown_user(user.user))


@ONE_BACKEND
async def test_token_forged_with_another_key_is_refused(service: Service, user: Account) -> None:
    """The same claims are accepted with the right key only."""
    key = service.settings.secret_key.get_secret_value()
    right, wrong = (forge(good_claims(user), key=key) for key in (key, key[:-1] + "x"))
    assert_ok(await service.client(right).get("/users/me"), shown_user(user.user))
    assert_refused(await service.client(wrong).get("/users/me"), INVALID_TOKEN)


HEADERS: list[object] = [
    {"alg": "none"},
    {"alg": "None", "typ": "JWT"},
    {"alg": "HS512"},
    {"alg": "RS256"},
    {"alg": ["HS256"]},
    {"alg": None},
    {"alg": "HS256", "crit": ["x"]},
    {"alg": "HS256", "kid": 1},
    {},
    [],
    "HS256",
]


@ONE_BACKEND
async def test_token_with_another_algorithm_is_refused(service: Service, user: Account) -> None:
    """The header has no say in how a token is checked: with and without the right signature."""
    key = service.settings.secret_key.get_secret_value()
    for header in HEADERS:
        token = forge(good_claims(user), key=key, header=header)
        for forged in (token, token.rpartition(".")[0] + "."):
            assert_refused(await service.client(forged).get("/users/me"), INVALID_TOKEN)


@ONE_BACKEND
async def test_token_with_a_changed_part_is_refused(service: Service, user: Account) -> None:
    """A signature belongs to one header and one set of claims."""
    other = await service.user()
    mine, others = user.token.split("."), other.token.split(".")
    for parts in ([mine[0], others[1], mine[2]], [mine[0], mine[1], others[2]], [*mine[:2], ""]):
        assert_refused(await service.client(".".join(parts)).get("/users/me"), INVALID_TOKEN)


async def test_token_that_expired_is_refused(service: Service, user: Account) -> None:
    """A second late is too late."""
    expired = sign(
        {"sub": user.id, "session": 0, "exp": utc_now() - timedelta(seconds=1)}, "access", service.settings
    )
    assert_refused(await service.client(expired).get("/users/me"), INVALID_TOKEN)


async def test_token_of_a_clock_ahead_is_valid_by_hours_too_long_and_not_for_ever(
    service: Service, user: Account
) -> None:
    """An instance whose clock is ahead signs people in; what it issues in another year counts nowhere."""
    lasts = timedelta(minutes=service.settings.access_token_expire_minutes)
    for ahead, is_valid in ((timedelta(hours=14), True), (timedelta(days=2), False)):
        claims = {"sub": user.id, "session": 0, "exp": utc_now() + lasts + ahead}
        answer = await service.client(sign(claims, "access", service.settings)).get("/users/me")
        if is_valid:
            assert_ok(answer, shown_user(user.user))
        else:
            assert_refused(answer, INVALID_TOKEN)


async def test_token_without_an_end_is_refused(service: Service, user: Account) -> None:
    """A token for ever is none, also when the key is right."""
    for claims in ({}, {"exp": None}, {"exp": "soon"}, {"exp": 1e400}):
        token = sign({"sub": user.id, "session": 0, **claims}, "access", service.settings)
        assert_refused(await service.client(token).get("/users/me"), INVALID_TOKEN)


async def test_token_with_a_strange_subject_is_refused(service: Service, user: Account) -> None:
    """`sub` is an id as we make them, or the token is not ours; `is it known` is another question."""
    claims = {key: value for key, value in good_claims(user).items() if key != "sub"}
    key = service.settings.secret_key.get_secret_value()
    subjects = ["", "x", user.id.upper(), f"{user.id}\n", user.user.email, 1, None, True, [user.id], {}]
    for token in (forge(claims, key=key), *(forge({**claims, "sub": sub}, key=key) for sub in subjects)):
        assert_refused(await service.client(token).get("/users/me"), INVALID_TOKEN)


async def test_token_for_another_audience_is_refused(service: Service, user: Account) -> None:
    """A cursor is signed with the same key and is no token; nor is a token for nobody or somebody else."""
    await service.item(user)
    await service.item(user)
    cursor = (await user.http.get("/items/", params={"limit": 1})).json()["next_cursor"]
    key = service.settings.secret_key.get_secret_value()
    claims = good_claims(user)
    no_audience = {name: value for name, value in claims.items() if name != "aud"}
    cursor_like = {**claims, "aud": "cursor"}
    for token in (cursor, *(forge(c, key=key) for c in (no_audience, cursor_like, {**claims, "aud": 1}))):
        assert_refused(await service.client(token).get("/users/me"), INVALID_TOKEN)


async def test_token_follows_its_user(service: Service, user: Account) -> None:
    """What a user may is looked up each time, not read from the token."""
    assert_refused(await user.http.get("/users/"), NOT_PRIVILEGED)
    await service.backend.users.update(user.id, UserChanges(is_superuser=True))
    assert (await user.http.get("/users/")).status_code == 200
    await service.backend.users.update(user.id, UserChanges(is_active=False))
    assert_refused(await user.http.get("/users/me"), INACTIVE_USER)
    await service.backend.users.update(user.id, UserChanges(is_active=True, is_superuser=False))
    assert_ok(await user.http.get("/users/me"), shown_user(user.user))


async def test_token_outlives_a_change_of_the_password(service: Service, user: Account) -> None:
    """Changing one's password in the dashboard does not sign one out."""
    body = {"current_password": PASSWORD, "new_password": f"{SECRET}-other"}
    answer = await user.http.patch("/users/me/password", **as_json(body))
    assert_ok(answer, MESSAGE_PASSWORD_UPDATED)
    assert_ok(await user.http.get("/users/me"), shown_user(user.user))
    assert_ok(await service.client(user.token).post("/login/test-token"), shown_user(user.user))
