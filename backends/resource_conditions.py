"""The conditions and the order of a resource's lists, in Python.

Databases evaluate both themselves. This module is for backends on stores that can't, such as an ordered
map of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from backends.models import fold_case
from backends.models.resources import Resource, ResourceSpec
from backends.models.resources.filters import Filter, filters_of
from backends.resource_rows import is_public

Condition = Callable[[Any], bool]


def sort_key(value: Any) -> tuple[bool, Any]:
    """Return a key by which Python sorts the values of a field: null first, text by code point."""
    return value is not None, value


def condition_of(
    spec: ResourceSpec, where: BaseModel | Mapping[str, Any], *, owner_id: str | None, public: bool
) -> Condition:
    """Return the function that tells whether a row is in a list.

    Args:
        spec: The specification of the resource.
        where: See `ResourceRepository.list`, like the others.
        owner_id: The owner.
        public: Whether the list has the public rows of other owners.
    """
    given = {name: value for name, value in dict(where).items() if value is not None}
    conditions = [_of_filter(each, given[each.name]) for each in filters_of(spec) if each.name in given]
    if (after := given.get("created_after")) is not None:
        conditions.append(lambda row: row.created_at > after)
    if (before := given.get("created_before")) is not None:
        conditions.append(lambda row: row.created_at < before)
    if text := given.get("q"):
        conditions.append(_has_text(spec, fold_case(text)))
    if owner_id is not None:
        conditions.append(lambda row: row.owner_id == owner_id or (public and is_public(row)))
    elif public:
        conditions.append(is_public)
    return lambda row: all(condition(row) for condition in conditions)


def _has_text(spec: ResourceSpec, folded: str) -> Condition:
    def fits(row: Resource) -> bool:
        texts = (getattr(row, name) for name in spec.searched)
        return any(folded in fold_case(text) for text in texts if text is not None)

    return fits


def _of_filter(each: Filter, given: Any) -> Condition:
    """Return the condition of one filter. Null fits none of them but `is_null`."""
    name = each.field.name
    if each.operator == "is_null":
        return lambda row: (getattr(row, name) is None) is given
    several = given if isinstance(given, tuple | list) else (given,)
    fits: Condition = {
        "any_of": lambda value: value in several,
        "contains": lambda value: any(element in value for element in several),
        "gt": lambda value: value > given,
        "gte": lambda value: value >= given,
        "lt": lambda value: value < given,
        "lte": lambda value: value <= given,
    }[each.operator]
    return lambda row: (value := getattr(row, name)) is not None and fits(value)
