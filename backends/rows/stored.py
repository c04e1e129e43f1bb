"""Rows as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

RowKind: TypeAlias = str
"""One of `KINDS`, or the name of a declared resource: `books`."""

KINDS: tuple[RowKind, ...] = ("users", "items", "accounts", "transfers", "idempotency_keys", "counters")
"""The kinds of rows that every database has."""

Fields: TypeAlias = Mapping[str, Any]
"""The values of a row, by the field names of `backends.models`. The sides of an entry are flat fields.

Ids are 24 hex digits and times are aware. The values of a declared resource are those of its class, except
that choices are text and opaque values are parsed JSON; each searched text has its folded form as well
(`title_folded`). Missing fields are absent. A value of an unexpected type is left as the driver returns it.
"""

Place: TypeAlias = tuple[Any, ...]
"""The values of the sort key, in a form that is specific to the backend."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A violation of a rule.

    Attributes:
        field: The invalid field: `title`, or `tags.3` for an element. Empty if the whole row is invalid.
        what: The description, which follows the field's name: `is missing`, `should be a valid string`.
    """

    field: str
    what: str

    def __str__(self) -> str:
        """Return the message."""
        return f'field "{self.field}" {self.what}' if self.field else self.what


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row, valid or not.

    Attributes:
        fields: See `Fields`.
        place: The position in the order in which the rows are read.
        problems: Violations that only the backend can find.
    """

    fields: Fields
    place: Place
    problems: tuple[Problem, ...] = ()


def identity_of(kind: RowKind, fields: Fields) -> str:
    """Return the id or key that identifies the row to an operator."""
    if kind == "counters":
        return shown(fields.get("key"))
    if kind == "idempotency_keys":
        return f"{fields.get('owner_id')}/{shown(fields.get('key'))}"
    return shown(fields.get("id"))


def shown(value: Any, *, length: int = 60) -> str:
    """Return a value as text for a message: short and in printable ASCII."""
    if isinstance(value, Decimal | date):
        value = str(value)
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() else ascii(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"
