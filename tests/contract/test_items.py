"""Items: add, get, update, delete; what goes in comes out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.errors import AlreadyExists, NotFound
from backends.ids import is_id
from backends.models import Item, ItemChanges, NewItem, Page, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import changed, everything, facts, race, raises
from .samples import FULL_ITEM, OTHER_ITEM, UNKNOWN_ID, hex_id, malformed_ids, new_item

NULLABLE = [name for name, field in NewItem.model_fields.items() if field.default is None]
ALL_NULL: dict[str, Any] = {**FULL_ITEM, **dict.fromkeys(NULLABLE)}


@pytest.fixture
async def full(backend: Backend, owner: User) -> Item:
    """Return an item with every field set."""
    return await backend.items.add(NewItem.model_validate(FULL_ITEM), owner_id=owner.id)


def _changes(**values: Any) -> ItemChanges:
    return ItemChanges.model_validate(values)


@pytest.mark.rule("Null")
@pytest.mark.parametrize("sample", [FULL_ITEM, OTHER_ITEM, ALL_NULL], ids=["full", "other", "nulls"])
async def test_add_returns_what_get_returns(
    backend: Backend, owner: User, clock: ManualClock, sample: dict[str, Any]
) -> None:
    """Every field comes back as it was given, from the call itself and from each way to read."""
    clock.now = datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC)

    item = await backend.items.add(NewItem.model_validate(sample), owner_id=owner.id)

    expected = Item(
        id=item.id,
        owner_id=owner.id,
        created_at=datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC),
        version=1,
        **sample,
    )
    assert item == expected
    assert await backend.items.get(item.id) == expected
    assert await backend.items.get(item.id, owner_id=owner.id) == expected
    assert await backend.items.list() == Page.of([expected], count=1, next=None)
    assert await backend.items.list(owner_id=owner.id) == Page.of([expected], count=1, next=None)


@pytest.mark.rule("Null")
async def test_add_fills_in_defaults(backend: Backend, owner: User) -> None:
    """What is left out is null."""
    item = await backend.items.add(NewItem(title="only"), owner_id=owner.id)

    given: dict[str, Any] = {
        "id": item.id,
        "owner_id": owner.id,
        "created_at": item.created_at,
        "version": 1,
        "title": "only",
    }
    assert item == Item(**{**dict.fromkeys(ALL_NULL), **given})
    assert await backend.items.get(item.id) == item


@pytest.mark.rule("Identity")
async def test_add_makes_fresh_ids(backend: Backend, owner: User) -> None:
    """Ids are well-formed and no two items share one, though all else of them be equal."""
    items = [await backend.items.add(new_item(), owner_id=owner.id) for _ in range(5)]

    assert all(is_id(item.id) for item in items)
    assert len({item.id for item in items}) == 5
    assert await everything(backend) == ([owner], items[::-1])


@pytest.mark.rule("Uniqueness")
async def test_add_refuses_id_in_use(
    given_ids: Backend, ids: ManualIds, owner: User, stranger: User
) -> None:
    """An id that comes twice is an error about the id; the row that has it is left alone."""
    ids.upcoming = [hex_id(1), hex_id(1)]
    first = await given_ids.items.add(new_item(1), owner_id=owner.id)

    with raises(AlreadyExists("item", "id")):
        await given_ids.items.add(new_item(2), owner_id=stranger.id)

    assert await everything(given_ids) == ([stranger, owner], [first])


@pytest.mark.rule("Identity")
async def test_add_lets_an_item_have_the_id_of_a_user(
    given_ids: Backend, ids: ManualIds, owner: User
) -> None:
    """Ids are unique among the rows of one entity, as the contract says, and no more."""
    ids.upcoming = [owner.id]

    item = await given_ids.items.add(new_item(), owner_id=owner.id)

    assert item.id == owner.id
    assert await everything(given_ids) == ([owner], [item])


@pytest.mark.rule("References")
async def test_add_for_unknown_owner_raises_not_found(backend: Backend, owner: User) -> None:
    """An item needs an owner who exists; without one no row is left behind."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    for id_ in [UNKNOWN_ID, item.id, *malformed_ids(owner.id)]:
        with raises(NotFound("user", id_)):
            await backend.items.add(new_item(), owner_id=id_)

    assert await everything(backend) == ([owner], [item])


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", OTHER_ITEM)
async def test_update_of_one_field_leaves_the_others(backend: Backend, full: Item, name: str) -> None:
    """Only the field that is set changes, and only of this item."""
    neighbour = await backend.items.add(new_item(), owner_id=full.owner_id)

    updated = await backend.items.update(full.id, _changes(**{name: OTHER_ITEM[name]}))

    assert updated == changed(full, **{name: OTHER_ITEM[name]})
    assert await backend.items.get(full.id) == updated
    assert await backend.items.list() == Page.of([neighbour, updated], count=2, next=None)


