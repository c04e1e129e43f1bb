"""Changes of a declaration, each with rows before and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import new_class
from typing import Annotated, Any, Literal

from pydantic import EmailStr, Field, JsonValue

from backends.models.resources import ResourceSpec
from eitherdb import Filterable, Reference, RenamedFrom, Resource, Searchable, Sortable, Unique
from eitherdb.migrations import (
    AddChoice,
    AddField,
    AddMarkers,
    AddOwner,
    AddUnique,
    ChangeBounds,
    ChangeReference,
    DropField,
    DropOwner,
    DropUnique,
    MakeOptional,
    MakeRequired,
    RemoveChoice,
    RemoveMarkers,
    RenameField,
)
from migrations.resources.operations import Operation
from tests.contract.samples import FULL_USER

Row = dict[str, Any]
Text = Annotated[str, Field(max_length=20)]
OWNER = FULL_USER["email"]


def declare(fields: dict[str, Any], *, name: str = "Book", **options: Any) -> type[Resource]:
    """Declare books with a title and these fields; those that may be null are null by default."""

    def body(namespace: dict[str, Any]) -> None:
        every = {"title": Text, **fields}
        namespace.update(__doc__="A book.", __annotations__=every, __module__=__name__)
        namespace.update({each: None for each, given in every.items() if "| None" in str(given)})

    options = {"path": "books", "owned": False, **options}
    return new_class(name, (Resource,), options, body)


def nothing() -> list[Row]:
    """Return no change of either of two rows."""
    return [{}, {}]


@dataclass(frozen=True)
class Case:
    """A change.

    Attributes:
        before: The fields of books.
        after: The fields after the change.
        operations: What the revision does, given the specification after it.
        rows: The rows before.
        changed: What is different in each row afterwards.
        undone: What is different from the rows before when the revision is undone; None: it can't be.
        options: The options of the class before.
        options_after: The options after.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    operations: Callable[[ResourceSpec], Sequence[Operation]]
    rows: list[Row] = field(default_factory=nothing)
    changed: list[Row] = field(default_factory=nothing)
    undone: list[Row] | None = field(default_factory=nothing)
    options: dict[str, Any] = field(default_factory=dict)
    options_after: dict[str, Any] = field(default_factory=dict)


def added(annotation: Any, value: Any, stored: Any = None, **given: Any) -> Case:
    """Return the case of a new field."""
    return Case(
        before={},
        after={"new": annotation},
        operations=lambda spec: [AddField("books", spec.by_name["new"], value)],
        changed=[{"new": value if stored is None else stored}] * 2,
        **given,
    )


Tags = Annotated[list[Annotated[str, Field(max_length=9)]], Field(max_length=9)]
Price = Annotated[Decimal, Field(max_digits=9, decimal_places=2), Sortable(), Filterable()]
State3 = Literal["draft", "sold", "lent"]
State2 = Literal["draft", "sold"]
NAMES: list[Row] = [{"name": "Straße"}, {"name": "İstanbul's 100% \"\\n"}]
MAYBE: list[Row] = [{"name": None}, {"name": "Straße"}]

