"""Items: add, get, update and delete, and round trips of all fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backends.errors import AlreadyExists, NotFound
from backends.ids import is_id
from backends.models import Item, ItemChanges, NewItem, Page, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import all_rows, changed, facts, race, raises
from .samples import FULL_ITEM, OTHER_ITEM, UNKNOWN_ID, hex_id, malformed_ids, new_item

NULLABLE = [name for name, field in NewItem.model_fields.items() if field.default is None]
ALL_NULL: dict[str, Any] = {**FULL_ITEM, **dict.fromkeys(NULLABLE)}


@pytest.fixture
async def full(backend: Backend, owner: User) -> Item:
    """Return an item with every field set."""
    return await backend.items.add(NewItem.model_validate(FULL_ITEM), owner_id=owner.id)


def _changes(**values: Any) -> Any:
    return ItemChanges.model_validate(values)


@pytest.mark.rule("Null")
@pytest.mark.parametrize("sample", [FULL_ITEM, OTHER_ITEM, ALL_NULL], ids=["full", "other", "nulls"])
async def test_add_returns_what_get_returns(
    backend: Backend, owner: User, clock: ManualClock, sample: dict[str, Any]
) -> None:
    """`add` and each read method return every field as it was given."""
    clock.now = datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC)

    item = await backend.items.add(NewItem.model_validate(sample), owner_id=owner.id)

    expected = Item.of_fields(
        {
            "id": item.id,
            **sample,
            "owner_id": owner.id,
            "created_at": datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC),
            "version": 1,
        }
    )
    assert item == expected
    assert await backend.items.get(item.id) == expected
    assert await backend.items.get(item.id, owner_id=owner.id) == expected
    assert await backend.items.list() == Page.of([expected], count=1, next=None)
    assert await backend.items.list(owner_id=owner.id) == Page.of([expected], count=1, next=None)


@pytest.mark.rule("Null")
async def test_add_fills_in_defaults(backend: Backend, owner: User) -> None:
    """A field that is left out is null."""
    item = await backend.items.add(NewItem(title="only"), owner_id=owner.id)

    given: dict[str, Any] = {
        "id": item.id,
        "owner_id": owner.id,
        "created_at": item.created_at,
        "version": 1,
        "title": "only",
    }
    assert item == Item.of_fields({**dict.fromkeys(ALL_NULL), **given})
    assert await backend.items.get(item.id) == item


@pytest.mark.rule("Identity")
async def test_add_makes_fresh_ids(backend: Backend, owner: User) -> None:
    """Ids are well-formed and unique, also for items with equal fields."""
    items = [await backend.items.add(new_item(), owner_id=owner.id) for _ in range(5)]

    assert all(is_id(item.id) for item in items)
    assert len({item.id for item in items}) == 5
    assert await all_rows(backend) == ([owner], items[::-1])


@pytest.mark.rule("Uniqueness")
async def test_add_refuses_id_in_use(
    given_ids: Backend, ids: ManualIds, owner: User, other_user: User
) -> None:
    """A duplicate id raises an error about the id; the existing row is unchanged."""
    ids.upcoming = [hex_id(1), hex_id(1)]
    first = await given_ids.items.add(new_item(1), owner_id=owner.id)

    with raises(AlreadyExists("item", "id")):
        await given_ids.items.add(new_item(2), owner_id=other_user.id)

    assert await all_rows(given_ids) == ([other_user, owner], [first])


@pytest.mark.rule("Identity")
async def test_add_lets_an_item_have_the_id_of_a_user(
    given_ids: Backend, ids: ManualIds, owner: User
) -> None:
    """Ids are unique per entity only."""
    ids.upcoming = [owner.id]

    item = await given_ids.items.add(new_item(), owner_id=owner.id)

    assert item.id == owner.id
    assert await all_rows(given_ids) == ([owner], [item])


@pytest.mark.rule("References")
async def test_add_for_unknown_owner_raises_not_found(backend: Backend, owner: User) -> None:
    """An item needs an existing owner; otherwise no row is stored."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    for id_ in [UNKNOWN_ID, item.id, *malformed_ids(owner.id)]:
        with raises(NotFound("user", id_)):
            await backend.items.add(new_item(), owner_id=id_)

    assert await all_rows(backend) == ([owner], [item])


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", OTHER_ITEM)
async def test_update_of_one_field_leaves_the_others(backend: Backend, full: Item, name: str) -> None:
    """Only the given field changes, and only on this item."""
    neighbour = await backend.items.add(new_item(), owner_id=full.owner_id)

    updated = await backend.items.update(full.id, _changes(**{name: OTHER_ITEM[name]}))

    assert updated == changed(full, **{name: OTHER_ITEM[name]})
    assert await backend.items.get(full.id) == updated
    assert await backend.items.list() == Page.of([neighbour, updated], count=2, next=None)


