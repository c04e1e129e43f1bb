"""`GET /users/` and `GET /items/`: order, windows, counts and cursors, the same for both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import jwt
import pytest

from api.cursors import sign_cursor
from backends.models import Item
from tests.api.responses import (
    MESSAGE_ITEM_DELETED,
    assert_invalid,
    assert_ok,
    shown_item,
    shown_user,
    was_deleted,
)
from tests.api.service import Account, Service
from tests.conftest import ONE_BACKEND

ListName = Literal["users", "items"]
Shown = list[dict[str, Any]]
both_lists = pytest.mark.parametrize("name", ["users", "items"])


async def fill(service: Service, superuser: Account, name: ListName, rows: int) -> Shown:
    """Store so many rows (one of the users is the superuser); return them as shown, newest first."""
    if name == "items":
        items = [await service.item(superuser, f"Item {number}") for number in range(rows)]
        return [shown_item(item) for item in reversed(items)]
    others = [await service.user(f"listed{number}@example.com") for number in range(rows - 1)]
    return [shown_user(account.user) for account in (*reversed(others), superuser)]


async def get(account: Account, name: ListName, **query: Any) -> dict[str, Any]:
    """Return a page, whose key set is always the same."""
    answer = await account.http.get(f"/{name}/", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert list(page) == ["data", "count", "next_cursor"]
    return page


async def walk(account: Account, name: ListName, **query: Any) -> AsyncIterator[dict[str, Any]]:
    """Follow the cursors to the end."""
    page = await get(account, name, **query)
    yield page
    while page["next_cursor"] is not None:
        page = await get(account, name, **{**query, "cursor": page["next_cursor"]})
        yield page


@both_lists
async def test_list_is_newest_first_and_counted(
    service: Service, superuser: Account, name: ListName
) -> None:
    """Everything that there is, exactly as each single resource is shown."""
    shown = await fill(service, superuser, name, 5)
    answer = await superuser.http.get(f"/{name}/")
    assert_ok(answer, {"data": shown, "count": 5, "next_cursor": None})
    for row in shown:
        assert_ok(await superuser.http.get(f"/{name}/{row['id']}"), row)


async def test_list_of_nothing_is_empty(user: Account) -> None:
    """A list without rows is a list."""
    assert_ok(await user.http.get("/items/"), {"data": [], "count": 0, "next_cursor": None})


@both_lists
async def test_list_orders_equal_times_by_id(service: Service, superuser: Account, name: ListName) -> None:
    """The order is total, and the pages follow it through equal times."""
    service.clock.stop()
    shown = await fill(service, superuser, name, 7)
    by_time_and_id = sorted(shown, key=lambda row: (row["created_at"], row["id"]), reverse=True)
    assert (await get(superuser, name))["data"] == by_time_and_id
    pages = [page["data"] async for page in walk(superuser, name, limit=2)]
    assert [row for page in pages for row in page] == by_time_and_id


@both_lists
async def test_list_skips_and_limits(service: Service, superuser: Account, name: ListName) -> None:
    """A window of the whole list; the count stays that of the whole, and a cursor tells if more follows."""
    shown = await fill(service, superuser, name, 5)
    windows = ((0, 0), (0, 1), (0, 4), (0, 5), (1, 1), (1, 3), (1, 4), (4, 1), (4, 2), (5, 1), (6, 1000))
    for skip, limit in (*windows, (2**31 - 1, 1000)):
        page = await get(superuser, name, skip=skip, limit=limit)
        assert page["data"] == shown[skip : skip + limit]
        assert page["count"] == 5
        follows = limit > 0 and skip + limit < 5
        assert (page["next_cursor"] is not None) is follows, (skip, limit)


@both_lists
async def test_list_has_a_hundred_rows_by_default(
    service: Service, superuser: Account, name: ListName
) -> None:
    """`limit` is 100 unless it is given."""
    shown = await fill(service, superuser, name, 102)
    page = await get(superuser, name)
    assert page["data"] == shown[:100]
    assert page["count"] == 102
    assert (await get(superuser, name, cursor=page["next_cursor"]))["data"] == shown[100:]
    assert (await get(superuser, name, limit=1000))["data"] == shown
    assert (await get(superuser, name, skip=1))["data"] == shown[1:101]


@both_lists
@pytest.mark.parametrize("parameter", ["skip", "limit"])
@ONE_BACKEND
async def test_list_refuses_numbers_out_of_bounds(
    superuser: Account, name: ListName, parameter: str
) -> None:
    """Negative, too large, no number: 422, never 500."""
    too_large = {"limit": "1001", "skip": str(2**31)}[parameter]
    huge = ["9" * 19, "9" * 5000, f"-{2**63}"]
    written_otherwise = ["1_0", "1.0", " 1", "1\n", "+1", "0x1", "\u0661", "\uff11"]
    for value in ("-1", too_large, *huge, *written_otherwise, "x", "", "1.5", "1e3", "NaN", "\x00", "😀"):
        answer = await superuser.http.get(f"/{name}/", params={parameter: value})
        assert_invalid(answer, ("query", parameter))


@both_lists
@ONE_BACKEND
async def test_list_names_every_fault_at_once(superuser: Account, name: ListName) -> None:
    """All of the query is checked."""
    answer = await superuser.http.get(f"/{name}/", params={"skip": -1, "limit": 1001, "count": "all"})
    assert_invalid(answer, ("query", "skip"), ("query", "limit"), ("query", "count"))


@both_lists
@ONE_BACKEND
async def test_list_refuses_unknown_parameters(
    service: Service, superuser: Account, name: ListName
) -> None:
    """A misspelt filter would show what was to be hidden: 422, and the message lists what there is."""
    await fill(service, superuser, name, 2)
    for parameter in ("page", "$where", "titel", "Sort", "is_superuser", "hashed_password"):
        answer = await superuser.http.get(f"/{name}/", params={parameter: "1"})
        assert_invalid(answer, ("query",))
        (fault,) = answer.json()["detail"]
        valid = {"users": ["is_active"], "items": ["title", "q", "owner_id"]}[name]
        for word in ("sort", "cursor", "created_after", *valid):
            assert word in fault["msg"]


@both_lists
async def test_list_without_a_count_says_null(service: Service, superuser: Account, name: ListName) -> None:
    """`count=none` spares the counting; the rest is the same."""
    shown = await fill(service, superuser, name, 3)
    exact = await get(superuser, name, limit=2, count="exact")
    assert exact["data"] == shown[:2]
    assert await get(superuser, name, limit=2, count="none") == {**exact, "count": None}
    assert await get(superuser, name, limit=2) == exact
    for count in ("", "0", "None", "true"):
        assert_invalid(await superuser.http.get(f"/{name}/", params={"count": count}), ("query", "count"))


@both_lists
@pytest.mark.parametrize("count", ["exact", "none"])
async def test_cursors_lead_through_the_whole_list(
    service: Service, superuser: Account, name: ListName, count: str
) -> None:
    """Pages of any size, one after the other, are the list, and the last has no cursor."""
    shown = await fill(service, superuser, name, 7)
    for limit in (1, 3, 7) if count == "exact" else (2, 6):
        pages = [page async for page in walk(superuser, name, limit=limit, count=count)]
        assert [page["data"] for page in pages] == [shown[at : at + limit] for at in range(0, 7, limit)]
        assert {page["count"] for page in pages} == ({7} if count == "exact" else {None})


@both_lists
async def test_cursor_goes_on_whatever_changed(
    service: Service, superuser: Account, name: ListName
) -> None:
    """New rows don't shift the pages, and the row at which the cursor stands may be gone."""
    shown = await fill(service, superuser, name, 5)
    first = await get(superuser, name, limit=2)
    new = await (service.item(superuser) if name == "items" else service.user())
    gone = await superuser.http.delete(f"/{name}/{first['data'][-1]['id']}")
    if name == "items":
        assert_ok(gone, MESSAGE_ITEM_DELETED)
        deleted = True
    else:
        deleted = was_deleted(gone, service.backend)
    second = await get(superuser, name, limit=2, cursor=first["next_cursor"])
    assert second["data"] == shown[2:4]
    assert second["count"] == (5 if deleted else 6)
    assert (await get(superuser, name, limit=1))["data"][0]["id"] == new.id


