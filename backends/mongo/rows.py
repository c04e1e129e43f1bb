"""Reads documents as they are stored, without the repositories' mapping."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bson import Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion

from backends.mongo.errors import translate_errors
from backends.mongo.resource_collections import LEAST, REFERENCES, optional_columns
from backends.mongo.schema import ANY_ID
from backends.rows.stored import Fields, Place, Problem, RowKind, StoredRow

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, ResourceSpec
    from backends.mongo.driver import Document, Driver

# A value that can't be decoded must not make the other documents unreadable.
_ANYTHING: CodecOptions[Any] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="surrogateescape"
)


async def read_rows(
    driver: Driver,
    kind: RowKind,
    spec: ResourceSpec | None,
    *,
    by: Sequence[str],
    start: Place | None,
    limit: int,
) -> list[StoredRow]:
    """See `backends.protocols.Backend`; `spec` is that of the resource, if the kind is one."""
    names = [_column(spec, name) for name in by] or ["_id"]
    where: list[Document] = [{_column(spec, name): _of_its_type(spec, name)} for name in by]
    if start is not None:
        where.append(_from(names, start))
    documents = driver.database[kind].with_options(codec_options=_ANYTHING)
    async with driver.semaphore.slot():
        with translate_errors():
            found = documents.find({"$and": where} if where else {}, max_time_ms=driver.max_time_ms)
            page = await found.sort([(name, 1) for name in names]).limit(limit).to_list(limit)
    return [
        StoredRow(
            fields=stored_fields(kind, document) if spec is None else resource_fields(spec, document),
            place=tuple(document[name] for name in names),
            problems=_problems(kind, document),
        )
        for document in page
    ]


def stored_fields(kind: RowKind, document: Document) -> Fields:
    """Return a document's fields as `backends.rows.Fields` describes them."""
    fields = {name: _read(value) for name, value in document.items()}
    key = fields.pop("_id", None)
    return fields if kind == "idempotency_keys" else {"key" if kind == "counters" else "id": key, **fields}


def resource_fields(spec: ResourceSpec, document: Document) -> Fields:
    """Return the fields of a resource's document as `backends.rows.Fields` describes them."""
    others = dict(stored_fields(spec.name, document))
    for column in optional_columns(spec):
        others.setdefault(column, None)
    fields: dict[str, Any] = {}  # a column may have the name of another field
    for field in spec.fields:
        if field.column in others:
            fields[field.name] = _read_value(field, others.pop(field.column))
    for name in spec.searched:
        column = f"{spec.by_name[name].column}_folded"
        if column in others:
            fields[f"{name}_folded"] = others.pop(column)
    return {**others, **fields}


def _read_value(field: FieldSpec, value: Any) -> Any:
    match field.kind, value:
        case "decimal", int():
            return Decimal(value).scaleb(-(field.decimal_places or 0))
        case "date", datetime() if value.time() == time.min:
            return value.date()
        case "json", str():
            with suppress(ValueError, RecursionError):
                return json.loads(value)
        case "list", list():
            return [_read(each) for each in value]
    return value


def _read(value: Any) -> Any:
    match value:
        case ObjectId():
            return str(value)
        case datetime():
            return value.replace(tzinfo=UTC)
        case Int64():
            return int(value)
    return value


def _problems(kind: RowKind, document: Document) -> tuple[Problem, ...]:
    """Check the fields that only this backend stores."""
    name = "accounts_opened" if kind == "users" else REFERENCES
    is_optional = name == REFERENCES
    if isinstance(document.get(name, 0 if is_optional else None), int):
        return ()
    return (Problem(name, "should be an integer"),)


def _column(spec: ResourceSpec | None, name: str) -> str:
    field = spec.by_name.get(name) if spec else None
    return field.column if field else name


def _of_its_type(spec: ResourceSpec | None, name: str) -> Document:
    """Return the condition that a field has its type, in the form that the partial indexes use."""
    if spec is not None and name in spec.by_name:
        return LEAST[spec.by_name[name].kind]
    if name.endswith("_id") or name == "ordered_by":
        return ANY_ID
    return {"$gte": 0} if name.endswith("_version") else {"$gt": ""}


def _from(names: Sequence[str], start: Place) -> Document:
    """Return the keyset condition: it matches the document at a place and those after it."""
    if list(names) == ["_id"]:
        # `$expr` compares values of all types, and an `_id` may have any type.
        return {"$expr": {"$gte": ["$_id", {"$literal": start[0]}]}}
    (first, *others), (value, *values) = names, start
    if not others:
        return {first: {"$gte": value}}
    return {"$or": [{first: {"$gt": value}}, {first: value, **_from(others, tuple(values))}]}
