"""Declared resources over HTTP: what items have, for every kind of field."""

from __future__ import annotations

import re
from typing import Any

import pytest

from backends.ids import new_id
from tests.api.responses import (
    NOT_PRIVILEGED,
    Refusal,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_time,
)
from tests.api.service import Account, Service, as_json

ISBN_TAKEN = Refusal(409, "Another book already has this isbn", "already_exists")
NAME_TAKEN = Refusal(409, "Another author already has this name", "already_exists")
IN_USE = Refusal(409, "At least one book refers to it", "still_referenced")
BOOK_NOT_FOUND = Refusal(404, "Book not found", "not_found")
NO_LINE_ITEM = Refusal(404, "Line item not found", "not_found")

SORTS = ("title", "price", "state", "rank", "weight", "published_on", "printed_at")


@pytest.fixture
async def author(declared: Service) -> dict[str, Any]:
    """Return an author that is stored."""
    superuser = await declared.superuser()
    made = await superuser.http.post("/authors/", **as_json({"name": f"Ada {new_id()}"}))
    return {**made.json(), "by": superuser}


@pytest.fixture
async def owner(declared: Service) -> Account:
    """Return a user without a book."""
    return await declared.user()


def book(number: int = 0, **values: Any) -> dict[str, Any]:
    """Return the body of a new book with the required fields."""
    return {"title": f"Book {number}", "isbn": f"{number:013}", **values}


async def stored(owner: Account, **values: Any) -> dict[str, Any]:
    """Store a book and return it."""
    answer = await owner.http.post("/books/", **as_json(book(**values)))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def titles(owner: Account, **query: Any) -> list[str]:
    """Return the titles of a list of books."""
    answer = await owner.http.get("/books/", params={"owner_id": owner.id, **query})
    assert answer.status_code == 200, answer.text
    return [row["title"] for row in answer.json()["data"]]


async def test_row_comes_back_as_it_was_given(
    declared: Service, author: dict[str, Any], owner: Account
) -> None:
    """Every kind of field: in the response, in a read, in a list, and after a change of another field."""
    given = {
        **book(7),
        "author_id": author["id"],
        "editor_id": owner.id,
        "price": "12.50",
        "state": "published",
        "rank": 2**53 - 1,
        "weight": 1.0,
        "share": "0.000000001",
        "is_lent": True,
        "published_on": "2026-01-02",
        "printed_at": "2026-01-02T03:04:05.678Z",
        "tags": ["b", "a", "b"],
        "size": {"width": 1, "height": 2},
        "notes": {"b": 1, "a": 1.0, "$x.y": {"": [None, True]}},
    }
    ignored = {"id": "0" * 24, "owner_id": "0" * 24, "version": 9, "reviews": 7, "unknown": 1}
    now = declared.clock.now
    made = await owner.http.post("/books/", **as_json({**given, **ignored}))
    book_id = made.json()["id"]
    shown = {
        "id": book_id,
        **given,
        "reviews": 0,
        "owner_id": owner.id,
        "created_at": shown_time(now),
    }
    assert_ok(made, shown)
    assert list(made.json()) == list(shown), "the order of the fields"
    (form,) = re.findall('-([0-9a-f]{8})"', made.headers["ETag"])
    assert made.headers["ETag"] == f'"{book_id}-1-{form}"'
    assert '"weight":1.0,' in made.text
    assert '"notes":{"b":1,"a":1.0,"$x.y"' in made.text

    read = await owner.http.get(f"/books/{book_id}")
    listed = await owner.http.get("/books/", params={"owner_id": owner.id})
    assert read.text == made.text
    assert listed.text == f'{{"data":[{made.text}],"count":1,"next_cursor":null}}'

    changes = {"rank": 3, "isbn": "9" * 13, "reviews": 7}
    changed = await owner.http.patch(f"/books/{book_id}", **as_json(changes))
    assert_ok(changed, {**shown, "rank": 3})
    assert changed.headers["ETag"] == f'"{book_id}-2-{form}"'


