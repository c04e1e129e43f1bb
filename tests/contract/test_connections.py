"""Connections: a small pool serves many callers, and no call leaks a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from backends.capabilities import Capability
from backends.errors import BackendError, NotFound
from backends.models import Item, ItemChanges, NewItem, Page, User, UserChanges
from backends.protocols import Backend
from eitherdb_contract.provision import Provision

from .conftest import Opener
from .expectations import all_rows, changed, facts, race
from .samples import UNKNOWN_ID, new_item, new_user

pytestmark = pytest.mark.rule("Failures")

T = TypeVar("T")

POOL_SIZE = 2


@pytest.fixture
async def small(provision: Provision, open_another: Opener) -> Backend:
    """Return a backend with two connections."""
    limits = {"db_pool_size": POOL_SIZE, "db_command_timeout_seconds": 10.0}
    return await open_another(provision.settings.model_copy(update=limits))


async def _wait_for_idle(backend: Backend) -> None:
    """Wait until no connection is in use, up to a deadline."""

    async def settle() -> None:
        # A call of its own queues behind the work that the driver has not started yet.
        await backend.users.find_by_email("nobody@example.com")
        while backend.connections_in_use:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.005)

    await asyncio.wait_for(settle(), timeout=10)


async def _run_event_loop(backend: Backend, number: int) -> None:
    """Let the event loop run for a time that grows with the number: first iterations, then round trips."""
    for _ in range(number * number % 7):
        await asyncio.sleep(0)
    for _ in range(number // 3):
        await backend.users.find_by_email("nobody@example.com")


async def _cancel(tasks: list[asyncio.Task[T]]) -> list[T | BaseException]:
    """Cancel all tasks. Return their outcomes, which must be results, domain errors or cancellations."""
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, BackendError):
            raise outcome
    return outcomes


def _pair(n: int) -> NewItem:
    """Return an item whose title and description are equal unless a change was applied in part."""
    return NewItem(title=f"{n}", description=f"{n}")


async def test_small_pool_serves_many_concurrent_calls(
    small: Backend, owner: User, other_user: User
) -> None:
    """A hundred concurrent calls of all kinds succeed with two connections."""
    items = [await small.items.add(new_item(n), owner_id=owner.id) for n in range(10)]
    doomed = [await small.items.add(new_item(n), owner_id=owner.id) for n in range(10)]
    most = 0

    async def watched(call: Awaitable[object]) -> object:
        nonlocal most
        most = max(most, small.connections_in_use)
        result = await call
        most = max(most, small.connections_in_use)
        return result

    calls: list[Awaitable[object]] = []
    for n, (item, other) in enumerate(zip(items, doomed, strict=True)):
        calls += [
            small.users.add(new_user(100 + n)),
            small.users.get(owner.id),
            small.users.find_by_email(owner.email),
            small.users.list(limit=3),
            small.users.update(other_user.id, UserChanges(full_name=f"name {n}")),
            small.items.add(new_item(100 + n), owner_id=other_user.id),
            small.items.get(item.id, owner_id=owner.id),
            small.items.list(owner_id=owner.id),
            small.items.update(item.id, ItemChanges(title=f"title {n}"), owner_id=owner.id),
            small.items.delete(other.id),
        ]
    assert len(calls) == 100

    results, errors = await race(watched(call) for call in calls)

    assert errors == []
    assert len(results) == 100
    assert most <= POOL_SIZE
    assert small.connections_in_use == 0
    users, stored = await all_rows(small)
    assert len(users) == 12
    assert len(stored) == 20


async def test_changes_yield_to_the_event_loop(backend: Backend, owner: User) -> None:
    """A caller that only writes doesn't block the event loop."""
    iterations = 0

    async def count_iterations() -> None:
        nonlocal iterations
        while True:
            iterations += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_iterations())
    for number in range(20):
        before = iterations
        item = await backend.items.add(_pair(number), owner_id=owner.id)
        await backend.items.update(item.id, ItemChanges(title="changed"))
        await backend.counters.add("turns", 1, lasts_seconds=60)
        await backend.items.delete(item.id)
        assert iterations > before, "none of four changes let the event loop run"
    counting.cancel()


async def test_failed_calls_keep_no_connection(small: Backend, owner: User, other_user: User) -> None:
    """More failed calls than there are connections: each returns its connection."""
    item = await small.items.add(new_item(), owner_id=owner.id)
    failing: list[Callable[[], Awaitable[object]]] = [
        lambda: small.users.get(UNKNOWN_ID),
        lambda: small.users.add(new_user()),
        lambda: small.users.update(UNKNOWN_ID, UserChanges(full_name="x")),
        lambda: small.users.update(other_user.id, UserChanges(email=owner.email)),
        lambda: small.users.delete(UNKNOWN_ID),
        lambda: small.items.get(UNKNOWN_ID),
        lambda: small.items.add(new_item(), owner_id=UNKNOWN_ID),
        lambda: small.items.update(item.id, ItemChanges(title="x"), owner_id=other_user.id),
        lambda: small.items.delete(item.id, owner_id=other_user.id),
    ]

    results, errors = await race(fail() for fail in failing * 5)

    assert results == []
    assert errors == errors[: len(failing)] * 5
    assert small.connections_in_use == 0
    assert await all_rows(small) == ([other_user, owner], [item])


