"""The filters of a resource's lists: their names, and the values that they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    TypeAdapter,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from backends.models.queries import QueryBool, QueryFloat, QueryInt, QueryTime
from backends.models.resources.kinds import KINDS, MAX_LONG
from backends.models.resources.spec import FieldSpec, ResourceSpec
from backends.models.resources.values import metadata_of
from backends.models.text import IdText, SearchText, storable
from backends.models.times import whole_milliseconds, whole_milliseconds_up

Operator: TypeAlias = Literal["any_of", "contains", "gt", "gte", "lt", "lte", "is_null"]

COMPARISONS: tuple[Operator, ...] = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of a list.

    Attributes:
        name: The query parameter, and the key in the `where` of a repository.
        field: The field that it is about.
        operator: `any_of`: the field equals one of the values. `contains`: the list has one of the values
            as an element. `gt`, `gte`, `lt`, `lte`: the field is not null and compares to the value.
            `is_null`: whether the field is null.
    """

    name: str
    field: FieldSpec
    operator: Operator


@cache
def filters_of(spec: ResourceSpec) -> tuple[Filter, ...]:
    """Return the filters by declared fields, in their order.

    Every list also has `q`, if fields are searched, and `created_after` and `created_before`.
    """
    found = []
    for field in spec.fields:
        if not field.filterable:
            continue
        found.append(Filter(field.name, field, "contains" if field.kind == "list" else "any_of"))
        if KINDS[field.kind].is_compared:
            found += [Filter(f"{field.name}__{name}", field, name) for name in COMPARISONS]
        if field.nullable:
            found.append(Filter(f"{field.name}__isnull", field, "is_null"))
    return tuple(found)


def require_known(
    spec: ResourceSpec, where: BaseModel | Mapping[str, Any], *, sort: str = "created_at"
) -> None:
    """Refuse filters and an order that the lists of a resource do not have.

    A misspelt filter would be no condition, and a script would change all rows. Forms can't have one.

    Raises:
        ValueError: There is no such filter or order; the message lists them.
    """
    if sort.removeprefix("-") not in spec.sorts:
        raise ValueError(f"{spec.name} can't be sorted by {sort}: give one of {', '.join(spec.sorts)}")
    if not isinstance(where, Mapping) or not where:
        return
    searches = ("q",) if spec.searched else ()
    names = (*(each.name for each in filters_of(spec)), *searches, "created_after", "created_before")
    for name in where:
        if name not in names:
            raise ValueError(f"{spec.name} can't be filtered by {name}: give one of {', '.join(names)}")


def filter_fields(spec: ResourceSpec) -> dict[str, Any]:
    """Return the filters of a list as fields for `pydantic.create_model`; None stands for no filter.

    Values are Python's, or their texts in a query. `any_of` and `contains` take one value or a list, of
    which they make a tuple of distinct values.
    """
    fields: dict[str, Any] = {}
    for each in filters_of(spec):
        annotation = value_of(each.field, each.operator)
        if each.operator in {"any_of", "contains"}:
            many: Any = list.__class_getitem__(annotation)
            annotation = Annotated[
                many,
                WrapValidator(_any_of(TypeAdapter(annotation))),
                PlainSerializer(_as_it_is),
                _OneOrMany(),
            ]
        fields[each.name] = (annotation | None, Field(default=None, description=_description(each)))
    if spec.searched:
        texts = " or the ".join(name.replace("_", " ") for name in spec.searched)
        description = f"A part of the {texts}. Case is ignored."
        fields["q"] = (SearchText | None, Field(default=None, description=description))
    return fields


def value_of(field: FieldSpec, operator: Operator) -> Any:
    """Return the annotation of one value of a filter. A value that no row has may be valid."""
    if operator == "is_null":
        return Annotated[bool, QueryBool]
    field = field.item or field
    if field.kind in {"text", "email"}:
        return Annotated[str, Field(max_length=field.max_length), AfterValidator(storable)]
    if field.kind == "decimal":
        digits = Field(max_digits=field.max_digits, decimal_places=field.decimal_places)
        return Annotated[Decimal, digits, *metadata_of(replace(field, minimum=None))]
    if field.kind == "time":
        rounded = {"any_of": _whole, "gte": whole_milliseconds_up, "lt": whole_milliseconds_up}
        to_milliseconds = AfterValidator(rounded.get(operator, whole_milliseconds))
        return Annotated[AwareDatetime, to_milliseconds, QueryTime]
    return Literal[field.choices] if field.kind == "choice" else _VALUES[field.kind]


def _whole(time: datetime) -> datetime:
    if whole_milliseconds(time) != time:
        raise PydanticCustomError("time_precision", "Time should be in whole milliseconds")
    return whole_milliseconds(time)


def _any_of(adapter: TypeAdapter[Any]) -> Callable[[Any, Any], Any]:
    def check(value: Any, _handler: Any) -> Any:
        # The location of an error is the parameter, even if it is repeated.
        if isinstance(value, list | tuple):
            return tuple(dict.fromkeys(map(adapter.validate_python, value)))
        return adapter.validate_python(value)

    return check


class _OneOrMany:
    """Describes one value, or an array of them, in the JSON schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of both. Clients that were written for one value go on as before."""
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _as_it_is(value: Any) -> Any:
    return value


def _description(each: Filter) -> str:
    name = each.field.name.replace("_", " ")
    return {
        "any_of": f"The exact {name}.",
        "contains": f"An element of the {name}.",
        "gt": f"More than this {name}.",
        "gte": f"At least this {name}.",
        "lt": f"Less than this {name}.",
        "lte": f"At most this {name}.",
        "is_null": f"Whether the {name} is null.",
    }[each.operator]


_VALUES: dict[str, Any] = {
    "integer": Annotated[int, Field(ge=-MAX_LONG, le=MAX_LONG), QueryInt],
    "boolean": Annotated[bool, QueryBool],
    "float": Annotated[float, Field(allow_inf_nan=False), QueryFloat],
    "date": Annotated[date, *metadata_of(FieldSpec(name="", column="", kind="date"))],
    "reference": IdText,
}
