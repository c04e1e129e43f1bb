"""The specification of a resource: frozen, in JSON types, and all that backends and routes read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args
from zlib import crc32

Kind: TypeAlias = Literal[
    "text",
    "email",
    "boolean",
    "choice",
    "integer",
    "decimal",
    "float",
    "time",
    "date",
    "reference",
    "list",
    "json",
]
OnDelete: TypeAlias = Literal["restrict", "cascade", "set_null"]
Who: TypeAlias = Literal["anyone", "signed_in", "owner", "superuser"]
Action: TypeAlias = Literal["read", "create", "change", "delete"]
Scalar: TypeAlias = str | int | float | bool | None

WHO: tuple[Who, ...] = get_args(Who)
ACTIONS: tuple[Action, ...] = get_args(Action)
ON_DELETE: tuple[OnDelete, ...] = get_args(OnDelete)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """A field.

    Attributes:
        name: The name in the API.
        column: The name in tables and documents. It stays when the name in the API changes.
        kind: The kind of the values: `backends.models.resources.kinds`.
        nullable: Whether null is a value.
        required: Whether a new row must give the field.
        default: The value of a new row that does not give the field, in JSON types. None also stands for a
            default that only the class knows.
        min_length: The least number of code points of a text, or of elements of a list.
        max_length: The greatest number, likewise.
        pattern: The regular expression that a text matches.
        minimum: The least value, in JSON types; always inclusive.
        maximum: The greatest value, likewise.
        multiple_of: The number that an integer is a multiple of.
        choices: The texts of a choice.
        max_digits: The digits of a decimal, those after the point included.
        decimal_places: The digits after the point.
        target: The table of the resource that a reference names.
        on_delete: What becomes of the row when the row that it refers to is deleted.
        item: The elements of a list.
        unique: See `markers`, like the others.
        sortable: Whether lists can be sorted by it.
        filterable: Whether lists can be filtered by it.
        searchable: Whether `q` searches it.
        read_only: Whether clients can't set it.
        immutable: Whether clients can set it in a new row only.
    """

    name: str
    column: str
    kind: Kind
    nullable: bool = False
    required: bool = True
    default: Any = field(default=None, hash=False)  # a list has no hash
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    max_digits: int | None = None
    decimal_places: int | None = None
    target: str | None = None
    on_delete: OnDelete | None = None
    item: FieldSpec | None = None
    unique: bool = False
    sortable: bool = False
    filterable: bool = False
    searchable: bool = False
    read_only: bool = False
    immutable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what. A superuser may do everything.

    `owner` is the owner of the row; a new row belongs to the caller.
    """

    read: Who
    create: Who
    change: Who
    delete: Who


@dataclass(frozen=True, kw_only=True)
class ResourceSpec:
    """A resource.

    Attributes:
        name: The name of the table or collection, and of the list: `line_items`.
        path: The path of the routes after the prefix: `line-items`.
        entity: The name of one row in messages and operation ids: `line_item`.
        class_name: The name of the class, from which the forms have theirs: `LineItem`.
        title: The first line of the class's docstring.
        fields: The declared fields, in their order.
        unique: The groups of fields that are unique together, with the single unique fields.
        owned: Whether each row belongs to a user, with whom it is deleted.
        access: Who may do what.
        public_when: The values of the fields of rows that everybody may read who may call the route.
        has_rules: Whether the class has validators of its own, or a hook for changes. Then a change is
            validated as a whole row.
    """

    name: str
    path: str
    entity: str
    class_name: str
    title: str
    fields: tuple[FieldSpec, ...]
    unique: tuple[tuple[str, ...], ...]
    owned: bool
    access: Access
    public_when: tuple[tuple[str, Scalar], ...] = ()
    has_rules: bool = False

    @cached_property
    def by_name(self) -> Mapping[str, FieldSpec]:
        """The declared fields by their names in the API."""
        return {field.name: field for field in self.fields}

    @cached_property
    def entities(self) -> str:
        """Several rows in the names of operations: `line_items`.

        If singular and plural are one word, the names of rows and lists have to differ: `sheep_list`.
        """
        return self.name if self.name != self.entity else f"{self.name}_list"

    @cached_property
    def plural(self) -> str:
        """Several rows in the names of forms: `LineItems`."""
        return "".join(word.capitalize() for word in self.entities.split("_"))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every field of a row by its name in the API, in the order of the table's columns."""
        owner = ("owner_id",) if self.owned else ()
        return ("id", *self.by_name, *owner, "created_at", "version")

    @cached_property
    def public(self) -> tuple[str, ...]:
        """The fields that clients see, in the order in which they see them."""
        return tuple(name for name in self.columns if name != "version")

    @cached_property
    def form(self) -> str:
        """Eight hexadecimal digits: a checksum of what decides how a row with given values is shown.

        A revision may change the values of rows without a change of their versions, but not without a
        change of the form (`docs/adr/0007-versions.md`).
        """
        fields = [(field.name, field.kind, field.nullable, field.choices) for field in self.fields]
        return f"{crc32(repr((self.owned, fields)).encode()):08x}"

    @cached_property
    def sorts(self) -> tuple[str, ...]:
        """The fields that lists can be sorted by."""
        return ("created_at", *(field.name for field in self.fields if field.sortable))

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The fields that `q` searches."""
        return tuple(field.name for field in self.fields if field.searchable)

    @cached_property
    def references(self) -> tuple[FieldSpec, ...]:
        """The declared references; the owner is not among them."""
        return tuple(field for field in self.fields if field.kind == "reference")
