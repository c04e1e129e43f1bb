"""The model of declared resources: rows in memory, and the response to each request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import normalize

from pydantic import ValidationError

from backends.models.resources import FieldSpec, Resource, ResourceSpec
from backends.models.resources.filters import Filter
from backends.models.resources.spec import Who
from backends.models.resources.values import to_json

Values = dict[str, Any]


class Refused(Exception):
    """Ends a request with an error of this status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status, self.code = status, code


INVALID = (422, "validation_error")
FORBIDDEN = (403, "forbidden")


@dataclass
class Caller:
    """A user. One who was deleted still has a token."""

    id: str
    is_superuser: bool = False
    is_deleted: bool = False


@dataclass
class Row:
    """A row, with its values in Python."""

    spec: ResourceSpec
    id: str
    created_at: datetime
    owner_id: str | None
    values: Values
    version: int = 1

    @property
    def etag(self) -> str:
        """The ETag of the version."""
        return f'"{self.id}-{self.version}-{self.spec.form}"'

    @property
    def shown(self) -> Values:
        """The row in a response."""
        server = {"id": self.id, "owner_id": self.owner_id, "created_at": self.created_at}
        return {name: to_json({**server, **self.values}[name]) for name in self.spec.public}

    @property
    def is_public(self) -> bool:
        """Whether the row has the values of `public_when`."""
        fits = self.spec.public_when
        return bool(fits) and all(to_json(self.values[name]) == value for name, value in fits)

    def names(self, rows: Iterable[tuple[str, str]], rule: str) -> list[str]:
        """Return the references with this rule that name one of the rows."""
        gone = set(rows)
        return [
            each.name
            for each in self.spec.references
            if each.on_delete == rule and (each.target or "", self.values[each.name]) in gone
        ]