async def test_a_tag_from_before_a_new_field(owner: Account) -> None:
    """Another response, so the tag is not current; the same row, so a change with it is no conflict."""
    made = await owner.http.post("/books/", **as_json(book()))
    path, tag = f"/books/{made.json()['id']}", made.headers["ETag"]
    older = re.sub('-[0-9a-f]{8}"', '-00000000"', tag)
    for condition, status in ((tag, 304), (older, 200), (f"{older}, W/{tag}", 304)):
        answer = await owner.http.get(path, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.headers["ETag"]) == (status, tag), condition
    for rank, status in ((3, 200), (4, 412)):
        answer = await owner.http.patch(path, json={"rank": rank}, headers={"If-Match": older})
        assert answer.status_code == status, answer.text


async def test_defaults_fill_what_is_absent(owner: Account) -> None:
    """The declared defaults, and null."""
    made = await stored(owner)
    defaults = {"state": "draft", "rank": 1, "is_lent": False, "tags": [], "notes": {}, "reviews": 0}
    assert {name: made[name] for name in defaults} == defaults
    nulls = {"author_id", "editor_id", "price", "weight", "share", "published_on", "printed_at", "size"}
    assert {name for name, value in made.items() if value is None} == nulls


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", None),
        ("isbn", "123"),
        ("price", 12.5),
        ("price", "-0.01"),
        ("price", "0.001"),
        ("state", "sold"),
        ("rank", 2**53),
        ("rank", True),
        ("weight", "1"),
        ("is_lent", 1),
        ("published_on", "2026-02-30"),
        ("printed_at", "2026-01-02T03:04:05"),
        ("size", {"width": 1}),
    ],
)
async def test_body_is_validated_as_the_class_says(owner: Account, field: str, value: Any) -> None:
    """In a new row and, where the field can be changed, in a change."""
    place = ("size", "height") if field == "size" else (field,)
    new = await owner.http.post("/books/", **as_json(book(**{field: value})))
    assert_invalid(new, ("body", *place))
    if field != "isbn":
        made = await stored(owner)
        changed = await owner.http.patch(f"/books/{made['id']}", **as_json({field: value}))
        assert_invalid(changed, ("body", *place))


async def test_rule_over_several_fields_holds_for_new_rows_and_changes(owner: Account) -> None:
    """A change is validated as the row that results; it is refused as a new row is."""
    refused = await owner.http.post("/books/", **as_json(book(state="published")))
    assert_invalid(refused, ("body",))
    made = await stored(owner)
    change = await owner.http.patch(f"/books/{made['id']}", **as_json({"state": "published"}))
    assert_invalid(change, ("body",))
    assert change.json() == refused.json()
    both = {"state": "published", "published_on": "2026-01-02"}
    assert (await owner.http.put(f"/books/{made['id']}", **as_json(both))).status_code == 200
    emptied = await owner.http.patch(f"/books/{made['id']}", **as_json({"published_on": None}))
    assert_invalid(emptied, ("body",))


async def test_reference_to_nothing_names_the_field(owner: Account) -> None:
    """A 422, in a new row, in one of many, and in a change."""
    nothing = new_id()
    new = await owner.http.post("/books/", **as_json(book(author_id=nothing)))
    assert_invalid(new, ("body", "author_id"))
    assert new.json()["detail"][0] == {
        "loc": ["body", "author_id"],
        "msg": "No author has this id",
        "type": "reference_not_found",
    }
    many = {"data": [book(1), book(2, editor_id=nothing)]}
    assert_invalid(await owner.http.post("/books/bulk", **as_json(many)), ("body", "data", 1, "editor_id"))
    made = await stored(owner)
    change = await owner.http.patch(f"/books/{made['id']}", **as_json({"editor_id": nothing}))
    assert_invalid(change, ("body", "editor_id"))
    assert await titles(owner) == ["Book 0"]


