"""Who may call what: every operation of the application against every kind of caller."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from api.security import make_access_token, make_reset_token, sign
from backends.capabilities import Capability
from backends.ids import utc_now
from tests.api.responses import (
    INACTIVE_USER,
    INVALID_TOKEN,
    NOT_AUTHENTICATED,
    NOT_OWNER,
    NOT_PRIVILEGED,
    SELF_DELETION,
    TRANSFER_NOT_FOUND,
    Refusal,
    assert_refused,
)
from tests.api.routes import OPEN, PROTECTED, Route, Scene
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

YES = None
Verdict = Refusal | None

# What another user, the owner of what the path names, and a superuser are answered. The path of a
# superuser's operation names the other user's account.
ACCESS: dict[str, tuple[Verdict, Verdict, Verdict]] = {
    "login-test_token": (YES, YES, YES),
    "login-recover_password_html_content": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "utils-test_email": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "users-read_users": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "users-create_user": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "users-read_user_me": (YES, YES, YES),
    "users-update_user_me": (YES, YES, YES),
    "users-update_password_me": (YES, YES, YES),
    "users-logout_everywhere": (YES, YES, YES),
    "users-delete_user_me": (YES, YES, SELF_DELETION),
    "users-read_user_by_id": (NOT_PRIVILEGED, YES, YES),
    "users-update_user": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "users-delete_user": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "items-read_items": (YES, YES, YES),
    "items-create_item": (YES, YES, YES),
    "items-create_items": (YES, YES, YES),
    "items-read_item": (NOT_OWNER, YES, YES),
    "items-patch_item": (NOT_OWNER, YES, YES),
    "items-update_item": (NOT_OWNER, YES, YES),
    "items-delete_item": (NOT_OWNER, YES, YES),
    "accounts-read_accounts": (YES, YES, YES),
    "accounts-create_account": (YES, YES, YES),
    "accounts-read_account": (NOT_OWNER, YES, YES),
    "accounts-delete_account": (NOT_OWNER, YES, YES),
    "accounts-create_deposit": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "accounts-create_withdrawal": (NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
    "accounts-read_statement": (NOT_OWNER, YES, YES),
    "transfers-read_transfers": (YES, YES, YES),
    "transfers-create_transfer": (NOT_OWNER, YES, YES),
    "transfers-read_transfer": (NOT_OWNER, YES, YES),
}
# These operations ignore the token of the caller.
FOR_ANYONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "login-login_access_token": (
        "POST",
        "/login/access-token",
        {"data": {"username": "x", "password": "y"}},
    ),
    "login-recover_password": ("POST", "/password-recovery/nobody{}@example.com", {}),
    "login-reset_password": ("POST", "/reset-password/", as_json({"token": "x", "new_password": PASSWORD})),
    "users-register_user": ("POST", "/users/signup", as_json({})),
    "private-create_user": ("POST", "/private/users/", as_json({})),
    "utils-health_check": ("GET", "/utils/health-check/", {}),
}
NEED_TRANSACTIONS = {
    "users-delete_user_me",
    "users-delete_user",
    "items-create_items",
    "accounts-create_deposit",
    "accounts-create_withdrawal",
    "transfers-create_transfer",
}


def bad_tokens(account: Account, service: Service) -> dict[str, str]:
    """Return tokens that name the account and sign nobody in."""
    settings, user = service.settings, account.user
    good = {"sub": user.id, "session": user.session_version, "exp": utc_now() + timedelta(hours=1)}
    return {
        "expired": sign({**good, "exp": utc_now() - timedelta(seconds=1)}, "access", settings),
        "forged": make_access_token(
            user, settings.model_copy(update={"secret_key": type(settings.secret_key)(SECRET * 8)})
        ),
        "of a session that ended": make_access_token(replace(user, session_version=7), settings),
        "for a password reset": make_reset_token(user, settings),
        "for another audience": sign(good, "password-reset", settings),
    }


async def scene_of(provision: Provision, service: Service, route: Route) -> Scene:
    """Empty the database and return a new scene."""
    await provision.clean()
    return await Scene.make(service, route)


@ONE_BACKEND
def test_matrix_has_a_row_for_every_operation(running: Service) -> None:
    """A route that is added without a row fails here."""
    operations = {
        operation["operationId"]
        for methods in running.app.openapi()["paths"].values()
        for operation in methods.values()
    }
    assert operations == set(ACCESS) | set(FOR_ANYONE)
    assert {route.operation for route in PROTECTED} == set(ACCESS)
    assert {route.operation for route in OPEN} <= set(FOR_ANYONE)


@pytest.mark.parametrize("route", PROTECTED, ids=str)
async def test_operation_lets_in_whom_the_matrix_names(
    provision: Provision, service: Service, route: Route
) -> None:
    """Everyone else is refused for the reason of his own, and nothing changes."""
    scene = await scene_of(provision, service, route)
    inactive = await service.user(is_active=False, is_superuser=True)
    before = await scene.stored()
    assert_refused(await scene.send(route, caller=service.anyone), NOT_AUTHENTICATED)
    assert_refused(await scene.send(route, caller=inactive.http), INACTIVE_USER)
    for name, token in bad_tokens(scene.superuser, service).items():
        answer = await scene.send(route, caller=service.client(token))
        assert answer.status_code == INVALID_TOKEN.status, name
        assert_refused(answer, INVALID_TOKEN)
    assert await scene.stored() == before

    for number, verdict in enumerate(ACCESS[route.operation]):
        scene = await scene_of(provision, service, route)
        before = await scene.stored()
        caller = (scene.other, scene.user, scene.superuser)[number]
        answer = await scene.send(route, caller=caller.http)
        if route.method == "GET":
            head = await caller.http.head(scene.path(route))
            assert (head.status_code, head.headers) == (answer.status_code, answer.headers)
        has_transactions = Capability.TRANSACTIONS in service.backend.capabilities
        if verdict in {YES, NOT_OWNER} and route.operation in NEED_TRANSACTIONS and not has_transactions:
            assert answer.status_code == 501
            assert await scene.stored() == before
        elif route.operation == "transfers-read_transfer" and not has_transactions:
            assert_refused(answer, TRANSFER_NOT_FOUND)
        elif verdict is not YES:
            assert_refused(answer, verdict)
            assert await scene.stored() == before
        else:
            assert answer.is_success, answer.text


@pytest.mark.parametrize("operation", FOR_ANYONE)
@ONE_BACKEND
async def test_open_operation_answers_everyone_alike(scene: Scene, operation: str) -> None:
    """A token, good or bad, changes nothing where none is wanted."""
    method, path, arguments = FOR_ANYONE[operation]

    async def ask(caller: httpx2.AsyncClient) -> tuple[int, str]:
        # Another address each time, because asking for one again and again is refused.
        answer = await caller.request(method, path.format(next(scene.service.numbers)), **arguments)
        return answer.status_code, answer.text

    expected = await ask(scene.service.anyone)
    assert expected[0] not in {401, 403}
    tokens = bad_tokens(scene.user, scene.service).values()
    for caller in (scene.user.http, scene.superuser.http, *map(scene.service.client, tokens)):
        assert await ask(caller) == expected