@pytest.mark.rule("Null")
async def test_update_of_all_fields_keeps_identity(backend: Backend, full: Item) -> None:
    """All mutable fields change in one call; id, owner and time of creation stay."""
    updated = await backend.items.update(full.id, _changes(**OTHER_ITEM))

    assert updated == changed(full, **OTHER_ITEM)
    assert await backend.items.get(full.id) == updated


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", NULLABLE)
async def test_update_to_none_clears_the_field(backend: Backend, full: Item, name: str) -> None:
    """An explicit None clears a field, unlike a field that is left out."""
    cleared = await backend.items.update(full.id, _changes(**{name: None}))

    nothing: dict[str, Any] = {name: None}
    assert cleared == changed(full, **nothing)
    assert await backend.items.get(full.id) == cleared

    restored = await backend.items.update(full.id, _changes(**{name: FULL_ITEM[name]}))

    assert restored == changed(full, version=3)
    assert await backend.items.get(full.id) == restored


@pytest.mark.rule("Null")
async def test_update_with_no_field_set_returns_the_item(backend: Backend, full: Item) -> None:
    """An update without fields changes nothing."""
    assert await backend.items.update(full.id, ItemChanges()) == full
    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Versions")
async def test_update_to_equal_values_is_a_new_version(backend: Backend, full: Item) -> None:
    """An update with equal values succeeds and increments the version."""
    updated = await backend.items.update(full.id, _changes(**FULL_ITEM), owner_id=full.owner_id)

    assert updated == changed(full)
    assert await backend.items.list() == Page.of([updated], count=1, next=None)


@pytest.mark.rule("Atomicity")
async def test_delete_removes_the_item_alone(backend: Backend, full: Item, owner: User) -> None:
    """A deleted item can't be read in any way; its owner and other items can."""
    neighbour = await backend.items.add(new_item(), owner_id=owner.id)

    await backend.items.delete(full.id)

    with raises(NotFound("item", full.id)):
        await backend.items.get(full.id)
    assert await all_rows(backend) == ([owner], [neighbour])


@pytest.mark.rule("Identity")
async def test_get_of_unknown_id_raises_not_found(backend: Backend, full: Item) -> None:
    """Unknown and malformed ids raise the same error for every caller."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.get(id_, owner_id=owner_id)


@pytest.mark.rule("Identity")
@pytest.mark.parametrize("changes", [{}, OTHER_ITEM], ids=["no field", "every field"])
async def test_update_of_unknown_id_raises_not_found(
    backend: Backend, full: Item, changes: dict[str, Any]
) -> None:
    """Unknown and malformed ids raise the same error; no row is created."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.update(id_, _changes(**changes), owner_id=owner_id)

    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Identity")
async def test_delete_of_unknown_id_raises_not_found(backend: Backend, full: Item) -> None:
    """Unknown and malformed ids raise the same error; nothing is deleted."""
    for id_ in [UNKNOWN_ID, full.owner_id, *malformed_ids(full.id)]:
        for owner_id in (None, full.owner_id):
            with raises(NotFound("item", id_)):
                await backend.items.delete(id_, owner_id=owner_id)

    assert await backend.items.list() == Page.of([full], count=1, next=None)


@pytest.mark.rule("Atomicity")
async def test_concurrent_deletes_of_one_item_let_one_win(backend: Backend, full: Item) -> None:
    """One call deletes; the others raise NotFound, with or without an owner."""
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
    """No update overwrites a concurrent update of another field."""
    version = full.version
    for target in (OTHER_ITEM, FULL_ITEM) * 10:
        results, errors = await race(
            backend.items.update(full.id, _changes(**{name: value})) for name, value in target.items()
        )

        assert (len(results), errors) == (len(target), [])
        version += len(target)
        assert await backend.items.get(full.id) == changed(full, version=version, **target)
        for name, result in zip(target, results, strict=True):
            assert getattr(result, name) == target[name]


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_of_the_same_fields_do_not_mix(backend: Backend, full: Item) -> None:
    """Each update is atomic: it returns its own values, and the last one's are stored."""
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
    """An update after the deletion raises NotFound and doesn't restore the item."""
    updates = [backend.items.update(full.id, _changes(title=f"t{n}")) for n in range(20)]
    calls = [*updates[:10], backend.items.delete(full.id), *updates[10:]]

    results, errors = await race(calls)

    assert results.count(None) == 1
    assert [item for item in results if item is not None] == [
        changed(full, version=item.version, title=item.title) for item in results if item is not None
    ]
    assert set(errors) <= {facts(NotFound("item", full.id))}
    assert await backend.items.list() == Page.of([], count=0, next=None)
