"""The bodies, responses and list queries of a resource, derived from its specification and its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    create_model,
    model_validator,
)

from api.resources.examples import changes_example, new_example, public_example
from api.resources.names import Names, names_of
from api.schemas import ListQuery, Timestamp
from backends.models.resources import FieldSpec, Kind, Resource, ResourceSpec
from backends.models.resources.constraints import flatten
from backends.models.resources.declaration import FORM
from backends.models.resources.filters import filter_fields
from backends.models.resources.forms import changes_form
from backends.models.resources.values import served_decimal, to_json
from backends.protocols import MAX_ADDED

Model: TypeAlias = Any
"""A pydantic model that is made at run time."""


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of a resource, which are named after the class and the path.

    Attributes:
        create: A new row.
        create_many: Many new rows.
        update: Changes of a row.
        query: The parameters of a list.
        filters: Those of them that a repository takes in `where`.
        public: A row as clients see it.
        page: A page of a list.
        created: The new rows of `create_many`.
    """

    create: Model
    create_many: Model
    update: Model
    query: Model
    filters: tuple[str, ...]
    public: Model
    page: Model
    created: Model

    def where(self, query: ListQuery) -> dict[str, Any]:
        """Return the filters in a list query by their names, without those that are not given."""
        given = {name: value for name in self.filters if (value := getattr(query, name)) is not None}
        for name, value in given.items():
            if type(value) is tuple and len(value) == 1:
                given[name] = value[0]
        return given


@cache
def forms_of(cls: type[Resource]) -> Forms:
    """Return the forms of a resource. They are made once: the OpenAPI document tells models by identity."""
    spec = cls.__resource__
    names = names_of(spec)
    of_caller = " of the caller" if spec.owned else ""
    create = _create_form(cls, f"{names.form}Create", f"A new {names.one}{of_caller}.")
    update = _derived(
        changes_form(cls, f"{names.form}Update"),
        f"{names.form}Update",
        f"Changes of {names.a}. Absent fields keep their values.",
        _described(cls, lambda: [changes_example(cls)]),
    )
    filters = filter_fields(spec)
    public = _model(
        f"{names.form}Public",
        f"{names.a[0].upper()}{names.a[1:]}.",
        lambda: [public_example(cls)],
        **{name: _public_field(cls, name) for name in spec.public},
    )
    return Forms(
        create=create,
        create_many=_model(
            f"{names.forms}Create",
            f"New {names.many}{of_caller}. Their order is kept.",
            lambda: [{"data": [example]} for example in _new_examples(cls)],
            data=(Annotated[_list_of(create), Field(min_length=1, max_length=MAX_ADDED)], ...),
        ),
        update=update,
        query=_query_form(spec, names, filters),
        filters=(*filters, "created_after", "created_before"),
        public=public,
        page=_model(
            f"{names.forms}Public",
            f"A page of {names.many}. `count` is the total; null with `count=none`.",
            lambda: [{"data": [public_example(cls)], "count": 1, "next_cursor": None}],
            data=(_list_of(public), ...),
            count=(int | None, ...),
            next_cursor=(str | None, None),
        ),
        created=_model(
            f"{names.forms}Created",
            f"The created {names.many} in the order of the request. `count` is their number.",
            lambda: [{"data": [public_example(cls)], "count": 1}],
            data=(_list_of(public), ...),
            count=(int, ...),
        ),
    )


_Examples: TypeAlias = Callable[[], list[Any]]
_Describe: TypeAlias = Callable[[dict[str, Any]], None]


def _model(name: str, doc: str, examples: _Examples, /, **fields: Any) -> Model:
    """Return a model with examples, which are made only for the OpenAPI document."""

    def describe(schema: dict[str, Any]) -> None:
        if made := examples():
            schema["examples"] = made

    # Attributes: the input of a response is an instance of the resource.
    config = ConfigDict(json_schema_extra=describe, from_attributes=True)
    return create_model(name, __config__=config, __doc__=doc, __module__=__name__, **fields)