@pytest.mark.rule("Null")
async def test_update_of_all_fields_keeps_identity(backend: Backend, full: Item) -> None:
    """All that can change changes at once; id, owner and time of creation stay."""
    updated = await backend.items.update(full.id, _changes(**OTHER_ITEM))

    assert updated == changed(full, **OTHER_ITEM)
    assert await backend.items.get(full.id) == updated


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", NULLABLE)
async def test_update_to_none_clears_the_field(backend: Backend, full: Item, name: str) -> None:
    """An explicit None clears; it is not the same as leaving the field out."""
    cleared = await backend.items.update(full.id, _changes(**{name: None}))

    nothing: dict[str, Any] = {name: None}
    assert cleared == changed(full, **nothing)
    assert await backend.items.get(full.id) == cleared

    restored = await backend.items.update(full.id, _changes(**{name: FULL_ITEM[name]}))

    assert restored == changed(full, version=3)
    assert await backend.items.get(full.id) == restored


@pytest.mark.rule("Null")
async def test_update_with_no_field_set_returns_the_item(backend: Backend, full: Item) -> None:
    """No field set: nothing changes."""
    assert await backend.items.update(full.id, ItemChanges()) == full
    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Versions")
async def test_update_to_equal_values_is_a_new_version(backend: Backend, full: Item) -> None:
    """The same values again: the item is found though nothing differs, and has the next version."""
    updated = await backend.items.update(full.id, _changes(**FULL_ITEM), owner_id=full.owner_id)

    assert updated == changed(full)
    assert await backend.items.list() == Page.of([updated], count=1, next=None)


@pytest.mark.rule("Atomicity")
async def test_delete_removes_the_item_alone(backend: Backend, full: Item, owner: User) -> None:
    """A deleted item can't be read in any way; its owner and the others can."""
    neighbour = await backend.items.add(new_item(), owner_id=owner.id)

    await backend.items.delete(full.id)

    with raises(NotFound("item", full.id)):
        await backend.items.get(full.id)
    assert await everything(backend) == ([owner], [neighbour])


@pytest.mark.rule("Identity")
async def test_get_of_unknown_id_raises_not_found(backend: Backend, full: Item) -> None:
    """An unknown id and every malformed one are answered alike, whoever asks."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.get(id_, owner_id=owner_id)


@pytest.mark.rule("Identity")
@pytest.mark.parametrize("changes", [{}, OTHER_ITEM], ids=["no field", "every field"])
async def test_update_of_unknown_id_raises_not_found(
    backend: Backend, full: Item, changes: dict[str, Any]
) -> None:
    """An unknown id and every malformed one are answered alike; nothing comes into being."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.update(id_, _changes(**changes), owner_id=owner_id)

    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Identity")
async def test_delete_of_unknown_id_raises_not_found(backend: Backend, full: Item) -> None:
    """An unknown id and every malformed one are answered alike; nothing is deleted."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.delete(id_, owner_id=owner_id)

    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Atomicity")
async def test_concurrent_deletes_of_one_item_let_one_win(backend: Backend, full: Item) -> None:
    """Exactly one call deletes; the others find nothing, whether or not they name the owner."""
    for _ in range(5):
        item = await backend.items.add(new_item(), owner_id=full.owner_id)

        done, errors = await race(
            backend.items.delete(item.id, owner_id=(None, item.owner_id)[n % 2]) for n in range(20)
        )

        assert done == [None]
        assert errors == [facts(NotFound("item", item.id))] * 19
    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_of_different_fields_all_survive(backend: Backend, full: Item) -> None:
    """No update writes back what it read before: none is lost."""
    version = full.version
    for target in (OTHER_ITEM, FULL_ITEM) * 10:
        results, errors = await race(
            backend.items.update(full.id, _changes(**{name: value})) for name, value in target.items()
        )

        assert (len(results), errors) == (len(target), [])
        version += len(target)
        assert await backend.items.get(full.id) == changed(full, version=version, **target)
        for name, result in zip(target, results, strict=True):
            assert asdict(result)[name] == target[name]


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_of_the_same_fields_do_not_mix(backend: Backend, full: Item) -> None:
    """Each update is one step: what it set is in its own result, and the last one's is what stays."""
    forms = [_changes(title=f"t{n}", description=f"t{n}") for n in range(30)]

    results, errors = await race(backend.items.update(full.id, form) for form in forms)

    assert errors == []
    assert results == [
        changed(full, version=result.version, title=f"t{n}", description=f"t{n}")
        for n, result in enumerate(results)
    ]
    assert {result.version for result in results} == set(range(2, 32))
    assert await backend.items.get(full.id) == max(results, key=lambda item: item.version)


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_and_a_delete_end_without_the_item(backend: Backend, full: Item) -> None:
    """An update that comes too late finds nothing and brings nothing back."""
    updates = [backend.items.update(full.id, _changes(title=f"t{n}")) for n in range(20)]
    calls = [*updates[:10], backend.items.delete(full.id), *updates[10:]]

    results, errors = await race(calls)

    assert results.count(None) == 1
    assert [item for item in results if item is not None] == [
        changed(full, version=item.version, title=item.title) for item in results if item is not None
    ]
    assert set(errors) <= {facts(NotFound("item", full.id))}
    assert await backend.items.list() == Page.of([], count=0, next=None)
