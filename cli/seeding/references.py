"""Looks up the ids of rows by their unique values: a column `author_id.code` gives the `author_id`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from backends.models.resources.forms import changed_values
from backends.rows import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.models.resources import FieldSpec, Kind, Resource
    from backends.protocols import Backend

MAX_KEPT = 10_000
"""The number of ids that are kept, so that repeated values are not looked up again."""


class References:
    """The ids of the rows that new rows refer to."""

    def __init__(self, backend: Backend, classes: Mapping[str, type[Resource]]) -> None:
        """Look up rows of these classes, by the names of their resources."""
        self._backend = backend
        self._classes = classes
        self._columns: dict[str, tuple[FieldSpec, str]] = {}
        self._kept: dict[tuple[str, str, Any], str | None] = {}

    def columns_of(self, field: FieldSpec) -> dict[str, Kind]:
        """Return the columns by which a file may give a reference, with their kinds."""
        target = field.target or ""
        if target == "users":
            names: dict[str, Kind] = {"email": "email"}
        elif target in self._classes:
            spec = self._classes[target].__resource__
            groups = {group for group in spec.unique if len(group) == 1}
            names = {each.name: each.kind for each in spec.fields if (each.name,) in groups}
        else:
            return {}
        self._columns |= {f"{field.name}.{name}": (field, name) for name in names}
        return {f"{field.name}.{name}": kind for name, kind in names.items()}

    async def resolve(self, values: dict[str, Any]) -> list[str]:
        """Replace the columns of `columns_of` in these values by ids; return what is wrong with them."""
        problems = []
        for column in [name for name in values if name in self._columns]:
            field, name = self._columns[column]
            value = values.pop(column)
            if field.name in values:
                problems.append(f"{column}: {field.name} is given as well")
            elif value is not None:
                values[field.name] = await self.find(field.target or "", name, value)
                if values[field.name] is None:
                    problems.append(f"{column}: no row of {field.target} has {name} {shown(value)}")
        return problems

    async def find(self, target: str, name: str, value: Any) -> str | None:
        """Return the id of the row of a resource, or of the user, with this unique value."""
        if not isinstance(value, str | int | float):
            return None
        key = (target, name, value)
        if key not in self._kept:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = await self._look_up(target, name, value)
        return self._kept[key]

    async def _look_up(self, target: str, name: str, value: Any) -> str | None:
        if target == "users":
            user = await self._backend.users.find_by_email(str(value))
            return None if user is None else user.id
        try:
            values = changed_values(self._classes[target], {name: value})
        except ValidationError:
            return None
        row = await self._backend.resources[target].find_by(**values)
        return None if row is None else str(row.id)
