"""The kinds of rows of the baselines, items and declared products, and their SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from unicodedata import normalize

Kind: TypeAlias = Literal["items", "products"]

FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "items": ("title", "description"),
    "products": (
        *("name", "sku", "description", "price", "stock", "weight", "is_active", "state"),
        *("released_on", "tags"),
    ),
}

_SEARCHED: Mapping[Kind, tuple[str, ...]] = {"items": ("title", "description"), "products": ("name",)}
_DEFAULTS: Mapping[Kind, Mapping[str, Any]] = {
    "items": {"description": None},
    "products": {
        "description": None,
        "stock": 0,
        "weight": 0.0,
        "is_active": True,
        "state": "draft",
        "released_on": None,
        "tags": [],
    },
}


def completed(kind: Kind, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a new row, with the defaults, in the order of `FIELDS`."""
    given = {**_DEFAULTS[kind], **new}
    return {name: given[name] for name in FIELDS[kind]}


def folded(kind: Kind, values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the columns for searching."""
    return {f"{name}_folded": _fold(values[name]) for name in _SEARCHED[kind]}


def _fold(text: str | None) -> str | None:
    return text and normalize("NFC", normalize("NFC", text).casefold())


@dataclass(frozen=True, slots=True)
class Sql:
    """The statements of a kind.

    Attributes:
        row: Finds a row by id.
        page: Finds the newest rows of an owner, with a limit.
        count: Counts the rows of an owner.
        user_and_row: Finds both by their ids.
        user_and_count: Finds the user and counts the rows.
        add: Adds a row: id, fields, owner, time, folded texts.
    """

    row: str
    page: str
    count: str
    user_and_row: str
    user_and_count: str
    add: str


def sql_of(kind: Kind, mark: str) -> Sql:
    """Return the statements of a kind; `mark` precedes the number of a parameter."""
    names = ("id", *FIELDS[kind], "owner_id", "created_at")
    columns, of_row = ", ".join(names), ", ".join(f"r.{name}" for name in names)
    added = (*names, *(f"{name}_folded" for name in _SEARCHED[kind]))
    places = ", ".join(f"{mark}{number}" for number in range(1, len(added) + 1))
    count = f"SELECT count(*) FROM {kind} WHERE owner_id = {mark}1"
    return Sql(
        row=f"SELECT {columns} FROM {kind} WHERE id = {mark}1",
        page=f"SELECT {columns} FROM {kind} WHERE owner_id = {mark}1 "
        f"ORDER BY created_at DESC, id DESC LIMIT {mark}2",
        count=count,
        user_and_row=f"SELECT u.is_active, u.session_version, {of_row} "
        f"FROM users u LEFT JOIN {kind} r ON r.id = {mark}2 WHERE u.id = {mark}1",
        user_and_count=f"SELECT is_active, session_version, ({count}) FROM users WHERE id = {mark}1",
        add=f"INSERT INTO {kind} ({', '.join(added)}, version) VALUES ({places}, 1)",
    )


SQL_KINDS: tuple[Kind, ...] = ("items", "products")


def price_text(cents: int) -> str:
    """Return a stored price as the response shows it."""
    return f"{cents // 100}.{cents % 100:02}"


def cents_of(price: str) -> int:
    """Return a price as it is stored: with two decimal places."""
    whole, _, fraction = price.partition(".")
    return int(whole) * 100 + int(f"{fraction:0<2}")
