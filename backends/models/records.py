"""What every stored record has in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from backends.ids import read_time, write_time

R = TypeVar("R", bound="Record")

Row: TypeAlias = dict[str, Any]
"""A record's fields in the types of JSON, by name: times as `ids.write_time` writes them.

It is what a list shows of a record, and cheaper than the record: a database makes it, and a serialiser
takes it as it is. An entry's sides are flat in it: `from_account_id`, …
"""


class Record:
    """What has an id, and a time at which it was made."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    id: str
    created_at: datetime

    def fields(self) -> dict[str, Any]:
        """Return all fields by name, as one row of a table or one document."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that has these fields."""
        return cls(**fields)

    def to_row(self) -> Row:
        """Return it as a list has it."""
        return {**self.fields(), "created_at": write_time(self.created_at)}

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Return the record that a list has as this row."""
        return cls.of_fields({**row, "created_at": read_time(row["created_at"])})
