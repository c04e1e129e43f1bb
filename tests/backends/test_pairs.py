"""Two look-ups by id at the same time are one statement on PostgreSQL; failures stay with their callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backends import open_backend
from backends.errors import NotFound, Unavailable
from backends.models import Item, NewItem, NewUser, User
from backends.protocols import Backend
from backends.sql.statements import Row, Statement, Values
from tests.backends.raw import opened
from tests.backends.record import connections_of, statements
from tests.provision import Provision

UNKNOWN = "0" * 24


@pytest.fixture
async def backend(postgres: Provision) -> AsyncIterator[Backend]:
    """Return a backend with one connection."""
    await postgres.clean()
    settings = postgres.settings.model_copy(update={"db_pool_size": 1})
    async with opened(open_backend(settings)) as backend:
        yield backend


@pytest.fixture
async def user(backend: Backend) -> User:
    """Return a user. The look-ups after it are alone: see `backends.dataloader`."""
    user = await backend.users.add(NewUser(email="ada@example.com", hashed_password="x"))
    await backend.users.get(user.id)
    return user


@pytest.fixture
async def item(backend: Backend, user: User) -> Item:
    """Return an item of the user."""
    item = await backend.items.add(NewItem(title="Notes"), owner_id=user.id)
    await backend.items.get(item.id)
    return item


async def test_two_look_ups_at_once_are_one_statement(backend: Backend, user: User, item: Item) -> None:
    """Each returns its row."""
    async with statements(backend) as sent:
        one, other = await asyncio.gather(backend.users.get(user.id), backend.items.get(item.id))
    assert (one, other) == (user, item)
    assert len(sent) == 1


async def test_row_that_is_missing_is_missing_to_its_caller_only(
    backend: Backend, user: User, item: Item
) -> None:
    """The first, the second, or both."""
    for user_id, item_id in ((user.id, UNKNOWN), (UNKNOWN, item.id), (UNKNOWN, UNKNOWN), ("x", "y")):
        found = await asyncio.gather(
            backend.users.get(user_id), backend.items.get(item_id), return_exceptions=True
        )
        expected = [user if user_id == user.id else NotFound, item if item_id == item.id else NotFound]
        assert expected == [type(each) if isinstance(each, NotFound) else each for each in found]


async def test_three_look_ups_at_once_return_their_rows(backend: Backend, user: User, item: Item) -> None:
    """Two of them share a statement; the third has its own."""
    with pytest.raises(NotFound):
        await backend.accounts.get(UNKNOWN)
    users, items, accounts = backend.users, backend.items, backend.accounts
    one, other, missing = await asyncio.gather(
        users.get(user.id), items.get(item.id), accounts.get(UNKNOWN), return_exceptions=True
    )
    assert (one, other) == (user, item)
    assert isinstance(missing, NotFound)


async def test_cancelled_look_up_leaves_the_other_alone(backend: Backend, user: User, item: Item) -> None:
    """Before the statement is sent, and after."""
    for iterations in range(4):
        for which in (0, 1):
            calls = [
                asyncio.create_task(backend.users.get(user.id)),
                asyncio.create_task(backend.items.get(item.id)),
            ]
            for _ in range(iterations):
                await asyncio.sleep(0)
            calls[which].cancel()
            assert await calls[1 - which] == (item, user)[which]
            with pytest.raises(asyncio.CancelledError):
                await calls[which]


@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a row that can't be read")], ids=repr)
async def test_failure_of_the_shared_statement(
    backend: Backend, user: User, item: Item, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Both callers get the failure of the database. After any other one each has a statement of its own."""
    connections = connections_of(backend)
    run = connections.run

    async def fail_pairs(statement: Statement, values: Values) -> list[Row]:
        if "first_id" in values:
            raise error
        return await run(statement, values)

    monkeypatch.setattr(connections, "run", fail_pairs)
    one, other = await asyncio.gather(
        backend.users.get(user.id), backend.items.get(item.id), return_exceptions=True
    )
    assert (one, other) == ((error, error) if isinstance(error, Unavailable) else (user, item))
