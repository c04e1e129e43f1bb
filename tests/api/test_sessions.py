"""Sessions: what ends them, at once on every worker, and keys that follow one another."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from api.cursors import encode_cursor
from api.security import ISSUER, make_access_token
from backends.ids import utc_now
from backends.models import Position, UserChanges
from tests.api.responses import (
    INACTIVE_USER,
    INCORRECT_PASSWORD,
    INVALID_TOKEN,
    MESSAGE_PASSWORD_UPDATED,
    MESSAGE_SESSIONS_ENDED,
    Refusal,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_user,
)
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json, serve
from tests.api.test_tokens import forge, good_claims
from tests.provision import Provision

OLD_KEY, NEW_KEY = (SecretStr(f"{name}-{SECRET}-key-of-more-than-32-bytes") for name in ("old", "new"))


async def assert_ended(*accounts: Account) -> None:
    """Check that the tokens are none any more."""
    for account in accounts:
        assert_refused(await account.http.get("/users/me"), INVALID_TOKEN)


async def test_logout_everywhere_ends_every_session_at_once(
    provision: Provision, service: Service, user: Account
) -> None:
    """This one and all others, on another worker too; a new login is let in, a bystander stays."""
    bystander = await service.user()
    async with serve(provision, first_superuser=user.user.email) as other:
        elsewhere = other.sign_in(user.user)
        assert (await elsewhere.http.get("/users/me")).status_code == 200
        assert_ok(await user.http.post("/users/me/logout-everywhere"), MESSAGE_SESSIONS_ENDED)
        await assert_ended(user, elsewhere, service.sign_in(user.user))
        token = (await other.login(user.user.email, PASSWORD)).json()["access_token"]
        assert_ok(await service.client(token).get("/users/me"), shown_user(user.user))
    assert (await bystander.http.get("/users/me")).status_code == 200


async def test_deactivation_ends_sessions_for_good(
    service: Service, user: Account, superuser: Account
) -> None:
    """Who is active again has to sign in again."""
    path = f"/users/{user.id}"
    assert (await superuser.http.patch(path, json={"is_active": False})).status_code == 200
    assert_refused(await user.http.get("/users/me"), INACTIVE_USER)
    assert (await superuser.http.patch(path, json={"is_active": True})).status_code == 200
    await assert_ended(user)
    token = (await service.login(user.user.email, PASSWORD)).json()["access_token"]
    assert (await service.client(token).get("/users/me")).status_code == 200


async def test_password_set_by_a_superuser_ends_sessions(
    service: Service, user: Account, superuser: Account
) -> None:
    """Somebody else's; one's own stays, and so do those of a user of whom other things change."""
    body = {"password": f"{SECRET}-other"}
    renamed = await superuser.http.patch(f"/users/{user.id}", json={"full_name": "New", "is_active": True})
    assert renamed.status_code == 200
    assert (await user.http.get("/users/me")).status_code == 200
    assert (await superuser.http.patch(f"/users/{user.id}", **as_json(body))).status_code == 200
    await assert_ended(user)
    assert (await superuser.http.patch(f"/users/{superuser.id}", **as_json(body))).status_code == 200
    assert (await superuser.http.get("/users/me")).status_code == 200
    assert (await service.login(user.user.email, f"{SECRET}-other")).status_code == 200


async def test_change_of_ones_own_password_keeps_the_session(service: Service, user: Account) -> None:
    """The dashboard goes on."""
    body = {"current_password": PASSWORD, "new_password": f"{SECRET}-other"}
    answer = await user.http.patch("/users/me/password", **as_json(body))
    assert_ok(answer, MESSAGE_PASSWORD_UPDATED)
    assert (await user.http.get("/users/me")).status_code == 200
    assert (await service.sign_in(user.user).http.get("/users/me")).status_code == 200


@pytest.mark.parametrize(
    ("meanwhile", "refusal"),
    [
        ({"changes": UserChanges(), "end_sessions": True}, INVALID_TOKEN),
        ({"changes": UserChanges(hashed_password="another")}, INCORRECT_PASSWORD),
        ({"changes": UserChanges(full_name="New")}, None),
    ],
    ids=["sessions ended", "password set", "renamed"],
)
async def test_change_of_the_password_is_of_what_was_looked_at(
    service: Service,
    user: Account,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: dict[str, Any],
    refusal: Refusal | None,
) -> None:
    """What happens to the account while the new password is hashed is not overwritten."""
    passwords = service.app.state.services.passwords
    hash_ = passwords.hash

    async def hash_meanwhile(password: str) -> str:
        await service.backend.users.update(user.id, **meanwhile)
        return str(await hash_(password))

    monkeypatch.setattr(passwords, "hash", hash_meanwhile)
    body = {"current_password": PASSWORD, "new_password": f"{SECRET}-new"}
    answer = await user.http.patch("/users/me/password", **as_json(body))
    if refusal:
        assert_refused(answer, refusal)
    else:
        assert_ok(answer, MESSAGE_PASSWORD_UPDATED)
    signs_in = (await service.login(user.user.email, f"{SECRET}-new")).status_code == 200
    assert signs_in is (refusal is None)


async def test_token_needs_every_claim(service: Service, user: Account) -> None:
    """Issuer, audience, end, user and session, each as it was made here."""
    key = service.settings.secret_key.get_secret_value()
    good = good_claims(user)
    assert good["iss"] == ISSUER
    assert (await service.client(forge(good, key=key)).get("/users/me")).status_code == 200
    strange: dict[str, list[object]] = {
        "iss": ["", "other", None, 1],
        "aud": ["", "cursor", None],
        "session": [-1, 1, "0", 0.0, None, True, False, []],
        "nbf": [int(utc_now().timestamp()) + 3600],
    }
    for name, values in strange.items():
        for value in values:
            token = forge({**good, name: value}, key=key)
            assert_refused(await service.client(token).get("/users/me"), INVALID_TOKEN)
    for name in ("iss", "aud", "exp", "sub", "session"):
        rest = {key: value for key, value in good.items() if key != name}
        assert_refused(await service.client(forge(rest, key=key)).get("/users/me"), INVALID_TOKEN)


async def test_previous_keys_are_accepted_and_sign_nothing(
    provision: Provision, service: Service, user: Account
) -> None:
    """Rotation: what the old key signed is good while it is among the previous ones, and no longer."""
    before = service.settings.model_copy(update={"secret_key": OLD_KEY})
    old = make_access_token(user.user, before)
    position = Position(user.user.created_at, user.id)
    query = {"cursor": encode_cursor(position, "items", "-created_at", before)}
    email = user.user.email
    async with serve(
        provision, first_superuser=email, secret_key=NEW_KEY, previous_secret_keys=(OLD_KEY,)
    ) as rotated:
        assert (await rotated.client(old).get("/users/me")).status_code == 200
        assert (await rotated.client(old).get("/items/", params=query)).status_code == 200
        new = (await rotated.login(email, PASSWORD)).json()["access_token"]
        assert (await rotated.client(new).get("/users/me")).status_code == 200
    async with serve(provision, first_superuser=email, secret_key=NEW_KEY) as after:
        assert_refused(await after.client(old).get("/users/me"), INVALID_TOKEN)
        assert (await after.client(new).get("/users/me")).status_code == 200
        assert_invalid(await after.client(new).get("/items/", params=query), ("query", "cursor"))
    async with serve(provision, first_superuser=email, secret_key=OLD_KEY) as never:
        assert_refused(await never.client(new).get("/users/me"), INVALID_TOKEN)