def _derived(base: Model, name: str, doc: str, describe: _Describe, **namespace: Any) -> Model:
    """Return a subclass of a model with another name, description and JSON schema."""
    # `Resource` defers the build of validators. FastAPI expects them when it builds a route.
    config = ConfigDict(json_schema_extra=describe, defer_build=False)
    own = {FORM: True, "__module__": __name__, "__qualname__": name, "__doc__": doc, "model_config": config}
    model: Model = type(base)(name, (base,), {**own, **namespace})
    return model


def _described(cls: type[Resource], examples: _Examples) -> _Describe:
    """Return the function that completes the JSON schema of a body.

    Read-only fields are not in it. The form has one example as a whole instead of one for each field.
    """
    hidden = {field.name for field in cls.__resource__.fields if field.read_only}

    def describe(schema: dict[str, Any]) -> None:
        for name, described in list(schema["properties"].items()):
            if name in hidden:
                del schema["properties"][name]
            described.pop("examples", None)
            if description := cls.__pydantic_fields__[name].description:
                described["description"] = description
        if made := examples():
            schema["examples"] = made

    return describe


def _new_examples(cls: type[Resource]) -> list[Any]:
    example = new_example(cls)
    return [] if example is None else [example]


def _create_form(cls: type[Resource], name: str, doc: str) -> Model:
    """Return the class itself under another name, with its validators, without its read-only fields."""
    read_only = frozenset(field.name for field in cls.__resource__.fields if field.read_only)

    def without_read_only(_form: Model, body: object) -> object:
        if not isinstance(body, dict) or read_only.isdisjoint(body):
            return body
        return {key: value for key, value in body.items() if key not in read_only}

    describe = _described(cls, lambda: _new_examples(cls))
    validator = model_validator(mode="before")(classmethod(without_read_only))  # type: ignore[arg-type]  # a class
    namespace = {"without_read_only": validator} if read_only else {}
    return _derived(cls, name, doc, describe, **namespace)


def _query_form(spec: ResourceSpec, names: Names, filters: Mapping[str, Any]) -> Model:
    sorts = tuple(sort for name in spec.sorts for sort in (name, f"-{name}"))
    fields: dict[str, Any] = {
        "sort": (
            Literal[sorts],
            Field(default="-created_at", description="`-` for descending order."),
        ),
        **filters,
    }
    if spec.owned:
        rule = " Other owners than the caller are for superusers only." * (spec.access.read == "owner")
        fields["owner_id"] = (str | None, Field(default=None, description=f"The owner.{rule}"))
    return create_model(
        f"{names.form}ListQuery",
        __base__=ListQuery,
        __doc__=f"Filters, sort order and page of a list of {names.many}.",
        __module__=__name__,
        **fields,
    )


def _list_of(model: Any) -> Any:
    return list.__class_getitem__(model)


def _public_field(cls: type[Resource], name: str) -> Any:
    """Return the field of a response. Stored values are not validated again."""
    field = cls.__resource__.by_name.get(name)
    if field is None:
        return (Timestamp if name == "created_at" else str, ...)
    info = cls.__pydantic_fields__[name]
    annotation = _opaque(info.annotation) if field.kind == "json" else _public_value(field)
    annotation = annotation | None if field.nullable else annotation
    return (annotation, Field(description=info.description)) if info.description else (annotation, ...)


def _public_value(field: FieldSpec) -> Any:
    match field.kind:
        case "choice":
            return Annotated[str, WithJsonSchema({"type": "string", "enum": list(field.choices)})]
        case "decimal":
            return Annotated[Decimal, PlainSerializer(to_json, when_used="json"), served_decimal(field)]
        case "list":
            return _list_of(_public_value(field.item)) if field.item else list[Any]
        case _:
            return _VALUES[field.kind]


def _opaque(annotation: Any) -> Any:
    inner, _, _ = flatten(annotation)
    is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
    return inner if is_model else dict[str, Any]


_VALUES: Mapping[Kind, Any] = {
    "text": str,
    "email": str,
    "boolean": bool,
    "integer": int,
    "float": float,
    "time": Timestamp,
    "date": date,
    "reference": str,
}
