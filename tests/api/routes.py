"""The routes as data, for tests of rules that several routes share, and a scene of rows to call them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from backends.capabilities import Capability
from backends.ids import new_id
from backends.models import Item, NewAccount, NewEntry
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json

Access = Literal["anyone", "user", "superuser"]
Kind = Literal[
    "email", "password", "name", "title", "description", "flag", "currency", "amount", "source", "target"
]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body: what it takes and whether it may be left out or be null."""

    kind: Kind
    required: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, who may call it, and a body that it accepts: by its fields, unless that is a list."""

    operation: str
    method: str
    path: str
    access: Access
    body: Mapping[str, Any] | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name the tests of this route."""
        return self.operation


EMAIL = Field("email", required=True)
WORD = Field("password", required=True)
NAME = Field("name", nullable=True)
DESCRIPTION = Field("description", nullable=True)
FLAG = Field("flag")

_NEW_USER = {"email": "new@example.com", "password": f"{SECRET}-new", "full_name": "New"}
_CHANGED_ITEM = {"title": "Changed", "description": "Changed"}
_CHANGED_ITEM_FIELDS = {"title": Field("title"), "description": DESCRIPTION}

_ENTRY = (
    {"amount_minor": 5, "note": "New"},
    {"amount_minor": Field("amount", required=True), "note": DESCRIPTION},
)
# In a body they stand for the scene's accounts.
SOURCE, TARGET = "{account_id}", "{empty_account_id}"

PROTECTED = [
    Route("login-test_token", "POST", "/login/test-token", "user"),
    Route(
        "login-recover_password_html_content",
        "POST",
        "/password-recovery-html-content/{email}",
        "superuser",
    ),
    Route(
        "utils-test_email",
        "POST",
        "/utils/test-email/",
        "superuser",
        query={"email_to": "somebody@example.com"},
    ),
    Route("users-logout_everywhere", "POST", "/users/me/logout-everywhere", "user"),
    Route("users-read_users", "GET", "/users/", "superuser"),
    Route(
        "users-create_user",
        "POST",
        "/users/",
        "superuser",
        {**_NEW_USER, "is_active": True, "is_superuser": False},
        {"email": EMAIL, "password": WORD, "full_name": NAME, "is_active": FLAG, "is_superuser": FLAG},
    ),
    Route("users-read_user_me", "GET", "/users/me", "user"),
    Route(
        "users-update_user_me",
        "PATCH",
        "/users/me",
        "user",
        {"email": "changed@example.com", "full_name": "Changed"},
        {"email": Field("email"), "full_name": NAME},
    ),
    Route(
        "users-update_password_me",
        "PATCH",
        "/users/me/password",
        "user",
        {"current_password": PASSWORD, "new_password": f"{SECRET}-changed"},
        {"current_password": WORD, "new_password": WORD},
    ),
    Route("users-delete_user_me", "DELETE", "/users/me", "user"),
    Route("users-read_user_by_id", "GET", "/users/{user_id}", "user"),
    Route(
        "users-update_user",
        "PATCH",
        "/users/{user_id}",
        "superuser",
        {"email": "changed@example.com", "full_name": "Changed", "password": f"{SECRET}-changed"},
        {
            "email": Field("email"),
            "full_name": NAME,
            "password": Field("password"),
            "is_active": FLAG,
            "is_superuser": FLAG,
        },
    ),
    Route("users-delete_user", "DELETE", "/users/{user_id}", "superuser"),
    Route("items-read_items", "GET", "/items/", "user"),
    Route(
        "items-create_item",
        "POST",
        "/items/",
        "user",
        {"title": "New", "description": "New"},
        {"title": Field("title", required=True), "description": DESCRIPTION},
    ),
    Route(
        "items-create_items",
        "POST",
        "/items/bulk",
        "user",
        {"data": [{"title": "New"}, {"title": "Newer"}]},
    ),
    Route("items-read_item", "GET", "/items/{item_id}", "user"),
    Route("items-patch_item", "PATCH", "/items/{item_id}", "user", _CHANGED_ITEM, _CHANGED_ITEM_FIELDS),
    Route("items-update_item", "PUT", "/items/{item_id}", "user", _CHANGED_ITEM, _CHANGED_ITEM_FIELDS),
    Route("items-delete_item", "DELETE", "/items/{item_id}", "user"),
    Route("accounts-read_accounts", "GET", "/accounts/", "user"),
    Route(
        "accounts-create_account",
        "POST",
        "/accounts/",
        "user",
        {"name": "New", "currency": "EUR"},
        {"name": Field("title", required=True), "currency": Field("currency", required=True)},
    ),
    Route("accounts-read_account", "GET", "/accounts/{account_id}", "user"),
    Route("accounts-delete_account", "DELETE", "/accounts/{empty_account_id}", "user"),
    Route("accounts-create_deposit", "POST", "/accounts/{account_id}/deposits", "superuser", *_ENTRY),
    Route("accounts-create_withdrawal", "POST", "/accounts/{account_id}/withdrawals", "superuser", *_ENTRY),
    Route("accounts-read_statement", "GET", "/accounts/{account_id}/statement", "user"),
    Route("transfers-read_transfers", "GET", "/transfers/", "user"),
    Route(
        "transfers-create_transfer",
        "POST",
        "/transfers/",
        "user",
        {"from_account_id": SOURCE, "to_account_id": TARGET, **_ENTRY[0]},
        {
            "from_account_id": Field("source", required=True),
            "to_account_id": Field("target", required=True),
            **_ENTRY[1],
        },
    ),
    Route("transfers-read_transfer", "GET", "/transfers/{transfer_id}", "user"),
]

