"""The number of database round trips of each request, for each kind of caller: counted, not timed.

`tests/backends/test_round_trips.py` has the same of every method, with variants and refusals; here is what
a call costs with all that goes before and after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import httpx2
import pytest

from api.security import make_reset_token
from tests.api.routes import OPEN, PROTECTED, Scene
from tests.api.service import PASSWORD, SECRET, as_json, serve
from tests.backends.record import commands_of_clients, names, statements
from tests.provision import Provision

Call = Callable[[Scene], Awaitable[httpx2.Response]]

CALLS: dict[str, Call] = {
    **{route.operation: partial(Scene.send, route=route) for route in (*PROTECTED, *OPEN)},
    "login-login_access_token": lambda scene: scene.service.login(scene.user.user.email, PASSWORD),
    "login-recover_password": lambda scene: scene.service.anyone.post(
        f"/password-recovery/{scene.user.user.email}"
    ),
    "login-reset_password": lambda scene: scene.service.anyone.post(
        "/reset-password/",
        **as_json(
            {
                "token": make_reset_token(scene.user.user, scene.service.settings),
                "new_password": f"{SECRET}-changed",
            }
        ),
    ),
    "utils-health_check": lambda scene: scene.service.anyone.get("/utils/health-check/"),
}

# Statements (on SQLite and on PostgreSQL, where they differ), and MongoDB's commands, sorted. Who
# calls is looked up each time; tries of passwords, and mails, are counted in several ways.
COSTS: dict[str, tuple[int | tuple[int, int], str]] = {
    "login-test_token": (1, "find"),
    "login-recover_password_html_content": (2, "find find"),
    "utils-test_email": (1, "find"),
    "users-logout_everywhere": (2, "find findAndModify"),
    "users-read_users": (2, "aggregate find"),
    "users-create_user": (2, "find insert"),
    "users-read_user_me": (1, "find"),
    "users-update_user_me": (2, "find findAndModify"),
    "users-update_password_me": (
        12,
        "delete delete find find find find find find find find findAndModify findAndModify findAndModify",
    ),
    "users-delete_user_me": (6, "commitTransaction delete delete delete delete find find insert"),
    "users-read_user_by_id": (1, "find"),
    "users-update_user": (2, "find findAndModify"),
    "users-delete_user": (6, "commitTransaction delete delete delete delete find find insert"),
    "items-read_items": (2, "aggregate find"),
    "items-create_item": (2, "find find insert"),
    "items-create_items": (2, "commitTransaction find find insert"),
    "items-read_item": ((2, 1), "find find"),
    "items-patch_item": (2, "find findAndModify"),
    "items-update_item": (2, "find findAndModify"),
    "items-delete_item": (2, "delete find"),
    "accounts-read_accounts": (2, "aggregate find"),
    "accounts-create_account": (2, "commitTransaction find insert update"),
    "accounts-read_account": (2, "find find"),
    "accounts-delete_account": (2, "delete find"),
    "accounts-create_deposit": ((5, 2), "commitTransaction find findAndModify insert"),
    "accounts-create_withdrawal": ((5, 2), "commitTransaction find findAndModify insert"),
    "accounts-read_statement": (3, "find find find"),
    "transfers-read_transfers": (2, "aggregate find"),
    "transfers-create_transfer": ((6, 2), "commitTransaction find findAndModify findAndModify insert"),
    "transfers-read_transfer": (2, "find find"),
    "users-register_user": (2, "find insert"),
    "private-create_user": (1, "insert"),
    "login-login_access_token": (
        11,
        "delete delete find find find find find find find find findAndModify findAndModify",
    ),
    "login-recover_password": (
        5,
        "delete find findAndModify findAndModify findAndModify findAndModify findAndModify findAndModify",
    ),
    "login-reset_password": (5, "delete delete find findAndModify findAndModify findAndModify"),
    "utils-health_check": (0, ""),
}


async def test_every_operation_is_counted(migrated: Provision) -> None:
    """An operation that is added is given its row here."""
    async with serve(migrated) as service:
        operations = {
            operation["operationId"]
            for methods in service.app.openapi()["paths"].values()
            for operation in methods.values()
        }
    assert set(CALLS) == set(COSTS) == operations


@pytest.mark.parametrize("operation", CALLS)
async def test_request_is_so_many_round_trips(migrated: Provision, operation: str) -> None:
    """One for the caller, one for most calls, and what needs more says so here."""
    expected, commands = COSTS[operation]
    await migrated.clean()
    with commands_of_clients() as sent:
        async with serve(migrated, db_pool_size=1) as service:
            routes = {route.operation: route for route in (*PROTECTED, *OPEN)}
            scene = await Scene.make(service, routes.get(operation))
            if migrated.name.startswith("mongo"):
                sent.clear()
                answer = await CALLS[operation](scene)
                assert " ".join(sorted(names(sent))) == commands
            else:
                async with statements(service.backend) as ran:
                    answer = await CALLS[operation](scene)
                count = expected if isinstance(expected, int) else expected[migrated.name == "postgres"]
                assert len(ran) == count, ran
    assert answer.is_success, answer.text
