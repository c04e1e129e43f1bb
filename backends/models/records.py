"""The base class of stored records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Protocol, Self, TypeAlias, TypeVar

from backends.ids import read_time, write_time

R = TypeVar("R", bound="StoredObject")

Row: TypeAlias = dict[str, Any]
"""A record's fields by name, in JSON types. Times are text in the format of `ids.write_time`.

Lists consist of rows because a row is cheaper than a record: the database returns it, and the serialiser
takes it unchanged. The sides of an entry are flat fields: `from_account_id`, …
"""


class StoredObject(Protocol):
    """A stored object with an id and a creation time: a `Record`, or an instance of a resource."""

    @property
    def id(self) -> str:
        """24 lower-case hex digits of an ObjectId."""
        ...

    @property
    def created_at(self) -> datetime:
        """Aware, UTC, whole milliseconds."""
        ...

    def fields(self) -> dict[str, Any]:
        """Return all fields by name, as in a table row or a document."""
        ...

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return an object with these fields."""
        ...

    def to_row(self) -> Row:
        """Return the object as a row of a list."""
        ...

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Return the object of a row of a list."""
        ...


class Record:
    """The base class of the built-in stored objects."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    id: str
    created_at: datetime

    def fields(self) -> dict[str, Any]:
        """Return all fields by name, as in a table row or a document."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return a record with these fields."""
        return cls(**fields)

    def to_row(self) -> Row:
        """Return the record as a row of a list."""
        return {**self.fields(), "created_at": write_time(self.created_at)}

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Return the record of a row of a list."""
        return cls.of_fields({**row, "created_at": read_time(row["created_at"])})
