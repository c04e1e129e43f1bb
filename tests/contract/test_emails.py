"""Email addresses: all spellings of one address belong to one user, also under concurrency."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from backends.errors import AlreadyExists
from backends.models import NewUser, UserChanges
from backends.protocols import Backend

from .conftest import Opener
from .expectations import all_rows, facts, race, raises
from .samples import new_user

pytestmark = pytest.mark.rule("E-mail")

# Each line: spellings of one address. The first is the stored one.
SPELLINGS = {
    "case": ["a@x.io", "A@X.io", "A@x.IO", "a@X.IO"],
    "composition": ["z\u00fc@x.io", "zu\u0308@x.io", "ZU\u0308@x.io", "Z\u00dc@X.IO"],
    "domain": [
        "a@b\u00fccher.io",
        "a@bu\u0308cher.io",
        "A@B\u00dcCHER.io",
        "a@xn--bcher-kva.io",
        "a@XN--BCHER-KVA.io",
    ],
    "width of the domain": ["a@y.io", "a@\uff59.io", "a@y\u3002io"],
    # The capital has no composed form, but its lower-case letter has one.
    "composition after lower-casing": ["\u01f0@x.io", "j\u030c@x.io", "J\u030c@x.io"],
    "capital that becomes two characters": ["i\u0307@x.io", "\u0130@x.io", "I\u0307@x.io"],
    "astral": ["\U00010428@x.io", "\U00010400@x.io"],
    "plus and dots": ["a.b+c@x.io", "A.B+C@x.io"],
    "blanks around": ["b@x.io", " b@x.io ", "\tb@x.io\r\n", "\u00a0B@x.io\u3000", "\u200bb@x.io\ufeff"],
}

NO_ADDRESSES = [
    "",
    " ",
    "a",
    "@",
    "a@",
    "@x.io",
    "a@@x.io",
    "a@x.io@x.io",
    "a @x.io",
    "a@ x.io",
    "a@x.io\n b@x.io",
    "a@x.io\x00",
    "a@x.io\x00 ",
    "\x00",
    "\x00a@x.io",
    "\ud800@x.io",
    "\udfffa@x.io",
    "a@x_io",
    "Ada <a@x.io>",
    "mailto:a@x.io",
    '{"$gt": ""}',
    "' OR '1'='1",
    "a" * 10_000,
    "a" * 10_000 + "@x.io",
    "a@" + "x" * 10_000 + ".io",
    "a@" + "x." * 5_000 + "io",
    "\u00fc" * 10_000 + "@x.io",
    "@" * 10_000,
]


def _user(email: str) -> NewUser:
    return NewUser(email=email, hashed_password="hash")


async def test_find_by_email_finds_any_spelling(backend: Backend) -> None:
    """An address is stored in one form and found by each of its spellings."""
    for topic, spellings in SPELLINGS.items():
        for given in spellings:
            user = await backend.users.add(_user(given))
            assert user.email == spellings[0], topic
            assert await backend.users.get(user.id) == user
            found = [await backend.users.find_by_email(spelling) for spelling in spellings]
            assert found == [user] * len(spellings), topic

            await backend.users.update(user.id, UserChanges(email=f"{user.id}@example.com"))
            found = [await backend.users.find_by_email(spelling) for spelling in spellings]
            assert found == [None] * len(spellings), topic


@pytest.mark.rule("Uniqueness")
async def test_add_and_update_refuse_any_spelling_of_a_taken_address(backend: Backend) -> None:
    """Two spellings of one address can't belong to two users, by `add` or by `update`."""
    other = await backend.users.add(_user("other@example.com"))
    users = [other]
    for spellings in SPELLINGS.values():
        users.insert(0, await backend.users.add(_user(spellings[-1])))

        for spelling in spellings:
            with raises(AlreadyExists("user", "email")):
                await backend.users.add(_user(spelling))
            with raises(AlreadyExists("user", "email")):
                await backend.users.update(other.id, UserChanges(email=spelling))

        assert await all_rows(backend) == (users, [])


