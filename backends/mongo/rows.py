"""Reads documents as they are stored, without the repositories' mapping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson import Int64, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion

from backends.mongo.errors import translate_errors
from backends.mongo.schema import ANY_ID
from backends.rows.stored import Fields, Place, Problem, RowKind, StoredRow

if TYPE_CHECKING:
    from backends.mongo.driver import Document, Driver

# A value that can't be decoded must not make the other documents unreadable.
_ANYTHING: CodecOptions[Any] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="surrogateescape"
)


async def read_rows(
    driver: Driver, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
) -> list[StoredRow]:
    """See `backends.protocols.Backend`."""
    names = tuple(by) or ("_id",)
    where: list[Document] = [{name: _of_its_type(name)} for name in by]
    if start is not None:
        where.append(_from(names, start))
    documents = driver.database[kind].with_options(codec_options=_ANYTHING)
    async with driver.semaphore.slot():
        with translate_errors():
            found = documents.find({"$and": where} if where else {}, max_time_ms=driver.max_time_ms)
            page = await found.sort([(name, 1) for name in names]).limit(limit).to_list(limit)
    return [
        StoredRow(
            fields=stored_fields(kind, document),
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
    if kind != "users" or isinstance(document.get("accounts_opened"), int):
        return ()
    return (Problem("accounts_opened", "should be an integer"),)


def _of_its_type(name: str) -> Document:
    """Return the condition that a field has its type, in the form that the partial indexes use."""
    if name.endswith("_id") or name == "ordered_by":
        return ANY_ID
    return {"$gte": 0} if name.endswith("_version") else {"$gt": ""}


def _from(names: Sequence[str], start: Place) -> Document:
    """Return the keyset condition: it matches the document at a place and those after it."""
    if names == ("_id",):
        # `$expr` compares values of all types, and an `_id` may have any type.
        return {"$expr": {"$gte": ["$_id", {"$literal": start[0]}]}}
    (first, *others), (value, *values) = names, start
    if not others:
        return {first: {"$gte": value}}
    return {"$or": [{first: {"$gt": value}}, {first: value, **_from(others, tuple(values))}]}
