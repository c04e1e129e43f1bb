"""The collections of declared resources: validators and indexes, derived from the specifications."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bson import Int64, ObjectId

from backends.models import Item
from backends.models.resources.kinds import MAX_LONG
from backends.mongo.collections import INTEGER, CollectionSpec, IndexSpec, documents, text

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, Kind, ResourceSpec

REFERENCES = "references"
"""The field that a new reference to the document increments: see `backends.mongo.references`.

It is optional: a document to which no row ever referred lacks it.
"""

_BY_TIME = (("created_at", -1), ("_id", -1))


def collection_of(spec: ResourceSpec, *, is_referenced: bool = False) -> CollectionSpec:
    """Return the collection of a resource.

    Args:
        spec: The specification.
        is_referenced: Whether another resource has a reference to this one. The validator then allows the
            field `REFERENCES`.
    """
    fields = {field.column: schema_of(field) for field in spec.fields}
    if spec.owned:
        fields["owner_id"] = {"bsonType": "objectId"}
    fields |= {"created_at": {"bsonType": "date"}, "version": INTEGER}
    for name in spec.searched:
        # `models.fold_case` of the text; folding may lengthen a text.
        field = spec.by_name[name]
        fields[f"{field.column}_folded"] = {"bsonType": ["string", "null"] if field.nullable else "string"}
    nullable = {name: fields.pop(name) for name in optional_columns(spec)}
    counted = {REFERENCES: INTEGER} if is_referenced else {}
    return CollectionSpec(
        spec.name, documents(fields, optional=nullable | counted), tuple(_indexes_of(spec))
    )


def may_lack_fields(spec: ResourceSpec) -> bool:
    """Return whether documents may lack fields. EitherDB's own migrations require all fields of items."""
    return spec.name != Item.__resource__.name


def optional_columns(spec: ResourceSpec) -> tuple[str, ...]:
    """Return the columns that a document may lack: those that may be null. A missing value is null.

    So a revision that adds such a field changes no document, and a server of the revision before still adds
    documents.
    """
    nullable = [field for field in spec.fields if field.nullable and may_lack_fields(spec)]
    folded = [f"{field.column}_folded" for field in nullable if field.searchable]
    return (*(field.column for field in nullable), *folded)


def collections_of(specs: Collection[ResourceSpec]) -> tuple[CollectionSpec, ...]:
    """Return the collections of all resources of a backend."""
    targets = {field.target for spec in specs for field in spec.references}
    return tuple(collection_of(spec, is_referenced=spec.name in targets) for spec in specs)


def _indexes_of(spec: ResourceSpec) -> Iterator[IndexSpec]:
    sortable = [field.column for field in spec.fields if field.sortable]
    filterable = [field.column for field in spec.fields if field.filterable and not field.sortable]
    # Serve a list of all rows by time and by each sortable field, in both directions.
    yield IndexSpec(keys=_BY_TIME)
    for column in sortable:
        yield IndexSpec(keys=((column, 1), ("_id", 1)))
    if spec.owned:
        # Serve an owner's lists and their counts, and find the rows of a deleted owner.
        yield IndexSpec(keys=(("owner_id", 1), *_BY_TIME))
        for column in sortable:
            yield IndexSpec(keys=(("owner_id", 1), (column, 1), ("_id", 1)))
    owner = (("owner_id", 1),) if spec.owned else ()
    for column in filterable:
        yield IndexSpec(keys=(*owner, (column, 1), *_BY_TIME))
    for field in spec.references:
        # Finds the rows that refer to a deleted row.
        if spec.owned or not field.filterable:
            yield IndexSpec(keys=((field.column, 1),))
    for group in spec.unique:
        yield _unique_index(spec, group)


def _unique_index(spec: ResourceSpec, group: tuple[str, ...]) -> IndexSpec:
    """Return the index of a unique group. Documents with a null in the group are exempt."""
    fields = [spec.by_name.get(name) for name in group]
    only = {field.column: LEAST[field.kind] for field in fields if field is not None and field.nullable}
    columns = [field.column if field else name for field, name in zip(fields, group, strict=True)]
    return IndexSpec(keys=tuple((column, 1) for column in columns), unique=True, only=only or None)


def schema_of(field: FieldSpec) -> dict[str, Any]:
    """Return the JSON schema of a field's values in documents."""
    schema = _SCHEMAS[field.kind](field)
    if field.nullable:
        schema["bsonType"] = [schema["bsonType"], "null"]
        if "enum" in schema:
            schema["enum"].append(None)
    return schema


def _text(field: FieldSpec) -> dict[str, Any]:
    return text(field.max_length or 0, min_length=field.min_length)


def _choice(field: FieldSpec) -> dict[str, Any]:
    return {"bsonType": "string", "enum": sorted(field.choices)}


def _integer(field: FieldSpec) -> dict[str, Any]:
    return _long(int(field.minimum or 0), int(field.maximum or 0))


def _decimal(field: FieldSpec) -> dict[str, Any]:
    most = 10 ** (field.max_digits or 0) - 1
    bounds = [
        default if given is None else scaled(Decimal(str(given)), field.decimal_places or 0)
        for given, default in ((field.minimum, -most), (field.maximum, most))
    ]
    return _long(*bounds)


def _long(least: int, most: int) -> dict[str, Any]:
    return {"bsonType": "long", "minimum": Int64(least), "maximum": Int64(most)}


def _float(field: FieldSpec) -> dict[str, Any]:
    bounds = {"minimum": field.minimum, "maximum": field.maximum}
    return {
        "bsonType": "double",
        **{name: float(bound) for name, bound in bounds.items() if bound is not None},
    }


def _list(field: FieldSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"bsonType": "array", "minItems": field.min_length}
    if field.max_length is not None:
        schema["maxItems"] = field.max_length
    return schema | ({"items": schema_of(field.item)} if field.item else {})


def _only(bson_type: str) -> Callable[[FieldSpec], dict[str, Any]]:
    return lambda _: {"bsonType": bson_type}


def scaled(value: Decimal, places: int) -> int:
    """Return a decimal as the integer that is stored: 12.50 with two places is 1250."""
    return int(value.scaleb(places))


_SCHEMAS: Mapping[Kind, Callable[[FieldSpec], dict[str, Any]]] = {
    "text": _text,
    "email": _text,
    "boolean": _only("bool"),
    "choice": _choice,
    "integer": _integer,
    "decimal": _decimal,
    "float": _float,
    "time": _only("date"),
    "date": _only("date"),
    "reference": _only("objectId"),
    "list": _list,
    "json": _only("string"),
}

LEAST: Mapping[str, dict[str, Any]] = {
    **{kind: {"$gte": ""} for kind in ("text", "email", "choice")},
    **{kind: {"$gte": Int64(-MAX_LONG - 1)} for kind in ("integer", "decimal")},
    **{kind: {"$gte": datetime(1, 1, 1)} for kind in ("time", "date")},  # noqa: DTZ001 - UTC
    "reference": {"$gte": ObjectId("0" * 24)},
}
"""Conditions that match every value but null, in a form that the planner can derive from an equality."""
