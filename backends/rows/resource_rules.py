"""The rules for one stored row of a resource: the stored form of each value, and then the class itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from math import copysign
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, create_model
from pydantic_core import PydanticCustomError

from backends.models.text import fold_case
from backends.rows.stored import Fields, Problem
from backends.rows.values import (
    Id,
    NotNull,
    StoredModel,
    Text,
    Time,
    Version,
    is_normalised,
    refuse_unless,
    violations,
)

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, Resource, ResourceSpec


def find_resource_problems(cls: type[Resource], fields: Fields) -> list[Problem]:
    """Return the violations of a row of a resource, in the order of its fields; empty if it is valid.

    The class validates the bounds of its fields and its rules over several fields. Its validators may be
    new, so they may refuse a row that was valid when it was written.
    """
    spec = cls.__resource__
    found = _form_violations(spec, fields)
    are_formed = found.keys().isdisjoint(spec.by_name)
    try:
        of_class = violations(cls, {name: value for name, value in fields.items() if name in spec.by_name})
    except Exception as exc:  # noqa: BLE001 - whatever a validator of the user raises
        of_class = {"": Problem("", f"breaks a rule: {type(exc).__name__}: {exc}")}
    if not are_formed:
        of_class.pop("", None)  # a rule over several fields needs all of them
    found = {**of_class, **found}
    order = [*spec.columns, *(f"{name}_folded" for name in spec.searched), ""]
    return [found[name] for name in order if name in found]


def find_form_problems(spec: ResourceSpec, fields: Fields) -> list[Problem]:
    """Return the values that have another form than the repositories store, or are missing."""
    return list(_form_violations(spec, fields).values())


def _form_violations(spec: ResourceSpec, fields: Fields) -> dict[str, Problem]:
    found = violations(stored_model(spec), fields)
    for name in spec.searched:
        folded, text = f"{name}_folded", fields.get(name)
        is_comparable = folded in fields and isinstance(text, str | None)
        if is_comparable and fields[folded] != (text and fold_case(text)):
            found.setdefault(folded, Problem(folded, f"is not the search form of the {name}"))
    return found


@lru_cache(maxsize=256)
def stored_model(spec: ResourceSpec) -> type[StoredModel]:
    """Return the model of a resource's stored rows: the forms of the values, without their bounds."""
    served: dict[str, Any] = {"id": Id, "owner_id": Id, "created_at": Time, "version": Version}
    forms: dict[str, Any] = {
        name: _nullable(_form_of(spec.by_name[name]), nullable=spec.by_name[name].nullable)
        if name in spec.by_name
        else Annotated[served[name], NotNull]
        for name in spec.columns
    }
    for name in spec.searched:
        forms[f"{name}_folded"] = _nullable(Text, nullable=spec.by_name[name].nullable)
    fields: dict[str, Any] = {name: (form, ...) for name, form in forms.items()}
    return create_model(f"Stored{spec.class_name}", __base__=StoredModel, **fields)


def _nullable(form: Any, *, nullable: bool) -> Any:
    return form | None if nullable else Annotated[form, NotNull]


def _form_of(field: FieldSpec) -> Any:
    if field.item is None:
        return _FORMS[field.kind]
    element: Any = _form_of(field.item)
    return list[element]


def _refuse_before(is_valid: Callable[[Any], bool], what: str) -> BeforeValidator:
    """Return the rule for what pydantic would convert, although the repositories don't."""

    def check(value: Any) -> Any:
        if not is_valid(value):
            raise PydanticCustomError("form", what)
        return value

    return BeforeValidator(check)


def _is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_negative_zero(number: float) -> bool:
    return number == 0 and copysign(1, number) < 0


_FORMS: dict[str, Any] = {
    "text": str,
    "email": Annotated[
        str,
        # The length makes pydantic refuse lone surrogates, with which nothing can be normalised.
        Field(max_length=2**20),
        refuse_unless(is_normalised, "is not a normalised address"),
    ],
    "boolean": bool,
    "choice": str,
    "integer": int,
    "decimal": Annotated[
        Decimal, _refuse_before(lambda value: isinstance(value, Decimal), "should be an exact decimal")
    ],
    "float": Annotated[
        float,
        _refuse_before(lambda value: isinstance(value, float), "should be a double"),
        refuse_unless(lambda number: not _is_negative_zero(number), "should be 0.0, not -0.0"),
    ],
    "time": Time,
    "date": Annotated[date, _refuse_before(_is_day, "should be a date without a time")],
    "reference": Id,
    "json": Annotated[
        dict[str, Any], _refuse_before(lambda value: isinstance(value, dict), "should be a JSON object")
    ],
}
"""The types of the values of `backends.rows.Fields` by kind."""