async def test_row_in_use_is_not_deleted(author: dict[str, Any], owner: Account) -> None:
    """Until the last row that refers to it is gone."""
    made = await stored(owner, author_id=author["id"])
    superuser = author["by"]
    assert_refused(await superuser.http.delete(f"/authors/{author['id']}"), IN_USE)
    assert_ok(await owner.http.delete(f"/books/{made['id']}"), {"message": "Book deleted successfully"})
    assert_refused(await owner.http.get(f"/books/{made['id']}"), BOOK_NOT_FOUND)
    assert_ok(
        await superuser.http.delete(f"/authors/{author['id']}"),
        {"message": "Author deleted successfully"},
    )


async def test_unique_value_that_is_taken_is_a_conflict(author: dict[str, Any], owner: Account) -> None:
    """It names the fields; the owner is not among them."""
    await stored(owner)
    assert_refused(await owner.http.post("/books/", **as_json(book())), ISBN_TAKEN)
    many = {"data": [book(1), book(1)]}
    assert_refused(await owner.http.post("/books/bulk", **as_json(many)), ISBN_TAKEN)
    same = {"name": author["name"]}
    assert_refused(await author["by"].http.post("/authors/", **as_json(same)), NAME_TAKEN)


async def test_key_makes_a_retry_safe(owner: Account) -> None:
    """The retry gets the first response; another body under the key is refused."""
    key = {"Idempotency-Key": new_id()}

    async def post(**values: Any) -> Any:
        sent = as_json(book(**values))
        return await owner.http.post("/books/", content=sent["content"], headers=sent["headers"] | key)

    first, again = await post(), await post()
    assert first.status_code == 200, first.text
    assert (again.text, again.headers["ETag"]) == (first.text, first.headers["ETag"])
    assert await titles(owner) == ["Book 0"]
    other = await post(rank=2)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_key_disregards_defaults(owner: Account) -> None:
    """A default may be another one at each request, as the code of a line item is."""
    headers = {"Idempotency-Key": new_id(), "Content-Type": "application/json"}
    first, again = [
        await owner.http.post("/line-items/", content='{"label": "One"}', headers=headers) for _ in range(2)
    ]
    assert (first.status_code, len(first.json()["code"])) == (200, 24)
    assert again.text == first.text


async def fill(owner: Account) -> None:
    """Store four books that differ in every filterable field."""
    for number in range(4):
        values: dict[str, Any] = {"number": number, "rank": number, "is_lent": number == 2}
        values["state"] = "published" if number % 2 else "draft"
        if number:
            values["price"] = f"{number}.25"
            values["weight"] = number / 2
            values["published_on"] = f"2026-01-0{number}"
            values["printed_at"] = f"2026-01-02T03:04:05.00{number}Z"
            values["tags"] = ["all", f"tag {number}"]
        elif values["state"] == "published":
            values["published_on"] = "2026-01-01"
        await stored(owner, **values)


FILTERS: list[tuple[list[tuple[str, str]], set[int]]] = [
    ([("isbn", f"{3:013}")], {3}),
    ([("isbn", f"{3:013}"), ("isbn", f"{0:013}"), ("isbn", f"{9:013}")], {0, 3}),
    ([("state", "draft")], {0, 2}),
    ([("state", "draft"), ("state", "published")], {0, 1, 2, 3}),
    ([("state", "draft"), ("rank", "2"), ("rank", "3")], {2}),
    ([("price", "1.25"), ("price", "3.25")], {1, 3}),
    ([("price__gt", "1.25")], {2, 3}),
    ([("price__gte", "1.25"), ("price__lt", "3.25")], {1, 2}),
    ([("price__isnull", "true")], {0}),
    ([("price__isnull", "false"), ("price__lte", "1.25")], {1}),
    ([("rank__gte", "2")], {2, 3}),
    ([("weight", "1")], {2}),
    ([("weight__lt", "1.5")], {1, 2}),
    ([("is_lent", "true")], {2}),
    ([("published_on__gte", "2026-01-02")], {2, 3}),
    ([("printed_at", "2026-01-02T03:04:05.002Z")], {2}),
    ([("printed_at__lte", "2026-01-02T03:04:05.002Z")], {1, 2}),
    ([("tags", "all")], {1, 2, 3}),
    ([("tags", "tag 1"), ("tags", "tag 3")], {1, 3}),
    ([("author_id__isnull", "false")], set()),
    ([("q", "ook 1")], {1}),
]


