"""Who may call what: every operation of every declared resource against every kind of caller.

The table of verdicts is written here once, by the words of a declaration. A resource that is added to
`declared` is covered without another line, except for its body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from backends.ids import new_id
from backends.models.resources import Resource
from tests.api.declared import DECLARED, Article, AuditEntry, Author, Book, LineItem, Notice
from tests.api.responses import (
    NOT_AUTHENTICATED,
    NOT_OWNER,
    NOT_PRIVILEGED,
    Refusal,
    assert_refused,
)
from tests.api.service import Service, as_json

YES = None

# What somebody without a token, another user, the owner and a superuser are answered.
Verdicts = tuple[Refusal | None, Refusal | None, Refusal | None, Refusal | None]
VERDICTS: dict[str, Verdicts] = {
    "anyone": (YES, YES, YES, YES),
    "signed_in": (NOT_AUTHENTICATED, YES, YES, YES),
    "owner": (NOT_AUTHENTICATED, NOT_OWNER, YES, YES),
    "superuser": (NOT_AUTHENTICATED, NOT_PRIVILEGED, NOT_PRIVILEGED, YES),
}
OWN_LIST: Verdicts = (NOT_AUTHENTICATED, YES, YES, YES)
"""Everybody who is signed in may ask for a list of rows of one's own."""

OPERATIONS = {
    "list": ("GET", "/", "read"),
    "create": ("POST", "/", "create"),
    "create many": ("POST", "/bulk", "create"),
    "read": ("GET", "/{id}", "read"),
    "patch": ("PATCH", "/{id}", "change"),
    "put": ("PUT", "/{id}", "change"),
    "delete": ("DELETE", "/{id}", "delete"),
}

BODIES: dict[type[Resource], Callable[[], dict[str, Any]]] = {
    Author: lambda: {"name": new_id()},
    Book: lambda: {"title": "Book", "isbn": str(int(new_id(), 16))[-13:]},
    LineItem: lambda: {"label": "One"},
    Notice: lambda: {"text": "One"},
    AuditEntry: lambda: {"text": "One"},
    Article: lambda: {"title": "One"},
}


def expected(cls: type[Resource], operation: str) -> Verdicts:
    """Return the verdicts on an operation of a resource."""
    who = getattr(cls.__resource__.access, OPERATIONS[operation][2])
    return OWN_LIST if operation == "list" and who == "owner" else VERDICTS[who]


def test_every_declared_resource_has_a_body() -> None:
    """A resource that is added without one fails here."""
    assert set(BODIES) == set(DECLARED)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
async def test_operation_lets_in_whom_the_declaration_names(
    declared: Service, cls: type[Resource], operation: str
) -> None:
    """Everyone else is refused, and the row stays as it is."""
    spec = cls.__resource__
    rows = declared.backend.resources[spec.name]
    other, owner, superuser = await declared.user(), await declared.user(), await declared.superuser()
    method, path, _ = OPERATIONS[operation]
    callers = (declared.anyone, other.http, owner.http, superuser.http)
    for caller, verdict in zip(callers, expected(cls, operation), strict=True):
        new = cls.model_validate(BODIES[cls]())
        row = await rows.add(new, owner_id=owner.id if spec.owned else None)
        body = {"create many": {"data": [BODIES[cls]()]}, "create": BODIES[cls](), "patch": {}, "put": {}}
        answer = await caller.request(
            method,
            f"/{spec.path}{path.format(id=row.id)}",
            **(as_json(body[operation]) if operation in body else {}),
        )
        if verdict is not YES:
            assert_refused(answer, verdict)
            assert await rows.get(row.id) == row
            continue
        assert answer.status_code == 200, answer.text
        if operation == "create" and spec.owned:
            names = {str(owner.http): owner.id, str(other.http): other.id}
            assert answer.json()["owner_id"] == names.get(str(caller), answer.json()["owner_id"])


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
async def test_list_shows_the_rows_that_the_caller_may_read(declared: Service, cls: type[Resource]) -> None:
    """One's own rows where an owner reads; else all of them, or those of an owner who is named."""
    spec = cls.__resource__
    rows = declared.backend.resources[spec.name]
    owner, other, superuser = await declared.user(), await declared.user(), await declared.superuser()
    new = cls.model_validate(BODIES[cls]())
    row = await rows.add(new, owner_id=owner.id if spec.owned else None)

    async def sees(caller: httpx2.AsyncClient, **query: Any) -> bool:
        answer = await caller.get(f"/{spec.path}/", params={"limit": 1000, **query})
        return answer.status_code == 200 and row.id in {each["id"] for each in answer.json()["data"]}

    who = spec.access.read
    assert await sees(declared.anyone) is (who == "anyone")
    assert await sees(other.http) is (who in {"anyone", "signed_in"})
    assert await sees(owner.http) is (who != "superuser")
    assert await sees(superuser.http)
    if spec.owned:
        assert await sees(superuser.http, owner_id=owner.id)
        assert not await sees(superuser.http, owner_id=other.id)
        assert await sees(other.http, owner_id=owner.id) is (who in {"anyone", "signed_in"})


@pytest.mark.parametrize("operation", ["read", "patch", "delete"])
async def test_public_row_is_read_by_everybody_and_changed_by_its_owner(
    declared: Service, operation: str
) -> None:
    """`public_when` is about reading, and about rows that fit all of it."""
    owner, other = await declared.user(), await declared.user()
    books = declared.backend.resources["books"]
    published = {"state": "published", "published_on": "2026-01-02"}
    for values, is_public in ((published, True), ({**published, "rank": 2}, False), ({}, False)):
        row = await books.add(Book.model_validate({**BODIES[Book](), **values}), owner_id=owner.id)
        method, path, _ = OPERATIONS[operation]
        url = f"/books{path.format(id=row.id)}"
        answer = await other.http.request(method, url, **(as_json({}) if operation == "patch" else {}))
        if is_public and operation == "read":
            assert (answer.status_code, answer.json()["id"]) == (200, row.id)
        else:
            assert_refused(answer, NOT_OWNER)
        assert_refused(await declared.anyone.get(url), NOT_AUTHENTICATED)


@pytest.mark.parametrize("token", ["", "broken"])
async def test_routes_for_anyone_ignore_the_token(declared: Service, token: str) -> None:
    """As those for signing up do."""
    client = declared.client(token)
    made = await client.post("/notices/", **as_json({"text": "One"}))
    assert made.status_code == 200, made.text
    assert (await client.get(f"/notices/{made.json()['id']}")).text == made.text