async def test_find_by_email_tells_similar_addresses_apart(backend: Backend) -> None:
    """Similar but different addresses belong to different users."""
    addresses = [
        "a@x.io",
        "a+b@x.io",
        "ab@x.io",
        "a@x.i.io",
        "a.b@x.io",
        "\u0430@x.io",  # Cyrillic
        "\u00e4@x.io",
        "\uff41@x.io",  # full width
        "%@x.io",
        "_@x.io",
        "strasse@x.io",
        "stra\u00dfe@x.io",
        "i@x.io",
        "\u0131@x.io",
    ]
    users = [await backend.users.add(_user(address)) for address in addresses]

    assert [user.email for user in users] == addresses
    assert [await backend.users.find_by_email(address) for address in addresses] == users


@pytest.mark.rule("Uniqueness")
async def test_find_by_email_of_unknown_address_returns_none(backend: Backend) -> None:
    """An unused address returns None."""
    await backend.users.add(_user("a@x.io"))

    assert await backend.users.find_by_email("b@x.io") is None


async def test_find_by_email_of_no_address_returns_none(backend: Backend) -> None:
    """Text that is not an address returns None, also text with special characters of queries."""
    await backend.users.add(_user("a@x.io"))

    for text in NO_ADDRESSES:
        assert await backend.users.find_by_email(text) is None, text


async def test_local_part_of_an_address_has_at_most_64_bytes(backend: Backend) -> None:
    """The limit is in UTF-8 bytes of the stored form: a lower-case letter can exceed its capital."""
    for local in ("a" * 64, "\u00fc" * 32, "\u00dc" * 31 + "AB"):
        user = await backend.users.add(_user(f"{local}@x.io"))
        assert user.email == f"{local.lower()}@x.io"
        assert await backend.users.find_by_email(user.email) == user

    for local in ("a" * 65, "\u00fc" * 33, "\u0130" * 22):
        for model in (NewUser, UserChanges):
            with pytest.raises(ValidationError, match="bytes before the @-sign"):
                model(email=f"{local}@x.io", hashed_password="hash")
        assert await backend.users.find_by_email(f"{local}@x.io") is None


def _thousand_spellings() -> list[str]:
    """Return 1024 spellings of one address, each different."""
    cases = product(*({letter, letter.upper()} for letter in "sign.up@ex.io"))
    spellings = sorted("".join(letters) for letters in cases)
    assert len(set(spellings)) == 1024
    return spellings


@pytest.mark.rule("Uniqueness")
async def test_add_of_one_address_a_thousand_times_at_once_succeeds_once(backend: Backend) -> None:
    """One of a thousand concurrent calls succeeds; all others raise the exact error."""
    forms = [_user(spelling) for spelling in _thousand_spellings()[:1000]]

    users, errors = await race(backend.users.add(form) for form in forms)

    assert errors == [facts(AlreadyExists("user", "email"))] * 999
    assert await all_rows(backend) == (users, [])
    assert [user.email for user in users] == ["sign.up@ex.io"]


@pytest.mark.rule("Uniqueness")
async def test_add_of_one_address_through_two_backends_succeeds_once(
    backend: Backend, open_another: Opener
) -> None:
    """Uniqueness holds between two processes."""
    another = await open_another()
    forms = [_user(spelling) for spelling in _thousand_spellings()[:200]]
    turns = [backend, another] * 100

    users, errors = await race(turn.users.add(form) for turn, form in zip(turns, forms, strict=True))

    assert errors == [facts(AlreadyExists("user", "email"))] * 199
    assert await all_rows(backend) == await all_rows(another) == (users, [])


async def test_add_of_many_addresses_at_once_succeeds_for_all(backend: Backend) -> None:
    """Concurrent calls with different addresses don't conflict."""
    users, errors = await race(backend.users.add(new_user(n)) for n in range(100))

    assert errors == []
    assert [user.email for user in users] == [f"user{n}@example.com" for n in range(100)]
    stored, _ = await all_rows(backend)
    assert stored == sorted(users, key=lambda user: (user.created_at, user.id), reverse=True)
