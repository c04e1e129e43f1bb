"""The conditions of a resource's lists: its filters, the search, and whose rows are listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy import and_, bindparam, false, not_, or_

from backends.models import fold_case
from backends.models.resources.filters import Filter, filters_of
from backends.sql.columns import JsonList
from backends.sql.functions import has_element, place_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from backends.models.resources import ResourceSpec

_SEVERAL = re.compile(r"(.+)\*(\d+)")


class Conditions(Mapping[str, Any]):
    """The conditions by name, for `Lists`.

    A name is that of a filter. The condition on several values is `state*4`, for 4 values. The number is a
    power of 2, so that few statements serve any number of values.
    """

    def __init__(self, table: Table, spec: ResourceSpec) -> None:
        """Define the conditions of a resource's table."""
        self._table = table
        self._spec = spec
        self._filters = {each.name: each for each in filters_of(spec)}
        self._fixed = _fixed(table, spec)

    def chosen(
        self, where: BaseModel | Mapping[str, Any], *, owner_id: str | None, public: bool
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the names of the conditions of a list, and the values of their parameters."""
        given = {name: value for name, value in dict(where).items() if value is not None}
        names: list[str] = []
        values: dict[str, Any] = {}
        if owner_id is not None:
            names.append("owned or public" if public else "owner_id")
            values["owner_id"] = owner_id
        elif public:
            names.append("public")
        for name in ("created_after", "created_before"):
            if name in given:
                names.append(name)
                values[name] = given[name]
        if given.get("q"):
            names.append("q")
            values["q"] = fold_case(given["q"])
        for name, each in self._filters.items():
            if name in given:
                names.append(_add_values(each, given[name], values))
        return tuple(names), values

    def __getitem__(self, name: str) -> ColumnElement[bool] | tuple[ColumnElement[bool], ...]:
        """Return the condition of this name."""
        fixed = self._fixed.get(name)
        return self._of_filter(name) if fixed is None else fixed

    def _of_filter(self, name: str) -> ColumnElement[bool]:
        if name.endswith(("=True", "=False")):
            filter_name, _, is_null = name.rpartition("=")
            column = self._table.c[self._filters[filter_name].field.name]
            return column.is_(None) if is_null == "True" else column.is_not(None)
        several = _SEVERAL.fullmatch(name)
        each = self._filters[several[1] if several else name]
        column = self._table.c[each.field.name]
        parameters = [f"{each.name}__{place}" for place in range(int(several[2]))] if several else [name]
        if each.operator == "contains":
            return or_(*(has_element(column, bindparam(part, type_=JsonList())) for part in parameters))
        if several:
            return column.in_([bindparam(part, type_=column.type) for part in parameters])
        value = bindparam(name, type_=column.type)
        return {
            "any_of": lambda: column == value,
            "gt": lambda: column > value,
            "gte": lambda: column >= value,
            "lt": lambda: column < value,
            "lte": lambda: column <= value,
        }[each.operator]()

    def __iter__(self) -> Any:
        """Iterate over the names of the filters."""
        return iter(self._filters)

    def __len__(self) -> int:
        """Return the number of filters."""
        return len(self._filters)


def _fixed(
    table: Table, spec: ResourceSpec
) -> dict[str, ColumnElement[bool] | tuple[ColumnElement[bool], ...]]:
    """Return the conditions that are no filters of declared fields."""
    # With names that no other parameter has: SQLAlchemy's own, such as state_1, may be those of a filter.
    fits = [
        table.c[name] == bindparam(f"public__{name}", value, type_=table.c[name].type)
        for name, value in spec.public_when
    ]
    public = and_(*fits) if fits else false()
    # The folded columns and the searched text are folded, so the comparison is case-sensitive.
    searched = [table.c[f"{name}_folded"] for name in spec.searched]
    fixed: dict[str, ColumnElement[bool] | tuple[ColumnElement[bool], ...]] = {
        "public": public,
        "no value": false(),
        "created_after": table.c.created_at > bindparam("created_after"),
        "created_before": table.c.created_at < bindparam("created_before"),
        "q": or_(
            false(), *(place_of(column, bindparam("q", type_=column.type)) > 0 for column in searched)
        ),
    }
    if spec.owned:
        mine = table.c.owner_id == bindparam("owner_id")
        fixed |= {"owner_id": mine, "owned or public": (mine, and_(not_(mine), public))}
    return fixed


def _add_values(each: Filter, given: Any, values: dict[str, Any]) -> str:
    """Add the values of a filter's parameters; return the name of its condition."""
    if each.operator == "is_null":
        return f"{each.name}={given}"
    if each.operator not in {"any_of", "contains"}:
        values[each.name] = given
        return each.name
    several = list(given) if isinstance(given, tuple | list) else [given]
    if not several:
        return "no value"
    if each.operator == "contains":
        several = [[value] for value in several]
    if len(several) == 1:
        values[each.name] = several[0]
        return each.name
    number = 1 << (len(several) - 1).bit_length()
    several += several[-1:] * (number - len(several))
    values |= {f"{each.name}__{place}": value for place, value in enumerate(several)}
    return f"{each.name}*{number}"