@dataclass
class Model:
    """The rows of some resources, and the users.

    Attributes:
        classes: The classes by name, items among them.
        users: The users by id.
        rows: The rows by id, by name of the resource.
        kept: The request and the row of each idempotency key.
    """

    classes: Mapping[str, type[Resource]]
    users: dict[str, Caller] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[str, Values, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin without rows."""
        self.rows = {name: {} for name in self.classes}

    # -- who calls -------------------------------------------------------------------------------

    def authorise(self, who: Who, caller: Caller | None) -> None:
        """Refuse a caller who may not call the route."""
        if who == "anyone":
            return
        if caller is None:
            raise Refused(401, "not_authenticated")
        if caller.is_deleted:
            raise Refused(404, "not_found")
        if who == "superuser" and not caller.is_superuser:
            raise Refused(*FORBIDDEN)

    def find(self, name: str, id: str, who: Who, caller: Caller | None, *, public: bool = False) -> Row:
        """Return a row that the caller reaches."""
        row = self.rows[name].get(id)
        if row is None:
            raise Refused(404, "not_found")
        is_limited = who == "owner" and caller is not None and not caller.is_superuser
        if is_limited and caller and row.owner_id != caller.id and not (public and row.is_public):
            raise Refused(*FORBIDDEN)
        return row

    # -- writing ---------------------------------------------------------------------------------

    def validated(self, name: str, body: Values) -> Values:
        """Return the values of a new row."""
        cls = self.classes[name]
        read_only = {each.name for each in cls.__resource__.fields if each.read_only}
        try:
            new = cls(**{key: value for key, value in body.items() if key not in read_only})
        except ValidationError:
            raise Refused(*INVALID) from None
        return {key: getattr(new, key) for key in cls.__resource__.by_name}

    def add(
        self, name: str, bodies: Sequence[Values], caller: Caller | None, ids: Sequence[str], now: datetime
    ) -> list[Row]:
        """Add rows, all or none."""
        spec = self.classes[name].__resource__
        found = [self.validated(name, body) for body in bodies]
        owner_id = caller.id if caller and spec.owned else None
        new = [
            Row(spec, id_, now, owner_id, values) for id_, values in zip(sorted(ids), found, strict=True)
        ]
        for row in new:
            self._check_references(spec, row.values, new)
        for place, row in enumerate(new):
            self._check_unique(row, [*self.rows[name].values(), *new[:place]])
        self.rows[name].update({row.id: row for row in new})
        return new

    def _check_references(self, spec: ResourceSpec, values: Values, new: Sequence[Row] = ()) -> None:
        del new
        for each in spec.references:
            named = values.get(each.name)
            others: Iterable[str] = self.users if each.target == "users" else self.rows[each.target or ""]
            if named is not None and named not in others:
                raise Refused(*INVALID)

    def _check_unique(self, row: Row, others: Iterable[Row]) -> None:
        others = [other for other in others if other.id != row.id]
        for group in row.spec.unique:
            key = _key(row, group)
            if None not in key and any(_key(other, group) == key for other in others):
                raise Refused(409, "already_exists")

    def change(self, row: Row, body: Values, versions: Sequence[str] | None) -> Row:
        """Change a row."""
        cls = self.classes[row.spec.name]
        settable = [each for each in row.spec.fields if not each.read_only and not each.immutable]
        given = {each.name: body[each.name] for each in settable if each.name in body}
        if versions is not None and row.etag not in versions:
            raise Refused(412, "version_mismatch")
        if not given:
            return row
        try:
            after = cls(**row.values | given)
        except ValidationError:
            raise Refused(*INVALID) from None
        values = {name: getattr(after, name) for name in row.spec.by_name}
        self._check_references(row.spec, {name: values[name] for name in given})
        changed = Row(row.spec, row.id, row.created_at, row.owner_id, values, row.version + 1)
        self._check_unique(changed, self.rows[row.spec.name].values())
        self.rows[row.spec.name][row.id] = changed
        return changed

    def check_changes(self, name: str, body: Values) -> None:
        """Refuse a body that is invalid for any row: each field is validated alone."""
        cls = self.classes[name]
        for each in cls.__resource__.fields:
            if each.name in body and not each.read_only and not each.immutable:
                try:
                    cls.__pydantic_validator__.validate_assignment(
                        cls.model_construct(), each.name, body[each.name]
                    )
                except ValidationError as exc:
                    if any(error["loc"][:1] == (each.name,) for error in exc.errors()):
                        raise Refused(*INVALID) from None
                except (TypeError, AttributeError):
                    pass

    def delete(self, kind: str, id: str) -> None:
        """Delete a row or a user, with what refers to it."""
        gone = {(kind, id)}
        rows = [row for rows in self.rows.values() for row in rows.values()]
        while True:
            more = {
                (row.spec.name, row.id)
                for row in rows
                if ("users", row.owner_id) in gone or row.names(gone, "cascade")
            } - gone
            if not more:
                break
            gone |= more
        remaining = [row for row in rows if (row.spec.name, row.id) not in gone]
        if any(row.names(gone, "restrict") for row in remaining):
            raise Refused(409, "still_referenced")
        for row in remaining:
            if names := row.names(gone, "set_null"):
                row.values |= dict.fromkeys(names)
                row.version += 1
        for name, id_ in gone:
            if name == "users":
                self.users.pop(id_).is_deleted = True
            else:
                del self.rows[name][id_]

    # -- reading ---------------------------------------------------------------------------------

    def listed(self, name: str, caller: Caller | None, owner_id: str | None) -> list[Row]:
        """Return the rows that a list without filters has."""
        spec = self.classes[name].__resource__
        rows = list(self.rows[name].values())
        public = False
        if spec.owned and spec.access.read == "owner" and caller and not caller.is_superuser:
            if owner_id not in {None, caller.id}:
                raise Refused(*FORBIDDEN)
            public = owner_id is None
            owner_id = caller.id
        return [
            row
            for row in rows
            if owner_id is None or row.owner_id == owner_id or (public and row.is_public)
        ]


def _key(row: Row, group: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.owner_id if name == "owner_id" else row.values[name] for name in group)


def sort_key(name: str) -> Callable[[Row], tuple[Any, ...]]:
    """Return the sort key of rows: null first, then the id."""

    def key(row: Row) -> tuple[Any, ...]:
        value = row.created_at if name == "created_at" else row.values[name]
        return (value is not None, *(() if value is None else (value,)), row.id)

    return key


def fits(row: Row, each: Filter, asked: Sequence[Any]) -> bool:
    """Return whether a row fits a filter with these values."""
    stored = row.values[each.field.name]
    if each.operator == "is_null":
        return (stored is None) is asked[0]
    if stored is None:
        return False
    compared: dict[str, Callable[[], bool]] = {
        "any_of": lambda: stored in asked,
        "contains": lambda: any(value in stored for value in asked),
        "gt": lambda: stored > asked[0],
        "gte": lambda: stored >= asked[0],
        "lt": lambda: stored < asked[0],
        "lte": lambda: stored <= asked[0],
    }
    return compared[each.operator]()


def has_text(row: Row, text: str) -> bool:
    """Return whether `q` finds the row."""
    texts = [row.values[name] for name in row.spec.searched]
    return any(_folded(text) in _folded(each) for each in texts if each is not None)


def _folded(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


def in_query(value: Any, of: FieldSpec) -> str:
    """Return a value as a query writes it."""
    del of
    written = to_json(value)
    return str(written).lower() if isinstance(written, bool) else str(written)
