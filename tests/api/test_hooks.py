"""Hooks of a declared resource: they hold for every way to add or change a row."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from backends.errors import RuleBroken
from backends.ids import new_id
from tests.api.declared import Article
from tests.api.responses import assert_invalid
from tests.api.service import Account, Service, as_json

CLIENTS = 40


@pytest.fixture
async def owner(declared: Service) -> Account:
    """Return a user without an article."""
    return await declared.user()


async def stored(owner: Account, title: str = "First Steps", **values: Any) -> dict[str, Any]:
    """Store an article and return it."""
    answer = await owner.http.post("/articles/", **as_json({"title": title, **values}))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def changed(owner: Account, article: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Change an article and return it."""
    answer = await owner.http.patch(f"/articles/{article['id']}", **as_json(values))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_hook_sets_read_only_fields_of_a_new_row(declared: Service, owner: Account) -> None:
    """One, many, with a key, and through the repository; whatever the client gives."""
    made = await stored(owner, slug="mine", changes=7)
    assert (made["slug"], made["changes"]) == ("first-steps", 0)
    assert (await owner.http.get(f"/articles/{made['id']}")).json() == made
    sent = as_json({"data": [{"title": "A B"}, {"title": "C D", "slug": "mine"}]})
    many = await owner.http.post("/articles/bulk", **sent)
    assert [row["slug"] for row in many.json()["data"]] == ["a-b", "c-d"]
    sent = as_json({"title": "With Key"})
    headers = {**sent["headers"], "Idempotency-Key": new_id()}
    keyed = [
        await owner.http.post("/articles/", content=sent["content"], headers=headers) for _ in range(2)
    ]
    assert keyed[0].json()["slug"] == "with-key"
    assert keyed[1].text == keyed[0].text
    row = await declared.backend.resources["articles"].add(Article(title="By Code"), owner_id=owner.id)
    assert row.slug == "by-code"
    found = await owner.http.get("/articles/", params={"slug": "by-code", "owner_id": owner.id})
    assert [each["id"] for each in found.json()["data"]] == [row.id]


async def test_hook_sees_the_row_before_and_after_a_change(owner: Account) -> None:
    """`published_at` is set by the change of the state, and not by a later one."""
    article = await stored(owner)
    renamed = await changed(owner, article, title="Last Steps", slug="mine")
    assert (renamed["slug"], renamed["changes"], renamed["published_at"]) == ("last-steps", 1, None)
    before = datetime.now(UTC)
    published = await changed(owner, article, state="published")
    seconds = (datetime.fromisoformat(published["published_at"]) - before).total_seconds()
    assert -0.001 < seconds < 60
    assert published["published_at"].endswith("Z")
    again = await owner.http.put(f"/articles/{article['id']}", **as_json({"words": 3}))
    assert again.json() == {**published, "words": 3, "changes": 3}
    assert again.headers["ETag"].startswith(f'"{article["id"]}-4-')
    nothing = await owner.http.patch(f"/articles/{article['id']}", **as_json({}))
    assert nothing.text == again.text, "a change of nothing is none"


async def test_hook_refuses_as_a_validator_does(declared: Service, owner: Account) -> None:
    """A ValueError is a 422; so is a value that the field can't have. Nothing is stored."""
    article = await stored(owner, words=5)
    error = {"loc": ["body"], "msg": "Value error, this title is refused", "type": "value_error"}
    refused = await owner.http.post("/articles/", **as_json({"title": "refused"}))
    assert refused.json() == {"detail": [error], "code": "validation_error"}
    sent = as_json({"data": [{"title": "a"}, {"title": "refused"}]})
    many = await owner.http.post("/articles/bulk", **sent)
    assert many.json()["detail"] == [{**error, "loc": ["body", "data", 1]}]
    path = f"/articles/{article['id']}"
    assert_invalid(await owner.http.patch(path, **as_json({"title": "refused"})), ("body",))
    assert_invalid(await owner.http.patch(path, **as_json({"words": 4})), ("body",))
    long = as_json({"title": "x" * 41})
    assert_invalid(await owner.http.post("/articles/", **long), ("body", "slug"))
    assert_invalid(await owner.http.patch(path, **long), ("body", "slug"))
    articles = declared.backend.resources["articles"]
    with pytest.raises(RuleBroken):
        await articles.add_many([Article(title="a"), Article(title="refused")], owner_id=owner.id)
    rows = (await owner.http.get("/articles/", params={"owner_id": owner.id})).json()["data"]
    assert rows == [article]


async def test_bug_of_a_hook_stores_nothing(
    declared: Service, owner: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """The response is a 500 with an id, under which the log names the hook."""
    article = await stored(owner)
    sent = as_json({"title": "bug"})
    added = await owner.http.post("/articles/", **sent)
    changed = await owner.http.patch(f"/articles/{article['id']}", **sent)
    for answer, hook in ((added, "before_add"), (changed, "before_change")):
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert f"the hook Article.{hook} raised KeyError: 'title'" in caplog.text
    rows = (await owner.http.get("/articles/", params={"owner_id": owner.id})).json()["data"]
    assert rows == [article]
    assert declared.backend.connections_in_use == 0


async def test_hook_holds_for_changes_at_once(owner: Account) -> None:
    """Each change counts once, and the slug is that of the title."""
    article = await stored(owner)

    async def change(number: int) -> None:
        await changed(owner, article, title=f"Title {number}", words=100)

    await asyncio.gather(*map(change, range(CLIENTS)))
    after = (await owner.http.get(f"/articles/{article['id']}")).json()
    assert after["changes"] == CLIENTS
    assert after["slug"] == after["title"].lower().replace(" ", "-")
