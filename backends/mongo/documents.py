"""Maps the rows of a resource to documents and back. The mapping is compiled once per resource."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bson import Int64

from backends.ids import write_time
from backends.models import Row, fold_case
from backends.models.resources import Resource
from backends.models.resources.values import scaled_text, write_json
from backends.mongo.resource_collections import may_lack_fields, optional_columns, scaled
from backends.mongo.rows import resource_fields
from backends.mongo.schema import object_id
from backends.rows import unreadable_resource

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, ResourceSpec
    from backends.mongo.driver import Document

R = TypeVar("R", bound=Resource)
Convert = Callable[[Any], Any]


def encoder_of(field: FieldSpec) -> Convert | None:
    """Return the function from Python's values to stored ones; None if they are the same."""
    match field.kind:
        case "decimal":
            places = field.decimal_places or 0
            return lambda value: Int64(scaled(value, places))
        case "list":
            encode = encoder_of(field.item) if field.item else None
            return list if encode is None else lambda values: [encode(each) for each in values]
        case kind:
            return _ENCODERS.get(kind)


def decoder_of(field: FieldSpec) -> Convert | None:
    """Return the function from stored values to Python's; None if they are the same."""
    if field.kind == "decimal":
        places = field.decimal_places or 0
        return lambda value: Decimal(value).scaleb(-places)
    return _DECODERS.get(field.kind)


class DocumentMap(Generic[R]):
    """The mapping of one resource.

    Attributes:
        to_row: Maps a document to the row of a list.
    """

    def __init__(self, cls: type[R]) -> None:
        """Compile the mapping of the class."""
        self._cls = cls
        spec = cls.__resource__
        encoders = {field.name: (field.column, encoder_of(field)) for field in spec.fields}
        self._encoders: Mapping[str, tuple[str, Convert | None]] = encoders
        self._optional = frozenset(optional_columns(spec))
        self._folded = tuple((name, f"{spec.by_name[name].column}_folded") for name in spec.searched)
        read = _compile_reader(spec)

        def to_row(document: Document) -> Row:
            try:
                return read(document)
            except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
                raise unreadable_resource(spec, resource_fields(spec, document)) from exc

        self.to_row: Callable[[Document], Row] = to_row

    def to_model(self, document: Document) -> R:
        """Map a document to an instance of the class."""
        return self._cls.from_row(self.to_row(document))

    def to_stored(self, values: Mapping[str, Any]) -> Document:
        """Map values of declared fields by name to stored values by column, with the folded texts."""
        stored: Document = {}
        for name, value in values.items():
            column, encode = self._encoders[name]
            stored[column] = value if encode is None or value is None else encode(value)
        for name, column in self._folded:
            if name in values:
                text = values[name]
                stored[column] = text and fold_case(text)
        return stored

    def to_new(self, values: Mapping[str, Any]) -> Document:
        """Map the values of a new row as `to_stored` does, without the nulls that need not be stored."""
        stored = self.to_stored(values)
        optional = self._optional
        return {name: value for name, value in stored.items() if value is not None or name not in optional}


def _compile_reader(spec: ResourceSpec) -> Callable[[Document], Row]:
    """Return the function from a document to a row, with the columns and conversions looked up.

    A declared field that is missing or null is null, also if it is declared as never null: a server of the
    next revision, which makes it optional, may have added the document. Items have no next revision.
    """
    columns = {"id": "_id", **{field.name: field.column for field in spec.fields}}
    converters: dict[str, Convert | None] = {"id": str, "owner_id": str, "created_at": write_time}
    converters |= {field.name: _row_converter(field) for field in spec.fields}
    entries = [(name, columns.get(name, name), converters.get(name)) for name in spec.columns]

    def read(document: Document) -> Row:
        return {
            name: document[column] if convert is None else convert(document[column])
            for name, column, convert in entries
        }

    def read_leniently(document: Document) -> Row:
        get = document.get
        return {
            name: value if convert is None or (value is None and name in fields) else convert(value)
            for name, column, convert in entries
            for value in (get(column) if name in fields else document[column],)
        }

    fields = spec.by_name
    return read_leniently if may_lack_fields(spec) else read


def _row_converter(field: FieldSpec) -> Convert | None:
    """Return the function from stored values but null to JSON types; None if they are the same."""
    convert = _ROW_CONVERTERS.get(field.kind)
    if field.kind == "decimal":
        convert = scaled_text(field.decimal_places or 0)
    elif field.kind == "list":
        of_item = _row_converter(field.item) if field.item else None
        convert = None if of_item is None else lambda values: [of_item(each) for each in values]
    return convert


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - UTC, as the driver takes it


def _without_zone(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(tzinfo=None)


_ENCODERS: Mapping[str, Convert] = {
    "choice": str,
    "float": float,
    "integer": Int64,
    "time": _without_zone,
    "date": _midnight,
    "reference": object_id,
    "json": write_json,
}

_DECODERS: Mapping[str, Convert] = {
    "integer": int,
    "time": lambda time: time.replace(tzinfo=UTC),
    "date": lambda time: time.date(),
}

_ROW_CONVERTERS: Mapping[str, Convert] = {
    "integer": int,
    "time": write_time,
    "date": lambda time: time.date().isoformat(),
    "reference": str,
    "json": json.loads,
}