async def test_filters_select_rows(owner: Account) -> None:
    """Each operator, repeated parameters, and several filters at once."""
    await fill(owner)
    for query, numbers in FILTERS:
        answer = await owner.http.get("/books/", params=[("owner_id", owner.id), *query])
        assert answer.status_code == 200, (query, answer.text)
        found = {int(row["isbn"]) for row in answer.json()["data"]}
        assert (found, answer.json()["count"]) == (numbers, len(numbers)), query


@pytest.mark.parametrize(
    "query",
    [
        {"price": "1.255"},
        {"price__gt": "much"},
        {"state": "sold"},
        {"rank": "1.5"},
        {"is_lent": "yes"},
        {"published_on": "today"},
        {"printed_at": "1767323045"},
        {"price__isnull": "1"},
        {"sort": "isbn"},
    ],
    ids=str,
)
async def test_filter_with_a_wrong_value_is_refused(owner: Account, query: dict[str, str]) -> None:
    """At its parameter."""
    (name,) = query
    assert_invalid(await owner.http.get("/books/", params=query), ("query", name))


async def test_unknown_filter_lists_the_valid_ones(owner: Account) -> None:
    """What is not filterable is no parameter."""
    answer = await owner.http.get("/books/", params={"title": "Book"})
    assert_invalid(answer, ("query",))
    message = answer.json()["detail"][0]["msg"]
    assert {"isbn", "price__gte", "price__isnull", "tags", "q", "owner_id"} <= set(
        message.partition(": ")[2].split(", ")
    )


@pytest.mark.parametrize("sort", SORTS)
async def test_cursors_lead_through_every_sort(owner: Account, sort: str) -> None:
    """In both directions, with null before every value."""
    await fill(owner)
    answer = await owner.http.get("/books/", params={"owner_id": owner.id})
    rows = {row["isbn"]: row for row in answer.json()["data"]}
    for descending in (False, True):
        seen, cursor = [], None
        while True:
            page = await owner.http.get(
                "/books/",
                params={
                    "owner_id": owner.id,
                    "sort": f"{'-' * descending}{sort}",
                    "limit": 1,
                    **({"cursor": cursor} if cursor else {}),
                },
            )
            assert page.status_code == 200, page.text
            seen += [row["isbn"] for row in page.json()["data"]]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        keys = [rows[isbn][sort] for isbn in seen]
        nulls = [key for key in keys if key is None]
        values = sorted((key for key in keys if key is not None), reverse=descending)
        assert keys == (values + nulls if descending else nulls + values)
        assert sorted(seen) == sorted(rows)


async def test_list_of_public_rows(declared: Service, owner: Account) -> None:
    """Everybody lists and reads what is public; `owner_id` narrows the list to one's own rows."""
    reader = await declared.user()
    draft = await stored(owner, number=1)
    public = await stored(owner, number=2, state="published", published_on="2026-01-02")
    theirs = await stored(reader, number=3)

    async def listed(account: Account, **query: Any) -> set[str]:
        answer = await account.http.get("/books/", params={"limit": 1000, **query})
        return {row["id"] for row in answer.json()["data"]}

    assert await listed(reader) & {draft["id"], public["id"], theirs["id"]} == {
        public["id"],
        theirs["id"],
    }
    assert await listed(reader, owner_id=reader.id) == {theirs["id"]}
    assert_refused(await reader.http.get("/books/", params={"owner_id": owner.id}), NOT_PRIVILEGED)
    superuser = await declared.superuser()
    assert await listed(superuser, owner_id=owner.id) == {draft["id"], public["id"]}


async def test_entity_of_two_words(owner: Account) -> None:
    """Its messages have blanks, its path hyphens."""
    assert_refused(await owner.http.get(f"/line-items/{new_id()}"), NO_LINE_ITEM)
    made = await owner.http.post("/line-items/", **as_json({"label": "One"}))
    deleted = await owner.http.delete(f"/line-items/{made.json()['id']}")
    assert_ok(deleted, {"message": "Line item deleted successfully"})