CASES = {
    "null": added(Text | None, None),
    "text": added(Annotated[Text, Searchable(), Sortable()], "Maß's % :x \\ \"%(a)s"),
    "text or null": added(Annotated[Text | None, Searchable(), Sortable(), Filterable()], "Größe"),
    "null text": added(Annotated[Text | None, Searchable(), Sortable()], None),
    "email": added(EmailStr, "ada@example.com"),
    "boolean": added(Annotated[bool, Filterable()], value=True),
    "choice": added(Annotated[State2, Sortable(), Filterable()], "sold"),
    "integer": added(Annotated[int, Field(ge=-5, le=7), Sortable()], -5),
    "decimal": added(Price, "-12.50", Decimal("-12.50")),
    "float": added(Annotated[float | None, Sortable()], 0.1),
    "time": added(
        Annotated[datetime, Sortable()],
        "2026-11-22T16:25:25.123Z",
        datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC),
    ),
    "first time": added(datetime, "0001-01-01T00:00:00.000Z", datetime(1, 1, 1, tzinfo=UTC)),
    "date": added(Annotated[date, Sortable()], "2026-11-22", date(2026, 11, 22)),
    "first date": added(date, "0001-01-01", date(1, 1, 1)),
    "list": added(Annotated[Tags, Filterable()], ["ä", "'b'"]),
    "empty list": added(Tags, []),
    "json": added(dict[str, JsonValue], {"ü": [1.0, None, "'"]}),
    "null reference": added(Annotated[str | None, Reference("users"), Filterable()], None),
    "reference to itself": added(Annotated[str | None, Reference("books", on_delete="cascade")], None),
    "unique": added(Annotated[Text | None, Unique()], None),
    "dropped field": Case(
        before={"name": Annotated[Text | None, Searchable(), Sortable(), Unique()]},
        after={},
        operations=lambda _: [DropField("books", "name")],
        rows=NAMES,
        undone=[{"name": None}] * 2,
    ),
    "dropped field with a value": Case(
        before={"name": Annotated[Text, Sortable()]},
        after={},
        operations=lambda _: [DropField("books", "name")],
        rows=NAMES,
        undone=None,
    ),
    "renamed field": Case(
        before={"name": Annotated[Text, Sortable(), Searchable(), Unique()]},
        after={"label": Annotated[Text, RenamedFrom("name"), Sortable(), Searchable(), Unique()]},
        operations=lambda _: [RenameField("books", "name", "label")],
        rows=NAMES,
        changed=[{"label": each["name"]} for each in NAMES],
    ),
    "renamed and changed": Case(
        before={"name": Annotated[Text | None, Sortable()]},
        after={
            "label": Annotated[
                str, Field(min_length=1, max_length=30), RenamedFrom("name"), Searchable(), Sortable()
            ]
        },
        operations=lambda _: [
            RenameField("books", "name", "label"),
            ChangeBounds("books", "label", min_length=1, max_length=30),
            MakeRequired("books", "label", "Größe"),
            AddMarkers("books", "label", ("searchable",)),
        ],
        rows=MAYBE,
        changed=[{"label": "Größe"}, {"label": "Straße"}],
        undone=[{"name": "Größe"}, {}],
    ),
    "wider text": Case(
        before={"name": Annotated[Text, Sortable()]},
        after={"name": Annotated[str, Field(max_length=300), Sortable()]},
        operations=lambda _: [ChangeBounds("books", "name", max_length=300)],
        rows=NAMES,
    ),
    "narrower text": Case(
        before={"name": Annotated[str | None, Field(max_length=300), Sortable(), Searchable()]},
        after={"name": Annotated[Text | None, Sortable(), Searchable()]},
        operations=lambda _: [ChangeBounds("books", "name", max_length=20)],
        rows=MAYBE,
    ),
    "bounds of integers": Case(
        before={"number": Annotated[int, Field(ge=0, le=10)]},
        after={"number": Annotated[int, Field(ge=1, le=9)]},
        operations=lambda _: [ChangeBounds("books", "number", minimum=1, maximum=9)],
        rows=[{"number": 1}, {"number": 9}],
    ),
    "bounds of decimals": Case(
        before={"price": Price},
        after={
            "price": Annotated[Decimal, Field(max_digits=5, decimal_places=2), Sortable(), Filterable()]
        },
        operations=lambda spec: [
            ChangeBounds(
                "books",
                "price",
                max_digits=5,
                minimum=spec.by_name["price"].minimum,
                maximum=spec.by_name["price"].maximum,
            )
        ],
        rows=[{"price": Decimal("999.99")}, {"price": Decimal("-999.99")}],
    ),
    "optional": Case(
        before={"name": Annotated[Text, Sortable(), Searchable(), Filterable()]},
        after={"name": Annotated[Text | None, Sortable(), Searchable(), Filterable()]},
        operations=lambda _: [MakeOptional("books", "name")],
        rows=NAMES,
    ),
    "required": Case(
        before={"name": Annotated[Text | None, Sortable(), Searchable()]},
        after={"name": Annotated[Text, Sortable(), Searchable()]},
        operations=lambda _: [MakeRequired("books", "name", "Größe")],
        rows=MAYBE,
        changed=[{"name": "Größe"}, {}],
        undone=[{"name": "Größe"}, {}],
    ),
    "required time": Case(
        before={"at": datetime | None},
        after={"at": datetime},
        operations=lambda _: [MakeRequired("books", "at", "2026-11-22T16:25:25.123Z")],
        rows=[{"at": None}, {"at": datetime(2026, 1, 1, tzinfo=UTC)}],
        changed=[{"at": datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)}, {}],
        undone=[{"at": datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)}, {}],
    ),
    "added choice": Case(
        before={"state": Annotated[State2, Sortable()]},
        after={"state": Annotated[State3, Sortable()]},
        operations=lambda _: [AddChoice("books", "state", "lent")],
        rows=[{"state": "draft"}, {"state": "sold"}],
    ),
    "removed choice": Case(
        before={"state": State3},
        after={"state": State2},
        operations=lambda _: [RemoveChoice("books", "state", "lent", instead="draft")],
        rows=[{"state": "lent"}, {"state": "sold"}],
        changed=[{"state": "draft"}, {}],
        undone=[{"state": "draft"}, {}],
    ),
    "added markers": Case(
        before={"name": Text | None},
        after={"name": Annotated[Text | None, Sortable(), Filterable(), Searchable()]},
        operations=lambda _: [AddMarkers("books", "name", ("sortable", "filterable", "searchable"))],
        rows=MAYBE,
    ),
    "removed markers": Case(
        before={"name": Annotated[Text, Sortable(), Filterable(), Searchable()]},
        after={"name": Annotated[Text, Filterable()]},
        operations=lambda _: [RemoveMarkers("books", "name", ("sortable", "searchable"))],
        rows=NAMES,
    ),
    "filterable list": Case(
        before={"tags": Tags},
        after={"tags": Annotated[Tags, Filterable()]},
        operations=lambda _: [AddMarkers("books", "tags", ("filterable",))],
        rows=[{"tags": ["a"]}, {"tags": []}],
    ),
    "unique group": Case(
        before={"name": Text | None, "number": int},
        after={"name": Text | None, "number": int},
        operations=lambda _: [AddUnique("books", ("number", "name"))],
        rows=[{"name": "a", "number": 1}, {"name": "a", "number": 2}],
        options_after={"unique": [("number", "name")]},
    ),
    "unique text": Case(
        before={"name": Text | None},
        after={"name": Annotated[Text | None, Unique()]},
        operations=lambda _: [AddUnique("books", ("name",))],
        rows=[{"name": None}, {"name": None}],
    ),
    "no unique group": Case(
        before={"name": Text | None, "number": int},
        after={"name": Text | None, "number": int},
        operations=lambda _: [DropUnique("books", ("number", "name"))],
        rows=[{"name": "a", "number": 1}, {"name": "a", "number": 2}],
        options={"unique": [("number", "name")]},
    ),
    "reference": Case(
        before={"user_id": Annotated[str | None, Reference("users")]},
        after={"user_id": Annotated[str | None, Reference("users", on_delete="set_null")]},
        operations=lambda _: [ChangeReference("books", "user_id", "set_null")],
        rows=[{"user_id": OWNER}, {"user_id": None}],
    ),
    "owner": Case(
        before={"name": Annotated[Text, Sortable()]},
        after={"name": Annotated[Text, Sortable()]},
        operations=lambda _: [AddOwner("books", OWNER)],
        rows=NAMES,
        changed=[{"owner_id": OWNER}] * 2,
        options_after={"owned": True},
    ),
    "no owner": Case(
        before={"name": Annotated[Text, Filterable()]},
        after={"name": Annotated[Text, Filterable()]},
        operations=lambda _: [DropOwner("books")],
        rows=[],
        changed=[],
        undone=[],
        options={"owned": True},
    ),
}
