"""The three ways to make a user: `/users/signup`, `/users/` for superusers, `/private/users/`."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from backends.ids import is_id
from tests.api.responses import (
    EMAIL_TAKEN_AT_CREATE,
    EMAIL_TAKEN_AT_SIGNUP,
    NO_SUCH_PATH,
    Refusal,
    assert_ok,
    assert_refused,
    shown_time,
    shown_user,
)
from tests.api.routes import OPEN, PROTECTED, Route, Scene
from tests.api.service import SECRET, Service, as_json, serve
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

ROUTES = {route.operation: route for route in (*PROTECTED, *OPEN)}
SIGNUP, PRIVATE = ROUTES["users-register_user"], ROUTES["private-create_user"]
CREATE = ROUTES["users-create_user"]
WAYS = [
    pytest.param(SIGNUP, EMAIL_TAKEN_AT_SIGNUP, id="signup"),
    pytest.param(CREATE, EMAIL_TAKEN_AT_CREATE, id="create"),
    pytest.param(PRIVATE, EMAIL_TAKEN_AT_CREATE, id="private"),
]
every_way = pytest.mark.parametrize("route", [SIGNUP, CREATE, PRIVATE], ids=str)
every_way_with_its_refusal = pytest.mark.parametrize(("route", "taken"), WAYS)
NEW: dict[str, Any] = {"email": "ada@example.com", "password": f"{SECRET}-ada", "full_name": "Ada"}


@every_way
async def test_create_returns_the_user_who_can_sign_in(scene: Scene, route: Route) -> None:
    """200 with the user as it is stored: active, no superuser, made now; the password works at once."""
    now = scene.service.clock.now
    answer = await scene.send(route, NEW)
    user_id = answer.json()["id"]
    assert is_id(user_id)
    shown = {
        "id": user_id,
        "email": "ada@example.com",
        "is_active": True,
        "is_superuser": False,
        "full_name": "Ada",
        "created_at": shown_time(now),
    }
    assert_ok(answer, shown)
    token = (await scene.service.login("ada@example.com", f"{SECRET}-ada")).json()["access_token"]
    assert_ok(await scene.service.client(token).get("/users/me"), shown)


@pytest.mark.usefixtures("costly_passwords")
@every_way
@ONE_BACKEND
async def test_create_stores_an_argon2id_hash(scene: Scene, route: Route) -> None:
    """What is stored is a hash with OWASP's costs, another one for the same password."""
    hashes = set()
    for email in ("ada@example.com", "bob@example.com"):
        await scene.send(route, {**NEW, "email": email})
        hashes.add((await scene.service.all_users())[0].hashed_password)
    assert [text.split("$")[1:4] for text in hashes] == [["argon2id", "v=19", "m=19456,t=2,p=1"]] * 2


@every_way_with_its_refusal
async def test_create_refuses_a_taken_address(scene: Scene, route: Route, taken: Refusal) -> None:
    """In any case of its letters, and with the text of each way; nothing is changed."""
    before = await scene.stored()
    for spelling in ("user@example.com", "USER@EXAMPLE.COM", "User@example.COM"):
        assert_refused(await scene.send(route, {**NEW, "email": spelling}), taken)
    assert await scene.stored() == before


@every_way_with_its_refusal
async def test_create_stores_the_address_in_lower_case(scene: Scene, route: Route, taken: Refusal) -> None:
    """An address has one spelling, and who comes second in another one is refused."""
    answer = await scene.send(route, {**NEW, "email": "Ada.Lovelace@Example.COM"})
    assert answer.json()["email"] == "ada.lovelace@example.com"
    assert_refused(await scene.send(route, {**NEW, "email": "ada.lovelace@example.com"}), taken)


@every_way
async def test_create_ignores_unknown_fields(scene: Scene, route: Route) -> None:
    """Ids, times, hashes and what the dashboard sends besides are not the client's to say."""
    now = scene.service.clock.now
    extra = {
        "id": "0" * 24,
        "_id": "0" * 24,
        "created_at": "2000-01-01T00:00:00Z",
        "hashed_password": "x",
        "confirm_password": "other",
        "owner_id": "0" * 24,
        "$set": {"is_superuser": True},
    }
    answer = await scene.send(route, {**NEW, **extra})
    stored = (await scene.service.all_users())[0]
    assert_ok(answer, shown_user(stored))
    assert (stored.email, stored.created_at) == ("ada@example.com", now)
    assert stored.id != "0" * 24
    assert (await scene.service.login("ada@example.com", f"{SECRET}-ada")).status_code == 200


