"""Sorts: every sort of every list, by code point."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backends.models import Item, ItemSort, NewItem, Page, Position, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import race
from .list_kinds import Row, StoredList, position, sorted_by
from .samples import hex_id, new_user

pytestmark = pytest.mark.rule("Order")

# In code point order, which differs from locale order, UTF-16 order and numeric order.
TEXTS = [
    *("\t", "\n", " ", " a", "!", "-", "0", "00", "01", "1", "10", "1a", "2", "9", "A", "AA", "Aa", "B"),
    *(
        "Z",
        "Za",
        "[",
        "_",
        "a",
        "a ",
        "a b",
        "a!",
        "a-b",
        "a0",
        "aA",
        "aa",
        "ab",
        "b",
        "e",
        "ez",
        "e\u0301",
    ),
    *("f", "z", "zz", "~", "\x7f", "\x80", "\u00a0", "\u00c9", "\u00df", "\u00e9", "\u00ff", "\u0130"),
    *("\u0131", "\u017f", "\u0301", "\u03c2", "\u03c3", "\u1e9e", "\u200b", "\u212a", "\ud7ff", "\ue000"),
    *("\ufb01", "\ufeff", "\ufffd", "\uffff", "\uffff\uffff", "\U00010000", "\U0001f600", "\U0010ffff"),
]
SHUFFLED_IDS = [hex_id(n) for n in (5, 2**95, 1, 256, 2**88 - 1, 255, 2**96 - 1, 0, 2**87)]


async def _add_shuffled(stored_list: StoredList) -> list[Row]:
    """Store five rows whose texts, times and ids are in different orders."""
    return [await stored_list.add(n, text) for n, text in enumerate(["c", "a", "e", "b", "d"])]


async def test_list_orders_addresses_by_code_point(backend: Backend) -> None:
    """Accents, digits, signs and planes are in code point order. Addresses have no upper case."""
    locals_ = [text for text in TEXTS if text == text.lower() and text.isalnum()]
    assert len(locals_) > 20
    stored, errors = await race(
        backend.users.add(new_user().model_copy(update={"email": f"{text}@example.com"}))
        for text in locals_[::-1]
    )
    assert errors == []
    users: list[Row] = list(stored)

    for sort in ("email", "-email"):
        page = await backend.users.list(sort=sort, limit=20)
        rest = await backend.users.list(sort=sort, after=page.next)
        assert page.data + rest.data == sorted_by(sort, users)


async def test_list_orders_titles_by_code_point(backend: Backend, owner: User) -> None:
    """Titles are sorted by code point, in the order of the table."""
    titles = sorted(set(TEXTS), key=lambda text: [ord(character) for character in text])
    stored, errors = await race(
        backend.items.add(NewItem(title=title), owner_id=owner.id) for title in titles[::-1]
    )
    assert (len(stored), errors) == (len(TEXTS), [])

    ascending = await backend.items.list(sort="title")
    descending = await backend.items.list(sort="-title", owner_id=owner.id)

    assert [item.title for item in ascending.data] == titles
    assert [item.title for item in descending.data] == titles[::-1]


async def test_list_orders_equal_keys_by_id_in_the_same_direction(
    stored_list: StoredList, clock: ManualClock, ids: ManualIds
) -> None:
    """Rows with equal keys are sorted by the bytes of their ids, in the direction of the sort."""
    clock.stop()
    ids.upcoming = list(SHUFFLED_IDS)
    rows = [await stored_list.add(n, "same") for n in range(len(SHUFFLED_IDS))]

    for sort in stored_list.sorts:
        expected = sorted_by(sort, rows)
        assert await stored_list.list(sort=sort) == Page.of(expected, count=len(rows), next=None), sort
        for index, row in list(enumerate(expected))[::2]:
            page = await stored_list.list(sort=sort, after=position(row, sort), limit=1, count=False)
            assert page.data == expected[index + 1 : index + 2], (sort, index)


@pytest.mark.rule("Pages")
async def test_list_takes_skip_limit_and_after_in_every_sort(stored_list: StoredList) -> None:
    """A page is a slice of the list in every sort, also after each of its rows."""
    rows = await _add_shuffled(stored_list)

    for sort in stored_list.sorts:
        whole = sorted_by(sort, rows)
        for start in (0, 1, 3, 5):
            behind, after = whole[start:], position(whole[start - 1], sort) if start else None
            for skip, limit, count in ((0, 2, True), (1, 1, False), (1, 4, True)):
                data = behind[skip : skip + limit]
                more = bool(data) and len(behind) > skip + limit
                page = await stored_list.list(sort=sort, skip=skip, limit=limit, after=after, count=count)
                assert page == Page.of(
                    data,
                    count=5 if count else None,
                    next=position(data[-1], sort) if more else None,
                ), (sort, start, skip, limit)


async def test_list_without_sort_is_newest_first(stored_list: StoredList) -> None:
    """The default is newest first, and the opposite sort is its reverse."""
    rows = await _add_shuffled(stored_list)

    assert (
        (await stored_list.list()).data == (await stored_list.list(sort="-created_at")).data == rows[::-1]
    )
    assert (await stored_list.list(sort="created_at")).data == rows


@pytest.mark.rule("Pages")
async def test_list_after_a_key_without_row_begins_behind_it(stored_list: StoredList) -> None:
    """A position by text is valid without a row at it."""
    rows = await _add_shuffled(stored_list)

    for key, passed in [("\x01", 0), ("Z", 0), ("az", 1), ("c\U0010ffff", 3), ("cz", 3), ("\uffff", 5)]:
        for sort in stored_list.sorts_by_text:
            place, start = ("f" * 24, 5 - passed) if sort.startswith("-") else (hex_id(0), passed)
            page = await stored_list.list(sort=sort, after=Position(key, place))
            assert page == Page.of(sorted_by(sort, rows)[start:], count=5, next=None), (key, sort)


@pytest.mark.rule("Pages")
@pytest.mark.parametrize("sort", ["title", "-title"])
async def test_list_after_a_place_among_equal_titles_begins_behind_it(
    given_ids: Backend, ids: ManualIds, owner: User, sort: ItemSort
) -> None:
    """Among equal titles the position's id decides, with or without a row at it."""
    ids.upcoming = [hex_id(10), hex_id(30), hex_id(20)]
    items = [await given_ids.items.add(NewItem(title="same"), owner_id=owner.id) for _ in range(3)]
    expected = sorted_by(sort, list(items))

    for n in (0, 9, 10, 11, 20, 29, 30, 31):
        behind = [
            row for row in expected if (row.id > hex_id(n)) is (sort == "title") and row.id != hex_id(n)
        ]
        for owner_id in (None, owner.id):
            page = await given_ids.items.list(
                owner_id=owner_id, sort=sort, after=Position("same", hex_id(n))
            )
            assert page == Page.of(behind, count=3, next=None), n


