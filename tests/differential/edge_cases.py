"""Input values: edge cases that backends could treat differently, and values that collide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    fixed_dictionaries,
    integers,
    just,
    lists,
    none,
    one_of,
    sampled_from,
    text,
)

from tests.contract.resource_values import CHARACTERS

T = TypeVar("T")

EMAILS: dict[str, str | None] = {
    "ada@example.com": "ada@example.com",
    "ADA@Example.COM": "ada@example.com",
    "bob@example.com": "bob@example.com",
    "Bob@example.com": "bob@example.com",
    "root@example.com": "root@example.com",
    "zoë@example.com": "zoë@example.com",
    "ZOE\u0308@example.com": "zoë@example.com",
    "straße@example.com": "straße@example.com",
    "strasse@example.com": "strasse@example.com",
    "\N{OHM SIGN}@example.com": "ω@example.com",
    "ω@example.com": "ω@example.com",
    "\u0131@example.com": "\u0131@example.com",
    "i@example.com": "i@example.com",
    "a.b+c_d%e@example.com": "a.b+c_d%e@example.com",
    "": None,
    "no address": None,
    "ada@": None,
    "ada@example.com\n": "ada@example.com",
    " ADA@example.com\u00a0": "ada@example.com",
    f"{'x' * 65}@example.com": None,
    "nul\0@example.com": None,
    "\ud800@example.com": None,
    f"{'x' * 64}@{'y' * 63}.{'z' * 63}.{'w' * 63}.example.com": None,
}
"""Spellings of addresses, each with its stored form; None for an invalid address."""

ADDRESSES = [spelling for spelling, normal in EMAILS.items() if normal]
WRITABLE = [spelling for spelling in EMAILS if "\ud800" not in spelling]
NO_ADDRESSES = [spelling for spelling, normal in EMAILS.items() if not normal]

# Texts that are equal in some folding, normal form, collation or pattern language, and texts that sort
# differently in UTF-16 and by code point.
COLLIDING = [
    *("a", "A", "b", "B", "ab", "aB", "z", "Z", "~", " a", "a ", "a\n"),
    *("é", "e\u0301", "É", "e", "ß", "ss", "SS", "ẞ", "\u017f", "i", "I", "\u0131", "İ", "i\u0307"),
    *("Å", "\N{ANGSTROM SIGN}", "ﬁ", "fi", "Σ", "\u03c3", "ς", "ΐ", "ΐ", "\u1fd3"),
    *("%", "_", ".", "*", "\\", "a%b", "a_b", ".*", "[a]", "^a$", "'", '"', "$a", "\\Q"),
    *("\ue000", "\uffff", "\ufffe", "\ufffd", "\U00010000", "\U0001f600", "\U0010ffff"),
    *("\u200b", "\u00a0", "\x7f", "\x01", "\x1f", "\u2028", "0", "1", "10", "2", "null", "None", "true"),
]
LONG = ["x" * 255, "\U0001f600" * 255, "ß" * 255, "ΐ" * 255]
NO_TEXTS: list[object] = [
    *("x" * 256, "\U0001f600" * 256, "a\0", "\0", "\ud800", "a\udfff", "\udc00\ud800"),
    *(1, 1.5, True, ["a"], {"a": "a"}),
]
TIMES = [
    *("2100-02-28T23:59:59.990Z", "2100-02-28T23:59:59.9900001Z", "2100-03-01T00:00:00Z"),
    *("2100-03-01T00:00:00.000001Z", "2100-03-01T00:59:59.999999+01:00", "2100-02-28T19:00:00-05:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
]
NO_TIMES = [
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2100-02-28T23:59:59"),
    *("2100-02-30T00:00:00Z", "4102444800", "now", "", "2100-02-28"),
]
MALFORMED_IDS = [
    *(
        "0123456789abcdef01234567",
        "0" * 24,
        "f" * 24,
        "0123456789ABCDEF01234567",
        "0123456789abcdef0123456",
    ),
    *(
        "0123456789abcdef012345678",
        "g" * 24,
        "a" * 12,
        "\U0001f600" * 24,
        "\0",
        "x" * 300,
        "%",
        "null",
        "0",
    ),
    *("\N{ARABIC-INDIC DIGIT ONE}" * 24, "' OR '1'='1", '{"$gt": ""}', "0123456789abcdef01234567\n"),
]
AMOUNTS: list[object] = [*range(1, 5), 2**31, 2**52, 2**53 - 4, 2**53 - 1]
NO_AMOUNTS: list[object] = [
    *(0, -1, -(2**53), -(2**63), 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30),
    *(1.0, 1e3, 1.5, 1e300, True, False, "1", "", None, [], {}),
]
PASSWORDS = [
    *("s3cret-horse", "s3cret-Horse", "s3cret-é", "s3cret-e\u0301", "\U0001f600" * 8, "x" * 128),
    *("s3cret horse", "s3cret\u00a0horse", "é" * 128, "e\u0301" * 128),
]
NO_PASSWORDS: list[object] = [
    *("", "1234567", "e\u0301" * 7, "x" * 129, "e\u0301" * 129, "12345678\0", "12345678\ud800"),
    *(12345678, None),
]
CURRENCIES = ["EUR", "EUR", "EUR", "USD", "JPY"]
NO_CURRENCIES: list[object] = ["eur", "XXX", "XAU", "EURO", "", "EUR\0", None, 978]
KEYS = ["k", "K", "k2", "~!#%_", "x" * 255]
NO_KEYS = ["a b", "x" * 256]


def usually(good: SearchStrategy[T], bad: SearchStrategy[T]) -> SearchStrategy[T]:
    """Return valid values, and an invalid one in fifteen, because a history of refusals covers little."""
    return integers(0, 14).flatmap(lambda number: bad if number == 14 else good)


def choice(good: Sequence[object], bad: Sequence[object]) -> SearchStrategy[Any]:
    """Return one of these values, usually a valid one."""
    return usually(sampled_from(good), sampled_from(bad))


texts = usually(
    sampled_from(COLLIDING)
    | sampled_from(COLLIDING)
    | text(CHARACTERS, min_size=1, max_size=6)
    | sampled_from(LONG),
    sampled_from(NO_TEXTS) | just(""),
)
names = usually(none() | texts, just("") | sampled_from(NO_TEXTS))
addresses = choice(ADDRESSES, [*NO_ADDRESSES, 1, None])
passwords = choice(PASSWORDS, NO_PASSWORDS)
currencies = choice(CURRENCIES, NO_CURRENCIES)
amounts = choice(AMOUNTS, NO_AMOUNTS)
flags = usually(booleans(), sampled_from([None, 0, 1, "true", "no"]))
keys = none() | choice(KEYS, NO_KEYS)
no_bodies: SearchStrategy[object] = sampled_from([None, [], "text", 1, [{}], True])


def rows_of(
    required: dict[str, SearchStrategy[object]], optional: dict[str, SearchStrategy[object]]
) -> SearchStrategy[object]:
    """Return lists of a few objects with these fields; sometimes of others, of none, or of too many."""
    row = fixed_dictionaries(required, optional=optional)
    too_many = just([{"title": "a"}] * 1001)
    return usually(lists(row, min_size=1, max_size=5), one_of(lists(row | no_bodies), no_bodies, too_many))


def bodies(
    required: dict[str, SearchStrategy[object]], optional: dict[str, SearchStrategy[object]]
) -> SearchStrategy[object]:
    """Return JSON objects with these fields; sometimes without some, or values that are not objects."""
    unknown: dict[str, SearchStrategy[object]] = {
        "id": just("x"),
        "version": just(9),
        "owner_id": just("x"),
    }
    whole = fixed_dictionaries(required, optional={**optional, **unknown})
    return usually(whole, one_of(fixed_dictionaries({}, optional={**required, **optional}), no_bodies))
