"""Bulk `add_many`: all items or none, in the order given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.capabilities import Capability
from backends.errors import AlreadyExists, BackendError, NotFound, NotSupported
from backends.ids import is_id
from backends.models import Item, ItemFilter, NewItem, Page, User
from backends.protocols import MAX_ADDED, Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds, Opener
from .expectations import MAX_ATTEMPTS, all_rows, delete_user_with_retries, facts, race, raises
from .samples import FULL_ITEM, OTHER_ITEM, UNKNOWN_ID, hex_id, malformed_ids, new_item, new_user
from .test_text import TEXTS

pytestmark = pytest.mark.rule("Many at once")

OPERATION = "items.add_many"
ADDERS = 6
SIZE = 7


async def add_many(backend: Backend, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
    """Add the items. Expect a refusal if the backend lacks the required capability."""
    if Capability.TRANSACTIONS in backend.capabilities:
        return await backend.items.add_many(new, owner_id=owner_id)
    with raises(NotSupported(OPERATION, Capability.TRANSACTIONS)):
        await backend.items.add_many(new, owner_id=owner_id)
    return []


def expected(backend: Backend, error: BackendError) -> BackendError:
    """Return this error, or the error for the missing capability, which comes first."""
    has_it = Capability.TRANSACTIONS in backend.capabilities
    return error if has_it else NotSupported(OPERATION, Capability.TRANSACTIONS)


async def test_add_many_returns_what_get_returns(
    backend: Backend, owner: User, other_user: User, clock: ManualClock
) -> None:
    """`add_many` and each read method return every field as it was given, in the order given."""
    clock.now = datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC)
    neighbour = await backend.items.add(new_item(), owner_id=other_user.id)
    clock.now = now = datetime(2026, 11, 23, 4, 5, 6, 8_000, tzinfo=UTC)
    samples: list[dict[str, Any]] = [FULL_ITEM, OTHER_ITEM, {**FULL_ITEM, "description": None}]

    items = await add_many(
        backend, [NewItem.model_validate(sample) for sample in samples], owner_id=owner.id
    )

    if Capability.TRANSACTIONS in backend.capabilities:
        assert items == [
            Item.of_fields({"id": item.id, **sample, "owner_id": owner.id, "created_at": now, "version": 1})
            for item, sample in zip(items, samples, strict=True)
        ]
    for item in items:
        assert await backend.items.get(item.id, owner_id=owner.id) == item
    assert await all_rows(backend) == ([other_user, owner], [*items[::-1], neighbour])
    mine = await backend.items.list(owner_id=owner.id)
    assert mine == Page.of(items[::-1], count=len(items), next=None)


async def test_add_many_gives_ids_that_ascend(
    given_ids: Backend, ids: ManualIds, owner: User, other_user: User
) -> None:
    """Lists show the items in the order given, whatever the order of the generated ids."""
    ids.upcoming = [hex_id(n) for n in (3, 1, 2**95, 2)]

    items = await add_many(given_ids, [new_item(n) for n in range(4)], owner_id=owner.id)

    if Capability.TRANSACTIONS in given_ids.capabilities:
        assert [(item.id, item.title) for item in items] == [
            (hex_id(id_), f"item {n}") for n, id_ in enumerate([1, 2, 3, 2**95])
        ]
    assert await all_rows(given_ids) == ([other_user, owner], items[::-1])


async def test_add_many_accepts_one_and_the_maximum(backend: Backend, owner: User) -> None:
    """One item and the maximum are accepted; items with equal fields get distinct ids."""
    for count in (MAX_ADDED - 1, 1):
        before = (await backend.items.list(limit=0)).count
        items = await add_many(backend, [new_item()] * count, owner_id=owner.id)

        if Capability.TRANSACTIONS in backend.capabilities:
            assert before is not None
            assert (await backend.items.list(limit=count)) == Page.of(
                items[::-1],
                count=before + count,
                next=None if not before else (await backend.items.list(limit=count)).next,
            )
            assert all(is_id(item.id) for item in items)
            assert len({item.id for item in items}) == count


async def test_add_many_keeps_text_as_it_is(backend: Backend, owner: User) -> None:
    """Text is never parsed as a query or an escape. Search finds it by its folded form."""
    ends = [
        "".join(map(chr, range(start, start + 100))) for start in (1, 0x2000, 0xFFE0, 0x1FF9C, 0x10FF9C)
    ]
    texts = [*TEXTS.values(), *ends, "\U0010ffff" * 255, "ΐ" * 255]

    items = await add_many(
        backend, [NewItem(title=text, description=text) for text in texts], owner_id=owner.id
    )

    if Capability.TRANSACTIONS in backend.capabilities:
        assert [(item.title, item.description) for item in items] == [(text, text) for text in texts]
    assert await all_rows(backend) == ([owner], items[::-1])


async def test_add_many_lets_search_find_each(backend: Backend, owner: User) -> None:
    """Search finds titles and descriptions of added items in any case."""
    new = [
        NewItem(title="Straße"),
        NewItem(title="other", description="GROẞE STRASSE"),
        NewItem(title="x", description=""),
    ]

    items = await add_many(backend, new, owner_id=owner.id)

    found = await backend.items.list(where=ItemFilter(q="strasse"))
    assert found == Page.of(items[:2][::-1], count=len(items[:2]), next=None)


@pytest.mark.parametrize("clash", ["with another item", "with each other"])
async def test_add_many_refuses_id_in_use(
    given_ids: Backend, ids: ManualIds, owner: User, other_user: User, clash: str
) -> None:
    """A duplicate id at any index of the list prevents all of the items."""
    ids.upcoming = [hex_id(3)]
    first = await given_ids.items.add(new_item(1), owner_id=other_user.id)
    taken = 3 if clash == "with another item" else 4

    for place in range(5):
        upcoming = [hex_id(n) for n in (5, 6, 7, 8)]
        upcoming.insert(place, hex_id(taken))
        ids.upcoming = upcoming if taken == 3 else [*upcoming, hex_id(4)]
        new = [new_item(n) for n in range(len(ids.upcoming))]
        with raises(expected(given_ids, AlreadyExists("item", "id"))):
            await given_ids.items.add_many(new, owner_id=owner.id)

        assert await all_rows(given_ids) == ([other_user, owner], [first])


@pytest.mark.rule("References")
async def test_add_many_for_unknown_owner_raises_not_found(backend: Backend, owner: User) -> None:
    """Items need an existing owner; otherwise no row is stored."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    for id_ in [UNKNOWN_ID, item.id, *malformed_ids(owner.id)]:
        with raises(expected(backend, NotFound("user", id_))):
            await backend.items.add_many([new_item(n) for n in range(3)], owner_id=id_)

    assert await all_rows(backend) == ([owner], [item])


