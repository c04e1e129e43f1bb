"""Rows as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

RowKind: TypeAlias = Literal["users", "items", "accounts", "transfers", "idempotency_keys", "counters"]

KINDS: tuple[RowKind, ...] = get_args(RowKind)

Fields: TypeAlias = Mapping[str, Any]
"""What a row has, by the names of the fields of `backends.models`; those of an entry's sides are flat.

An id is 24 hex digits, a time is aware, and a field that is not there is absent. A value that is stored in
another type is given as the driver returns it.
"""

Place: TypeAlias = tuple[Any, ...]
"""The values of the fields that a walk is ordered by, in whatever form the backend compares."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row.

    Attributes:
        field: The field that is at fault.
        what: Says it, after the name of the field: `is missing`, `should be a valid string`.
    """

    field: str
    what: str

    def __str__(self) -> str:
        """Say all of it."""
        return f'field "{self.field}" {self.what}'


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row, valid or not.

    Attributes:
        fields: See `Fields`.
        place: Where it stands in the order in which it was read.
        problems: What only its backend can tell.
    """

    fields: Fields
    place: Place
    problems: tuple[Problem, ...] = ()


def identity_of(kind: RowKind, fields: Fields) -> str:
    """Return what names the row to an operator: its id, or its key."""
    if kind == "counters":
        return shown(fields.get("key"))
    if kind == "idempotency_keys":
        return f"{fields.get('owner_id')}/{shown(fields.get('key'))}"
    return shown(fields.get("id"))


def shown(value: Any, *, length: int = 60) -> str:
    """Return a value as a message has it: short, and in characters that every terminal can write."""
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() else ascii(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"
