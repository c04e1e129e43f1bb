"""Sorts and filters of the lists, as query parameters; what they select is the repositories' own test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backends.models import ItemChanges
from tests.api.responses import (
    NOT_PRIVILEGED,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_item,
    shown_user,
)
from tests.api.service import Account, Service

WORDS = ["lamp", "Lamp", "Ähre", "straße", "zebra", "100%", "a_b"]


async def titles(account: Account, **query: Any) -> list[str]:
    """Return the titles of a list."""
    answer = await account.http.get("/items/", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == len(answer.json()["data"])
    return [row["title"] for row in answer.json()["data"]]


@pytest.fixture
async def words(service: Service, user: Account) -> Account:
    """Return a user with an item a word, in this order."""
    for word in WORDS:
        await service.item(user, word, description=None if word == "zebra" else f"About {word}")
    return user


async def test_items_sort_by_time_and_title(words: Account) -> None:
    """Either way round; text by code point."""
    assert await titles(words, sort="created_at") == WORDS
    assert await titles(words, sort="-created_at") == await titles(words) == WORDS[::-1]
    assert await titles(words, sort="title") == sorted(WORDS)
    assert await titles(words, sort="-title") == sorted(WORDS, reverse=True)


async def test_users_sort_by_time_and_address(service: Service, superuser: Account) -> None:
    """Either way round."""
    users = [superuser, *[await service.user(f"{name}@example.com") for name in ("b", "c", "a")]]
    by_email = sorted((user.user for user in users), key=lambda user: user.email)
    for sort, expected in (("email", by_email), ("-email", by_email[::-1])):
        answer = await superuser.http.get("/users/", params={"sort": sort})
        shown = [shown_user(user) for user in expected]
        assert_ok(answer, {"data": shown, "count": 4, "next_cursor": None})
    answer = await superuser.http.get("/users/", params={"sort": "created_at", "is_active": True})
    assert [row["id"] for row in answer.json()["data"]] == [user.id for user in users]


async def test_items_are_found_by_a_part_of_their_text(words: Account) -> None:
    """In any case and by one definition of it; wildcards are text."""
    found = {
        "LAMP": ["Lamp", "lamp"],
        "about": ["a_b", "100%", "straße", "Ähre", "Lamp", "lamp"],
        "STRASSE": ["straße"],
        "äHRE": ["Ähre"],
        "%": ["100%"],
        "_": ["a_b"],
        "": WORDS[::-1],
        "nothing": [],
    }
    for q, expected in found.items():
        assert await titles(words, q=q) == expected, q
    assert await titles(words, title="Lamp") == ["Lamp"]
    assert await titles(words, title="Lam") == []
    assert await titles(words, title="Lamp", q="about", sort="title") == ["Lamp"]


async def test_items_are_found_by_their_time(service: Service, user: Account) -> None:
    """Both bounds are exclusive, and given in any time zone."""
    service.clock.step = timedelta(seconds=1)
    items = [await service.item(user, f"{n}") for n in range(5)]
    first, last = items[1].created_at.isoformat(), items[3].created_at.isoformat()
    assert await titles(user, created_after=first, created_before=last) == ["2"]
    assert await titles(user, created_after=first) == ["4", "3", "2"]
    assert await titles(user, created_before="2026-11-22T12:25:26.124-04:00") == ["0"]
    assert await titles(user, created_before="0001-01-01T00:00:00Z") == []
    assert await titles(user, created_after="9999-12-31T23:59:59Z") == []


async def test_users_are_found_by_their_state(service: Service, superuser: Account) -> None:
    """Active or not; without the parameter both."""
    inactive = await service.user(is_active=False)
    active = await service.user()
    for value, expected in (("false", [inactive]), ("true", [active, superuser])):
        answer = await superuser.http.get("/users/", params={"is_active": value})
        shown = [shown_user(account.user) for account in expected]
        assert_ok(answer, {"data": shown, "count": len(shown), "next_cursor": None})


async def test_owner_is_for_superusers_to_choose(
    service: Service, user: Account, superuser: Account
) -> None:
    """Anyone may name himself; a superuser anyone, and who is unknown owns nothing."""
    other = await service.user()
    own, theirs = await service.item(user), await service.item(other)
    for account, item in ((user, own), (other, theirs)):
        page = {"data": [shown_item(item)], "count": 1, "next_cursor": None}
        assert_ok(await superuser.http.get("/items/", params={"owner_id": account.id}), page)
        assert_ok(await account.http.get("/items/", params={"owner_id": account.id}), page)
    assert_refused(await user.http.get("/items/", params={"owner_id": other.id}), NOT_PRIVILEGED)
    assert_refused(await user.http.get("/items/", params={"owner_id": "x"}), NOT_PRIVILEGED)
    nothing = {"data": [], "count": 0, "next_cursor": None}
    for nobody in ("x", "0" * 24, own.id):
        assert_ok(await superuser.http.get("/items/", params={"owner_id": nobody}), nothing)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "title", "-title"])
async def test_cursor_leads_through_every_order(words: Account, sort: str) -> None:
    """Together with a filter; the cursor is of its order only."""
    whole = await titles(words, sort=sort, q="about")
    met: list[str] = []
    cursor: str | None = None
    for _ in whole:
        query: dict[str, Any] = {
            "sort": sort,
            "q": "about",
            "limit": 1,
            **({"cursor": cursor} if cursor else {}),
        }
        page = (await words.http.get("/items/", params=query)).json()
        assert page["count"] == len(whole)
        met += [row["title"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is not None:
            other = "title" if sort != "title" else "-title"
            answer = await words.http.get("/items/", params={"sort": other, "cursor": cursor})
            assert_invalid(answer, ("query", "cursor"))
    assert (met, cursor) == (whole, None)


async def test_cursor_holds_any_title(service: Service, user: Account) -> None:
    """Also the longest there is: the cursor fits into a query."""
    for _ in range(2):
        await service.item(user, "\U0001f600" * 255)
    page = (await user.http.get("/items/", params={"sort": "title", "limit": 1})).json()
    query = {"sort": "title", "cursor": page["next_cursor"]}
    rest = (await user.http.get("/items/", params=query)).json()
    assert (len(rest["data"]), rest["next_cursor"]) == (1, None)


async def test_search_follows_a_change(service: Service, user: Account) -> None:
    """What was changed is found by its new words and not by the old ones."""
    item = await service.item(user, "Old", description="Old")
    await service.backend.items.update(item.id, ItemChanges(title="New"))
    assert await titles(user, q="new") == ["New"]
    await user.http.patch(f"/items/{item.id}", json={"description": None})
    assert await titles(user, q="old") == []


async def test_bad_values_are_refused_with_the_valid_ones(superuser: Account) -> None:
    """422 that names the parameter and what it takes."""
    for name, valid in (("items", ["created_at", "-title"]), ("users", ["-created_at", "email"])):
        for sort in ("", "id", "-", "--created_at", "Title", "hashed_password", "created_at,title"):
            answer = await superuser.http.get(f"/{name}/", params={"sort": sort})
            assert_invalid(answer, ("query", "sort"))
            assert all(word in answer.json()["detail"][0]["msg"] for word in valid)
        for time in ("", "yesterday", "2026-11-22T00:00:00", "2026-13-01T00:00:00Z"):
            for bound in ("created_after", "created_before"):
                answer = await superuser.http.get(f"/{name}/", params={bound: time})
                assert_invalid(answer, ("query", bound))
    beyond = {"created_after": "0001-01-01T00:00:00+10:00", "created_before": "9999-12-31T23:59:59-10:00"}
    for bound, time in beyond.items():
        answer = await superuser.http.get("/items/", params={bound: time})
        assert_invalid(answer, ("query", bound))
    for value in ("perhaps", "", "yes", "1", "on", "t", "True", "TRUE", " true", "true\n"):
        answer = await superuser.http.get("/users/", params={"is_active": value})
        assert_invalid(answer, ("query", "is_active"))
        assert answer.json()["detail"][0]["msg"] == "Input should be true or false"
    for name in ("q", "title"):
        for text in ("x" * 256, "nul\x00"):
            answer = await superuser.http.get("/items/", params={name: text})
            assert_invalid(answer, ("query", name))