@both_lists
async def test_cursor_and_skip_add_up(service: Service, superuser: Account, name: ListName) -> None:
    """`skip` counts from the cursor on."""
    shown = await fill(service, superuser, name, 6)
    cursor = (await get(superuser, name, limit=2))["next_cursor"]
    assert (await get(superuser, name, cursor=cursor, skip=1, limit=2))["data"] == shown[3:5]
    assert (await get(superuser, name, cursor=cursor, skip=9, limit=2))["data"] == []
    nothing = await get(superuser, name, cursor=cursor, limit=0)
    assert nothing == {"data": [], "count": 6, "next_cursor": None}


@both_lists
async def test_cursor_that_is_none_of_the_lists_is_refused(
    service: Service, superuser: Account, name: ListName
) -> None:
    """Another list's, a forged one, a token, another spelling, garbage: 422 in the form of a list."""
    await fill(service, superuser, "users", 3)
    await fill(service, superuser, "items", 3)
    other: ListName = "items" if name == "users" else "users"
    cursor = (await get(superuser, name, limit=1))["next_cursor"]
    of_other_list = (await get(superuser, other, limit=1))["next_cursor"]
    claims = {"list": name, "sort": "-created_at", "key": 1, "id": superuser.id, "iss": "eitherdb"}
    secret = service.settings.secret_key.get_secret_value()
    token = jwt.encode({**claims, "aud": "cursor"}, secret, algorithm="HS256")  # was a cursor once
    letter = "B" if cursor.startswith("A") else "A"
    forged = [cursor[:-5] + "AAAAA", cursor[:43], f"{letter}{cursor[1:]}", cursor[:-1]]
    garbage = ["", " ", "x", "a.b.c", "\x00", "é", "x" * 8_000, "=", "A" * 43, "A" * 60]
    respelled = [f"{cursor}x", f" {cursor}", f"{cursor}=", f"{cursor}==", f"{cursor[:9]}!{cursor[9:]}"]
    for refused in (of_other_list, token, superuser.token, *forged, *garbage, *respelled):
        answer = await superuser.http.get(f"/{name}/", params={"cursor": refused})
        assert_invalid(answer, ("query", "cursor"))
    assert (await superuser.http.get(f"/{name}/", params={"cursor": cursor})).status_code == 200