@pytest.mark.parametrize("route", [SIGNUP, PRIVATE], ids=str)
async def test_create_without_a_superuser_grants_nothing(scene: Scene, route: Route) -> None:
    """A stranger makes no superuser and no inactive user of himself."""
    answer = await scene.send(route, {**NEW, "is_superuser": True, "is_active": False})
    stored = (await scene.service.all_users())[0]
    assert_ok(answer, shown_user(stored, is_superuser=False, is_active=True))


@pytest.mark.parametrize("route", [SIGNUP, CREATE], ids=str)
async def test_create_lets_the_name_be_absent_null_or_empty(scene: Scene, route: Route) -> None:
    """Absent and null are null; an empty name is an empty name."""
    given: list[tuple[dict[str, Any], str | None]]
    given = [({}, None), ({"full_name": None}, None), ({"full_name": ""}, "")]
    for number, (names, shown) in enumerate(given):
        body = {"email": f"nameless{number}@example.com", "password": NEW["password"], **names}
        answer = await scene.send(route, body)
        assert (answer.status_code, answer.json()["full_name"]) == (200, shown)
        assert (await scene.service.all_users())[0].full_name == shown


async def test_create_by_a_superuser_sets_what_it_says(scene: Scene) -> None:
    """A superuser decides about activity and privilege."""
    for number, (active, superuser) in enumerate(((True, True), (False, True), (False, False))):
        body = {**NEW, "email": f"made{number}@example.com", "is_active": active, "is_superuser": superuser}
        answer = await scene.send(CREATE, body)
        stored = (await scene.service.all_users())[0]
        assert_ok(answer, shown_user(stored, is_active=active, is_superuser=superuser))


async def test_signup_is_open_to_who_is_signed_in_anyhow(scene: Scene) -> None:
    """A token, a good or a broken one, makes no difference to an open route."""
    for number, caller in enumerate((scene.user.http, scene.service.client("broken"))):
        body = {**NEW, "email": f"open{number}@example.com"}
        assert (await scene.send(SIGNUP, body, caller=caller)).status_code == 200


async def test_signup_of_one_address_many_times_at_once_makes_one_user(service: Service) -> None:
    """The unique index decides: one 200, and to the others the same refusal as later."""
    spellings = ("ada@example.com", "Ada@Example.com", "ADA@EXAMPLE.COM", "ada@EXAMPLE.com")
    bodies = [as_json({**NEW, "email": spellings[number % 4]}) for number in range(40)]
    client = service.anyone
    answers = await asyncio.gather(*(client.post("/users/signup", **body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 39}
    for answer in answers:
        if answer.status_code == 400:
            assert_refused(answer, EMAIL_TAKEN_AT_SIGNUP)
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert_ok(winner, *[shown_user(user) for user in await service.all_users()])


async def test_signup_with_a_taken_address_costs_no_hash(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of them would keep all others waiting who want to sign up."""

    async def fail(_: str) -> str:
        pytest.fail("it was hashed")

    monkeypatch.setattr(scene.service.app.state.services.passwords, "hash", fail)
    answer = await scene.send(SIGNUP, {**NEW, "email": "USER@example.com"})
    assert_refused(answer, EMAIL_TAKEN_AT_SIGNUP)


@pytest.mark.parametrize("environment", ["staging", "production"])
@ONE_BACKEND
async def test_private_routes_exist_on_a_developers_machine_only(
    provision: Provision, service: Service, environment: str
) -> None:
    """Anywhere else nobody makes users without signing in."""
    user = await service.user("user@example.com")
    async with serve(provision, environment=environment, first_superuser=None, docs=True) as deployed:
        for method in ("POST", "GET"):
            answer = await deployed.anyone.request(method, "/private/users/", **as_json(NEW))
            assert_refused(answer, NO_SUCH_PATH)
        document = (await deployed.anyone.get("/openapi.json")).json()
        assert not [path for path in document["paths"] if "private" in path]
        assert await deployed.all_users() == [user.user]