async def test_list_by_text_follows_an_update(stored_list: StoredList) -> None:
    """An update of the text moves the row in the sort by text, not in the sort by time."""
    rows = await _add_shuffled(stored_list)

    renamed = await stored_list.rename(rows[1], "z")

    for sort in stored_list.sorts_by_text[:1]:
        page = await stored_list.list(sort=sort)
        places = (3, 0, 4, 2, 1) if renamed else (1, 3, 0, 4, 2)
        assert [row.id for row in page.data] == [rows[n].id for n in places]
    assert [row.id for row in (await stored_list.list(sort="created_at")).data] == [row.id for row in rows]


async def test_list_by_title_spans_owners_and_times(
    backend: Backend, clock: ManualClock, owner: User, other_user: User
) -> None:
    """A sort spans all owners and times; an owner's list is the same without other users' items."""
    start, items = clock.now, list[Item]()
    for n, title in enumerate(["b", "a", "b", "c", "a", "c"]):
        clock.now = start + timedelta(milliseconds=n * 7 % 5)
        items.append(await backend.items.add(NewItem(title=title), owner_id=(owner, other_user)[n % 2].id))

    for sort in ("title", "-title"):
        expected = sorted_by(sort, list(items))
        mine = [row for row in expected if isinstance(row, Item) and row.owner_id == owner.id]
        assert await backend.items.list(sort=sort) == Page.of(expected, count=6, next=None)
        page = await backend.items.list(sort=sort, owner_id=owner.id)
        assert page == Page.of(mine, count=3, next=None)
