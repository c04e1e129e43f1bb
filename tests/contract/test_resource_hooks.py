"""Hooks of a class: they run in front of every way to add or change a row."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from backends.capabilities import Capability
from backends.errors import RuleBroken, VersionMismatch
from backends.models import Idempotency, User
from backends.protocols import Backend, ResourceRepository

from .declared import Draft
from .expectations import refused_without

pytestmark = pytest.mark.rule("Declared rules")

CALLERS = 12


@pytest.fixture
def drafts(library: Backend) -> ResourceRepository[Draft]:
    """Return the repository of drafts."""
    return cast("ResourceRepository[Draft]", library.resources["drafts"])


async def test_hook_sets_fields_of_new_rows(
    library: Backend, drafts: ResourceRepository[Draft], member: User
) -> None:
    """By adding one, adding many and with a key; lists find what it sets."""
    row = await drafts.add(Draft(title="One", slug="mine"), owner_id=member.id)
    assert (row.slug, row.changes, row.version) == ("one", 0, 1)
    assert await drafts.get(row.id) == row
    slugs = ["one"]
    with refused_without(library, Capability.TRANSACTIONS, "drafts.add_many"):
        many = await drafts.add_many([Draft(title="Two"), Draft(title="Three")], owner_id=member.id)
        slugs += [each.slug for each in many]
        assert slugs == ["one", "two", "three"]
    with refused_without(library, Capability.TRANSACTIONS, "drafts.add with an idempotency key"):
        new, key = Draft(title="Four"), Idempotency("key", "a" * 64)
        kept = [await drafts.add(new, owner_id=member.id, idempotency=key) for _ in range(2)]
        assert [each.slug for each in kept] == ["four", "four"]
        assert kept[0] == kept[1]
    for where in ({"slug": "one"}, {"q": "ONE"}):
        assert (await drafts.list(owner_id=member.id, where=where)).data == [row]


async def test_hook_sees_the_row_before_and_after_a_change(
    drafts: ResourceRepository[Draft], member: User
) -> None:
    """It sets fields that the change does not name. A change of nothing runs no hook."""
    row = await drafts.add(Draft(title="One", words=5), owner_id=member.id)
    changed = await drafts.update(row.id, {"title": "Two", "slug": "mine"})
    assert (changed.slug, changed.words, changed.changes, changed.version) == ("two", 5, 1, 2)
    assert await drafts.update(row.id, {}) == changed
    with pytest.raises(VersionMismatch):
        await drafts.update(row.id, {"title": "Three"}, versions=[1])
    assert await drafts.get(row.id) == changed


async def test_refusal_of_a_hook_stores_nothing(
    library: Backend, drafts: ResourceRepository[Draft], member: User
) -> None:
    """A ValueError is a broken rule; so is a value that the field can't have. It names the new row."""
    row = await drafts.add(Draft(title="One", words=5), owner_id=member.id)
    refused = Draft(title="refused")
    with pytest.raises(RuleBroken, match="no draft has this title") as caught:
        await drafts.add(refused, owner_id=member.id)
    assert caught.value.new is refused
    with refused_without(library, Capability.TRANSACTIONS, "drafts.add_many"), pytest.raises(RuleBroken):
        await drafts.add_many([Draft(title="Two"), refused], owner_id=member.id)
    for changes, message in (
        ({"title": "refused"}, "no draft has this title"),
        ({"words": 4}, "a draft gets no shorter"),
    ):
        with pytest.raises(RuleBroken, match=message) as caught:
            await drafts.update(row.id, changes)
        assert caught.value.new is None
    assert (await drafts.list(owner_id=member.id)).data == [row]


async def test_hook_holds_for_changes_at_once(drafts: ResourceRepository[Draft], member: User) -> None:
    """Each change counts once: a hook sees the row that its change replaces."""
    row = await drafts.add(Draft(title="One"), owner_id=member.id)
    changed = await asyncio.gather(
        *(drafts.update(row.id, {"title": f"Title {number}"}) for number in range(CALLERS))
    )
    assert sorted(each.changes for each in changed) == list(range(1, CALLERS + 1))
    found = await drafts.get(row.id)
    assert (found.changes, found.version) == (CALLERS, CALLERS + 1)
    assert found.slug == found.title.lower()