@pytest.mark.rule("Atomicity")
async def test_cancelled_calls_keep_no_connection(small: Backend, owner: User) -> None:
    """Calls that are cancelled at any point leave the pool intact and the backend usable."""
    items = [await small.items.add(new_item(n), owner_id=owner.id) for n in range(4)]
    reads: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: small.users.get(owner.id),
        lambda: small.users.find_by_email(owner.email),
        lambda: small.users.list(count=False),
        lambda: small.items.get(items[0].id),
        lambda: small.items.list(owner_id=owner.id),
        lambda: small.items.list(count=False),
    ]

    for number in range(12):
        # As many calls as the pool has connections, which replace the connections that were lost.
        await asyncio.gather(*(read() for read in reads))
        tasks = [asyncio.create_task(read()) for read in reads]
        await _run_event_loop(small, number)
        outcomes = await _cancel(tasks)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]

        await _wait_for_idle(small)
        assert await small.users.get(owner.id) == owner
        assert await small.items.list() == Page.of(items[::-1], count=4, next=None)


@pytest.mark.rule("Atomicity", "Lost connections")
async def test_cancelled_writes_happen_whole_or_not_at_all(small: Backend, owner: User) -> None:
    """A cancelled write is applied completely or not at all, and leaks no connection or lock."""
    item = await small.items.add(_pair(0), owner_id=owner.id)
    for number in range(1, 13):
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(
                small.items.update(item.id, ItemChanges(title=f"{number}", description=f"{number}"))
            ),
            asyncio.create_task(small.users.add(new_user(number))),
            asyncio.create_task(small.items.add(_pair(number), owner_id=owner.id)),
        ]
        await _run_event_loop(small, number)
        outcomes = await _cancel(tasks)

        await _wait_for_idle(small)
        users, stored = await _stable_rows(small)
        assert {done.id for done in outcomes if isinstance(done, User)} <= {user.id for user in users}
        assert {done.id for done in outcomes if isinstance(done, Item)} <= {item.id for item in stored}
        assert [row.title for row in stored] == [row.description for row in stored]
        assert {row.owner_id for row in stored} == {owner.id}
        item_now = await small.items.update(item.id, ItemChanges(title="0", description="0"))
        assert item_now == changed(item, version=item_now.version)


async def _stable_rows(backend: Backend) -> tuple[list[User], list[Item]]:
    """Return all rows. Read again if a pending write was applied between the page and its count."""
    try:
        return await all_rows(backend)
    except AssertionError:
        await asyncio.sleep(1)
        return await all_rows(backend)


@pytest.mark.rule("Atomicity")
async def test_cancelled_deletes_happen_whole_or_not_at_all(small: Backend) -> None:
    """After a cancelled deletion the user exists with all items, or neither exists."""
    for number in range(12):
        user = await small.users.add(new_user(number))
        items = [await small.items.add(new_item(n), owner_id=user.id) for n in range(3)]
        task = asyncio.create_task(small.users.delete(user.id))
        await _run_event_loop(small, number)
        (outcome,) = await _cancel([task])

        await _wait_for_idle(small)
        whole = ([user], items[::-1])
        if Capability.TRANSACTIONS not in small.capabilities:
            assert await all_rows(small) == whole
            break
        left = await all_rows(small)
        assert left == ([], []) if outcome is None else left in (whole, ([], []))
        if left == whole:
            await small.users.delete(user.id)
        assert await all_rows(small) == ([], [])


@pytest.mark.rule("References", "Atomicity")
async def test_cancelled_adds_for_unknown_owner_leave_nothing(small: Backend) -> None:
    """A cancelled `add` for an unknown owner stores no item."""
    for number in range(12):
        tasks = [asyncio.create_task(small.items.add(new_item(n), owner_id=UNKNOWN_ID)) for n in range(4)]
        await _run_event_loop(small, number)
        outcomes = await _cancel(tasks)
        errors = [facts(outcome) for outcome in outcomes if isinstance(outcome, BackendError)]
        assert errors == [facts(NotFound("user", UNKNOWN_ID))] * len(errors)

        await _wait_for_idle(small)
        assert await all_rows(small) == ([], [])


async def test_close_twice_does_nothing_the_second_time(open_another: Opener, owner: User) -> None:
    """A second `close` does nothing, and other backends on the database keep working."""
    first, second = await open_another(), await open_another()
    assert await first.users.get(owner.id) == owner

    await first.close()
    await first.close()

    assert first.connections_in_use == 0
    assert await second.users.get(owner.id) == owner
