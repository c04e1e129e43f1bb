"""Text: all Unicode is stored and returned code point by code point."""

from __future__ import annotations

import json

import pytest

from backends.models import ItemChanges, NewItem, NewUser, User, UserChanges
from backends.protocols import Backend

from .expectations import all_rows, changed, race

pytestmark = pytest.mark.rule("Text")

_NFC, _NFD = "\u00e9", "e\u0301"

TEXTS = {
    "nfc and nfd": f"{_NFC}{_NFD}\u1e9b\u0323\u212b\ufb01",
    "stacked marks": "Z" + "\u0351\u036b\u0343\u036a\u0302" * 8,
    "hangul": "\u1112\u1161\u11ab \ud55c",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627\u202c \u200f\u2067",
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e007f \u2764\ufe0f",
    "byte order mark": "\ufefftext\ufeff",
    "invisible": "\u200b\u00ad\u2060\u180e",
    "cases": "\u0130\u0131\u1e9e\u00df\u03a3\u03c3\u03c2 AaBb",
    "spaces around": "  text \u00a0\u3000 ",
    "only spaces": "   ",
    "line ends": "\r\na\nb\rc\u2028d\u2029e\x85\n",
    "tabs": "\ta\vb\fc\t",
    "quotes": "'\"`''\"\" O'Brien \u2018\u201c",
    "sql": "'; DROP TABLE users; -- /* */ ? :name $1 %s %(x)s",
    "patterns": "%_*[a-z]^.$",
    "backslashes": "\\ \\\\ \\n \\u0041 \\0 \\x00 \\'",
    "key": "$gt",
    "path": "a.b",
    "field": "$email",
    "variable": "$$ROOT",
    "object": '{"$gt": ""}',
    "array": "[1, null]",
    "null": "null",
    "number": "0012.50e3",
    "big number": "9" * 30,
    "true": "true",
    "date": "2026-11-22T16:25:25.123Z",
    "id": "0123456789abcdef01234567",
    "hex": "\\x6162",
    "undefined": "undefined",
}


async def _assert_stored(backend: Backend, owner: User, texts: list[str]) -> None:
    """Store each text in each text field by `add` and `update`, and compare the rows that are read."""
    users, errors = await race(
        backend.users.add(
            NewUser(email=f"text{n}@example.com", hashed_password=text, full_name=text),
        )
        for n, text in enumerate(texts)
    )
    assert errors == []
    assert [(user.hashed_password, user.full_name) for user in users] == [(text, text) for text in texts]

    items, errors = await race(
        backend.items.add(NewItem(title=text, description=text), owner_id=owner.id) for text in texts
    )
    assert errors == []
    assert [(item.title, item.description) for item in items] == [(text, text) for text in texts]
    stored_users, stored_items = await all_rows(backend)
    assert {user.id: user for user in stored_users} == {user.id: user for user in [owner, *users]}
    assert {item.id: item for item in stored_items} == {item.id: item for item in items}

    turned = texts[1:] + texts[:1]
    for user, item, text in zip(users, items, turned, strict=True):
        renamed = await backend.users.update(user.id, UserChanges(hashed_password=text, full_name=text))
        assert renamed == changed(user, hashed_password=text, full_name=text)
        assert await backend.users.get(user.id) == renamed
        retold = await backend.items.update(item.id, ItemChanges(title=text, description=text))
        assert retold == changed(item, title=text, description=text)
        assert await backend.items.get(item.id) == retold


async def test_text_is_kept_whatever_it_means_elsewhere(backend: Backend, owner: User) -> None:
    """Text is never parsed as a query, pattern, number or escape, and never trimmed or normalised."""
    await _assert_stored(backend, owner, list(TEXTS.values()))


async def test_text_of_every_plane_is_kept(backend: Backend, owner: User) -> None:
    """The first and last code points of all 17 planes are kept, noncharacters included."""
    ends = [
        "".join(map(chr, [*range(max(plane, 1), plane + 100), *range(plane + 0xFF9C, plane + 0x10000)]))
        for plane in range(0, 0x110000, 0x10000)
    ]
    noncharacters = "".join(map(chr, range(0xFDD0, 0xFDF0)))
    around_surrogates = "\ud7ff\ue000\uf8ff"
    controls = "".join(map(chr, [*range(1, 0x20), 0x7F, *range(0x80, 0xA0)]))

    await _assert_stored(backend, owner, [*ends, noncharacters, around_surrogates, controls])


async def test_text_of_255_astral_code_points_fits(backend: Backend, owner: User) -> None:
    """Length is counted in code points, not in bytes or UTF-16 units."""
    await _assert_stored(backend, owner, ["\U0010ffff" * 255, "\U0001f600" * 255])


async def test_email_as_long_as_an_address_can_be_is_kept(backend: Backend) -> None:
    """The longest valid address is stored completely and found."""
    email = "a" * 64 + "@" + ".".join(["b" * 61, "c" * 61, "d" * 61, "io"])
    assert len(email) == 253

    user = await backend.users.add(NewUser(email=email, hashed_password="h" * 255, full_name="n" * 255))

    assert user.email == email
    assert await backend.users.find_by_email(email) == user
    assert await backend.users.get(user.id) == user


async def test_empty_text_is_not_null(backend: Backend, owner: User) -> None:
    """In nullable fields, empty text differs from null."""
    user = await backend.users.update(owner.id, UserChanges(full_name=""))
    item = await backend.items.add(NewItem(title="t", description=""), owner_id=owner.id)

    assert user == changed(owner, full_name="")
    assert item.description == ""
    assert await all_rows(backend) == ([user], [item])

    no_name = await backend.users.update(owner.id, UserChanges(full_name=None))
    no_text = await backend.items.update(item.id, ItemChanges(description=None))

    assert (no_name, no_text) == (changed(user, full_name=None), changed(item, description=None))
    assert await all_rows(backend) == ([no_name], [no_text])


@pytest.mark.parametrize("first", [_NFC, _NFD], ids=["nfc", "nfd"])
async def test_update_between_look_alikes_is_a_change(backend: Backend, owner: User, first: str) -> None:
    """Canonically equivalent texts are not equal: an update stores the new code points."""
    second = _NFD if first == _NFC else _NFC
    item = await backend.items.add(NewItem(title=first), owner_id=owner.id)

    updated = await backend.items.update(item.id, ItemChanges(title=second))

    assert updated == changed(item, title=second)
    assert json.dumps((await backend.items.get(item.id)).title) == json.dumps(second)