@both_lists
async def test_cursor_with_strange_content_is_refused(
    service: Service, superuser: Account, name: ListName
) -> None:
    """Also one that was signed here and means nothing to this version."""

    def signed(content: bytes, sort: Any = "-created_at", of: Any = name) -> str:
        return sign_cursor(content, of, sort, service.settings)

    id_, good = superuser.id, f'["{superuser.id}", 1]'.encode()
    times: list[object] = ["x", None, 10**18, -(10**18), [], {}, 1e400]
    ids: list[object] = ["x", "", None, 5, [], id_.upper()]
    strange: list[object] = [
        *([id_, time] for time in times),
        *([each, 1] for each in ids),
        *({"id": id_, "key": 1}, [id_], [id_, 1, 2], [], None, id_, 1),
    ]
    cursors = [
        *(signed(json.dumps(each).encode()) for each in strange),
        *(signed(each) for each in (b"", b"x", b"\xff", good[:-1], b"[" * 5_000)),
        *(signed(good, sort) for sort in ("created_at", "x", "")),
        *(signed(good, of=of) for of in ("", "accounts")),
    ]
    for cursor in cursors:
        answer = await superuser.http.get(f"/{name}/", params={"cursor": cursor})
        assert_invalid(answer, ("query", "cursor"))
    assert (await get(superuser, name, cursor=signed(good)))["data"] == []
    by_text = "title" if name == "items" else "email"
    for key in ("1", "null", "[]", "{}"):
        cursor = signed(f'["{id_}", {key}]'.encode(), by_text)
        answer = await superuser.http.get(f"/{name}/", params={"cursor": cursor, "sort": by_text})
        assert_invalid(answer, ("query", "cursor"))


async def test_list_of_items_is_ones_own(service: Service, user: Account, superuser: Account) -> None:
    """A user sees and counts his own, a superuser all; another's cursor shows nothing of the other's."""
    other = await service.user()
    items: list[Item] = []
    for _ in range(3):
        items += [await service.item(user), await service.item(other), await service.item(superuser)]
    newest = [shown_item(item) for item in reversed(items)]
    for account in (user, other):
        own = [row for row in newest if row["owner_id"] == account.id]
        assert_ok(await account.http.get("/items/"), {"data": own, "count": 3, "next_cursor": None})
        pages = [page async for page in walk(account, "items", limit=1)]
        assert [page["data"] for page in pages] == [[row] for row in own]
        assert {page["count"] for page in pages} == {3}
    assert_ok(await superuser.http.get("/items/"), {"data": newest, "count": 9, "next_cursor": None})
    cursor = (await get(other, "items", limit=2))["next_cursor"]
    behind = await get(user, "items", cursor=cursor)
    assert {row["owner_id"] for row in behind["data"]} == {user.id}
    assert len(behind["data"]) == 2


async def test_list_shows_inactive_users_and_superusers(service: Service, superuser: Account) -> None:
    """Nobody is left out."""
    inactive = await service.user(is_active=False)
    boss = await service.superuser()
    shown = [shown_user(account.user) for account in (boss, inactive, superuser)]
    assert_ok(await superuser.http.get("/users/"), {"data": shown, "count": 3, "next_cursor": None})


@both_lists
async def test_list_during_insertions_is_a_list(
    service: Service, superuser: Account, name: ListName
) -> None:
    """Concurrent readers and writers: each page is in order and has no row twice."""
    await fill(service, superuser, name, 5)
    add = service.item(superuser), service.item(superuser), service.user(), service.user()
    *_, one, two, three = await asyncio.gather(*add, *(get(superuser, name, limit=3) for _ in range(3)))
    for page in (one, two, three):
        assert isinstance(page, dict)
        positions = [(row["created_at"], row["id"]) for row in page["data"]]
        assert positions == sorted(set(positions), reverse=True)
        assert len(positions) == 3
