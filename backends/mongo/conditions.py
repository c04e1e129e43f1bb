"""The conditions of a resource's lists, compiled once per resource."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from backends.models import fold_case
from backends.models.resources.filters import Filter, filters_of
from backends.mongo.documents import encoder_of
from backends.mongo.pages import created_between
from backends.mongo.schema import object_id

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.mongo.driver import Document

Condition = Callable[[Any], "Document"]

NOTHING: Document = {"_id": {"$in": []}}
"""The condition that no document matches."""


class Conditions:
    """The conditions of one resource.

    Attributes:
        is_public: Matches the documents that `spec.public_when` describes.
    """

    def __init__(self, spec: ResourceSpec) -> None:
        """Compile the filters of the specification."""
        self._filters = tuple((each.name, _condition_of(each)) for each in filters_of(spec))
        self._folded = tuple(f"{spec.by_name[name].column}_folded" for name in spec.searched)
        self.is_public: Document = _public_of(spec)

    def of(
        self, where: BaseModel | Mapping[str, Any], *, owner_id: str | None, public: bool
    ) -> list[Document]:
        """Return the conditions of a list; all must hold."""
        get = where.get if isinstance(where, Mapping) else lambda name: getattr(where, name, None)
        conditions = created_between(get("created_after"), get("created_before"))
        if owner_id is not None:
            is_owned: Document = {"owner_id": object_id(owner_id)}
            conditions.append({"$or": [is_owned, self.is_public]} if public else is_owned)
        elif public:
            conditions.append(self.is_public)
        for name, condition in self._filters:
            value = get(name)
            if value is not None:
                conditions.append(condition(value))
        text = get("q") if self._folded else None
        if text:
            # The fields are case-folded already, so the expression is case-sensitive and escaped.
            part = {"$regex": re.escape(fold_case(text))}
            conditions.append({"$or": [{column: part} for column in self._folded]})
        return conditions


def _public_of(spec: ResourceSpec) -> Document:
    if not spec.public_when:
        return NOTHING
    matches: Document = {}
    for name, value in spec.public_when:
        field = spec.by_name[name]
        encode = encoder_of(field)
        matches[field.column] = value if encode is None or value is None else encode(value)
    return matches


def _condition_of(each: Filter) -> Condition:
    """Return the function from the value of a filter to its condition."""
    column = each.field.column
    if each.operator == "is_null":
        return lambda is_null: {column: None if is_null else {"$ne": None}}
    encode = encoder_of(each.field.item or each.field) or _unchanged
    if each.operator in {"any_of", "contains"}:
        return lambda value: {column: _any_of(value, encode)}
    operator = f"${each.operator}"
    # A comparison matches values of one type, so it never matches null.
    return lambda value: {column: {operator: encode(value)}}


def _any_of(value: Any, encode: Callable[[Any], Any]) -> Any:
    """Return the condition on a field, or on some element of a list.

    A malformed id becomes None, which must not match a reference that is null.
    """
    given = value if isinstance(value, tuple | list | set | frozenset) else (value,)
    stored = [found for found in map(encode, given) if found is not None]
    return stored[0] if len(stored) == 1 else {"$in": stored}


def _unchanged(value: Any) -> Any:
    return value