OPEN = [
    Route(
        "users-register_user",
        "POST",
        "/users/signup",
        "anyone",
        _NEW_USER,
        {"email": EMAIL, "password": WORD, "full_name": NAME},
    ),
    Route(
        "private-create_user",
        "POST",
        "/private/users/",
        "anyone",
        {**_NEW_USER, "is_verified": True},
        {"email": EMAIL, "password": WORD, "full_name": Field("name", required=True), "is_verified": FLAG},
    ),
]

WITH_BODY = [route for route in (*PROTECTED, *OPEN) if route.body]
WITH_FIELDS = [route for route in WITH_BODY if route.fields]
OF_ONE_ITEM = [route for route in PROTECTED if "{item_id}" in route.path]
FOR_SUPERUSERS = [route for route in PROTECTED if route.access == "superuser"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A user with an item, another user, a superuser; for the routes of accounts also accounts.

    Attributes:
        ids: What stands for what in paths and bodies. With accounts there are `account_id`, in which are
            1000 minor units, and `empty_account_id`, both the user's, and `transfer_id`, the deposit.
            What there is not has an id that nothing has: without accounts these, and where the server
            has no transactions the deposit.
    """

    service: Service
    user: Account
    other: Account
    superuser: Account
    item: Item
    ids: Mapping[str, str]

    @classmethod
    async def make(cls, service: Service, route: Route | None = None) -> Scene:
        """Store what the route needs."""
        user = await service.user("user@example.com", full_name="User")
        other = await service.user("other@example.com", full_name="Other")
        superuser = await service.superuser("superuser@example.com", full_name="Superuser")
        item = await service.item(user, description="Bright")
        ids = {name: new_id() for name in ("account_id", "empty_account_id", "transfer_id")}
        ids["item_id"] = item.id
        if route and route.operation.startswith(("accounts-", "transfers-")):
            accounts = service.backend.accounts
            for name in ("account_id", "empty_account_id"):
                new = NewAccount(name=name, currency="EUR")
                ids[name] = (await accounts.add(new, owner_id=user.id)).id
            if Capability.TRANSACTIONS in service.backend.capabilities:
                money = NewEntry(amount_minor=1000)
                entry = await accounts.deposit(ids["account_id"], money, ordered_by=superuser.id)
                ids["transfer_id"] = entry.id
        return cls(service, user, other, superuser, item, ids)

    def filled(self, body: object) -> object:
        """Return the body with the scene's ids in it."""
        if not isinstance(body, dict):
            return body
        ids = {f"{{{name}}}": id_ for name, id_ in self.ids.items()}
        return {
            name: ids.get(value, value) if isinstance(value, str) else value for name, value in body.items()
        }

    def caller(self, route: Route) -> httpx2.AsyncClient:
        """Return a client that may call the route."""
        clients = {
            "anyone": self.service.anyone,
            "user": self.user.http,
            "superuser": self.superuser.http,
        }
        return clients[route.access]

    def path(self, route: Route, **ids: str) -> str:
        """Return the route's path: one's own id, or the other user's where that needs a superuser."""
        user = self.other if route.access == "superuser" else self.user
        return route.path.format(**{"user_id": user.id, "email": user.user.email, **self.ids, **ids})

    async def send(
        self, route: Route, body: object = None, *, caller: httpx2.AsyncClient | None = None
    ) -> httpx2.Response:
        """Call the route with this body, or with its own valid one, or with none if it takes none."""
        body = self.filled(route.body if body is None else body)
        arguments = {} if body is None else as_json(body)
        caller = caller or self.caller(route)
        return await caller.request(route.method, self.path(route), params=route.query, **arguments)

    async def stored(self) -> list[object]:
        """Return all rows, to compare them with all rows later."""
        accounts = self.service.backend.accounts
        return [
            await self.service.all_users(),
            await self.service.all_items(),
            await accounts.list(),
            await accounts.transfers(),
        ]