async def test_concurrent_add_many_by_one_owner_all_succeed(
    backend: Backend, owner: User, open_another: Opener
) -> None:
    """Concurrent calls of one owner don't conflict, within one process or between two."""
    another = await open_another()

    made, errors = await race(
        add_many((backend, another)[n % 2], [new_item(n)] * SIZE, owner_id=owner.id) for n in range(40)
    )

    assert errors == []
    _, stored = await all_rows(backend)
    assert {item.id: item for item in stored} == {item.id: item for items in made for item in items}
    if Capability.TRANSACTIONS in backend.capabilities:
        assert [[item.title for item in items] for items in made] == [
            [f"item {n}"] * SIZE for n in range(40)
        ]
        assert len(stored) == 40 * SIZE


@pytest.mark.rule("References", "Conflicts")
async def test_delete_racing_add_many_leaves_no_orphan(backend: Backend, open_another: Opener) -> None:
    """Each call returns or raises NotFound; no item of the deleted owner remains."""
    another = await open_another()
    if Capability.TRANSACTIONS not in backend.capabilities:
        user = await backend.users.add(new_user())
        assert await add_many(backend, [new_item()], owner_id=user.id) == []
        assert await all_rows(backend) == ([user], [])
        return

    for number in range(12):
        user = await backend.users.add(new_user(number))
        begun = asyncio.Semaphore(0)

        async def add_until_refused(
            adder: int, user: User = user, begun: asyncio.Semaphore = begun
        ) -> None:
            chosen = (backend, another)[adder % 2]
            with raises(NotFound("user", user.id)):
                for _ in range(MAX_ATTEMPTS):
                    await chosen.items.add_many([new_item(n) for n in range(SIZE)], owner_id=user.id)
                    begun.release()

        async with asyncio.TaskGroup() as tasks:
            for adder in range(ADDERS):
                tasks.create_task(add_until_refused(adder))
            for _ in range(number % 5):
                await begun.acquire()
            assert await delete_user_with_retries((another, backend)[number % 2], user.id)

        assert await all_rows(backend) == await all_rows(another) == ([], [])


@pytest.mark.rule("Atomicity")
async def test_add_many_is_seen_whole_by_readers(
    backend: Backend, owner: User, open_another: Opener
) -> None:
    """No reader counts only a part of the items."""
    another = await open_another()
    seen: set[int | None] = set()

    async def watch(until: asyncio.Task[None]) -> None:
        while not until.done():
            seen.add((await another.items.list(limit=0)).count)
            await asyncio.sleep(0)  # Yields, because not every backend waits for a server.

    async def add() -> None:
        for number in range(6):
            await add_many(
                backend, [new_item(n) for n in range(number * SIZE, 6 * SIZE)], owner_id=owner.id
            )

    async with asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(add())
        tasks.create_task(watch(adding))

    sizes = [(6 - number) * SIZE for number in range(6)]
    assert seen <= {sum(sizes[:n]) for n in range(7)}


@pytest.mark.rule("Atomicity")
async def test_cancelled_add_many_happens_whole_or_not_at_all(
    backend: Backend, owner: User, other_user: User
) -> None:
    """A call that is cancelled at any point stores all of its items or none."""
    for number in range(12):
        new = [NewItem(title=f"{number}")] * SIZE
        tasks = [
            asyncio.create_task(backend.items.add_many(new, owner_id=id_)) for id_ in (owner.id, UNKNOWN_ID)
        ]
        for _ in range(number * number % 11):
            await asyncio.sleep(0)
        for _ in range(number // 4):
            await backend.users.get(owner.id)
        for task in tasks:
            task.cancel()
        outcome, refusal = await asyncio.gather(*tasks, return_exceptions=True)

        while backend.connections_in_use:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.005)
        made = (await backend.items.list(where=ItemFilter(title=f"{number}"))).data
        assert len(made) in {0, SIZE}
        if isinstance(outcome, BackendError):
            assert facts(outcome) == facts(NotSupported(OPERATION, Capability.TRANSACTIONS))
        elif not isinstance(outcome, BaseException):
            assert outcome == made[::-1]
        assert isinstance(refusal, BaseException)
    users, items = await all_rows(backend)
    assert users == [other_user, owner]
    assert {item.owner_id for item in items} <= {owner.id}
