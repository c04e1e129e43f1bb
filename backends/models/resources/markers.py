"""Markers: what a database has to know about a field besides its values.

A marker stands in `Annotated`, next to pydantic's constraints:
`title: Annotated[str, Field(max_length=255), Sortable(), Searchable()]`.
"""

from __future__ import annotations

from dataclasses import dataclass

from backends.models.resources.spec import OnDelete


@dataclass(frozen=True, slots=True)
class Marker:
    """The base class of the markers."""


@dataclass(frozen=True, slots=True)
class Unique(Marker):
    """No two rows have the same value. Any number of rows may have null."""


@dataclass(frozen=True, slots=True)
class Sortable(Marker):
    """Lists can be sorted by the field: `?sort=title`, `?sort=-title`. An index serves them."""


@dataclass(frozen=True, slots=True)
class Filterable(Marker):
    """Lists can be filtered by the field: `?state=draft`. An index serves them."""


@dataclass(frozen=True, slots=True)
class Searchable(Marker):
    """`?q=` finds rows by a part of the text, in any case."""


@dataclass(frozen=True, slots=True)
class ReadOnly(Marker):
    """Clients read the field and never set it; a hook or the default does."""


@dataclass(frozen=True, slots=True)
class Immutable(Marker):
    """The field is set when the row is created, and never changes."""


@dataclass(frozen=True, slots=True, init=False)
class RenamedFrom(Marker):
    """The names that the field had before, the oldest first. Its column has the oldest one for good.

    The API and everything in Python have the new name only.
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        """Write the names: `RenamedFrom("titel")`."""
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class Reference(Marker):
    """The field is the id of a row of another resource, or of a user, which exists as long as this row.

    Args:
        target: The path of the resource, or `users`.
        on_delete: What happens to this row when the other one is deleted. `restrict`: the other one can't
            be deleted. `cascade`: this row is deleted too. `set_null`: the field becomes null.
    """

    target: str
    on_delete: OnDelete = "restrict"
