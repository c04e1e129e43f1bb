"""The steps of revisions on rows in Python, for stores without a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pytest

from backends.models.resources.values import to_json
from eitherdb import Sortable
from eitherdb.migrations import AddField, AddMarkers, AddOwner, AddResource, AddUnique, DropResource, Run
from migrations import MigrationError
from migrations.resources.history import Step
from migrations.resources.rows import Row, RowStore, changed_rows
from tests.migrations.broken_cases import BROKEN, Broken
from tests.migrations.change_cases import CASES, OWNER, Case, Text, declare
from tests.migrations.shop import history_with

OWNER_ID = "a" * 24
SERVED = {"created_at": "2026-11-22T16:25:25.123Z", "version": 1}


def store_of(rows: Sequence[Row]) -> RowStore:
    """Return a store with these books and one user."""
    users = {OWNER: OWNER_ID}
    return RowStore(lambda name: rows if name == "books" else [], users.get)


def stored(rows: Sequence[dict[str, Any]], *, owned: bool = False) -> list[Row]:
    """Return books with these values, as a store keeps them."""
    found = []
    for number, row in enumerate(rows):
        values = {"title": f"Book {number}", **row}
        served = {"owner_id": OWNER_ID} if owned else {}
        given = {
            name: OWNER_ID if name.endswith("_id") and value == OWNER else to_json(value)
            for name, value in values.items()
        }
        found.append({"id": f"{number:024x}", **given, **SERVED, **served})
    return found


def merged(rows: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with these changes."""
    return [{**row, **change} for row, change in zip(rows, changes, strict=True)]


def only(rows: Sequence[Row], case: dict[str, Any], *, owned: bool) -> list[Row]:
    """Return the rows without fields that a declaration lacks."""
    names = {"id", "title", *case, *SERVED, *(["owner_id"] if owned else [])}
    return [{name: value for name, value in row.items() if name in names} for row in rows]


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_rows_are_changed_and_changed_back_as_on_a_database(case: Case) -> None:
    """The cases and the rows are those of the tests of the databases."""
    before, after = declare(case.before, **case.options), declare(case.after, **case.options_after)
    owned, owned_after = before.__resource__.owned, after.__resource__.owned
    history = history_with([AddResource(before.__resource__)], case.operations(after.__resource__))
    revision = history.revisions[1]
    rows = stored(case.rows, owned=owned)

    changed = changed_rows(store_of(rows), "shop:0002", revision.steps).get("books", rows)

    expected = stored(merged(case.rows, case.changed), owned=owned_after)
    assert changed == only(expected, case.after, owned=owned_after)
    if case.undone is not None:
        back = changed_rows(store_of(changed), "shop:0002", revision.undoing()).get("books", changed)
        expected = stored(merged(case.rows, case.undone), owned=owned)
        assert back == only(expected, case.before, owned=owned)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in BROKEN.items()])
def test_rows_that_break_a_rule_are_named_as_on_a_database(case: Broken) -> None:
    """The messages are those of the databases."""
    before = declare(case.before, owned=case.owned)
    history = history_with(
        [AddResource(before.__resource__)],
        [AddMarkers("books", "title", ("sortable",)), *case.operations],
    )
    rows = stored(case.rows, owned=case.owned)
    ids = [row["id"] for row in rows]
    bad = ids if "no owner" in case.message else ids[:-1]

    with pytest.raises(MigrationError) as caught:
        changed_rows(store_of(rows), "shop:0002", history.revisions[1].steps)

    named = ", ".join(bad[:3]) + " and others" * (len(bad) > 3)
    assert str(caught.value).startswith(
        f"revision shop:0002: {case.message} {named}; this revision changed nothing; "
    )
    good = [row for row in rows if row["id"] not in bad]
    changed = changed_rows(store_of(good), "shop:0002", history.revisions[1].steps)["books"]
    assert [row["id"] for row in changed] == [row["id"] for row in good]


def steps_of(*operations: Any) -> list[Step]:
    """Return the steps of a revision of books."""
    return history_with([AddResource(declare({}).__resource__)], operations).revisions[1].steps


def test_rows_with_the_same_values_are_named_in_the_order_of_their_ids() -> None:
    """As on a database, and not pair by pair."""
    rows = stored([{"title": title} for title in ("a", "b", "c", "b", "a")])
    ids = [row["id"] for row in rows if row["title"] != "c"]
    with pytest.raises(MigrationError, match=f"{', '.join(ids[:3])} and others"):
        changed_rows(store_of(rows), "shop:0002", steps_of(AddUnique("books", ("title",))))


def test_dropped_resource_has_no_rows_also_when_it_is_added_again() -> None:
    """What the caller replaces is empty."""
    spec, rows = declare({}).__resource__, stored([{}, {}])
    assert changed_rows(store_of(rows), "shop:0002", steps_of(DropResource("books"))) == {"books": []}
    again = steps_of(DropResource("books"), AddResource(spec))
    assert changed_rows(store_of(rows), "shop:0002", again) == {"books": []}


def test_owner_that_nobody_is_is_refused_if_there_are_rows() -> None:
    """Without rows, no user is needed."""
    steps = steps_of(AddOwner("books", "Nobody@example.com"))
    with pytest.raises(MigrationError, match=r"no user has the email address 'Nobody@example\.com'"):
        changed_rows(store_of(stored([{}])), "shop:0002", steps)
    assert changed_rows(store_of([]), "shop:0002", steps) == {"books": []}


def test_operation_of_ones_own_is_refused() -> None:
    """It has no body for such a store, and what it does may not be left out."""

    def nothing(_: Any) -> Any:
        raise AssertionError

    field = declare({"new": Annotated[Text, Sortable()]}).__resource__.by_name["new"]
    steps = steps_of(AddField("books", field, "x"), Run(nothing, nothing))
    with pytest.raises(MigrationError, match=r"^revision shop:0002: its Run has bodies for SQL"):
        changed_rows(store_of([]), "shop:0002", steps)
