"""Declarations: those that make no sense are refused in one line that says what would be right."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from backends.models import Item
from eitherdb import (
    DeclarationError,
    Filterable,
    Immutable,
    ReadOnly,
    Reference,
    Resource,
    ResourceSpec,
    Searchable,
    Sortable,
    Unique,
)
from tests.api.declared import DECLARED

REFERENCE: Any = Reference
"""For arguments that a type checker refuses too."""


class Empty(StrEnum):
    """A choice of nothing."""


def declare(annotation: Any, default: Any = ..., *, name: str = "x", **arguments: Any) -> ResourceSpec:
    """Declare a class of one field."""
    arguments = {"path": "things", **arguments}
    fields: dict[str, Any] = {name: (annotation, default)}
    cls = create_model("Thing", __base__=Resource, __cls_kwargs__=arguments, **fields)
    return cls.__resource__


def text(**constraints: Any) -> Any:
    """Return the annotation of a text of at most 5 code points, unless the constraints differ."""
    return Annotated[str, Field(**{"max_length": 5, **constraints})]


def decimal(**constraints: Any) -> Any:
    """Return the annotation of a decimal of five digits, two of them after the point."""
    return Annotated[Decimal, Field(max_digits=5, decimal_places=2, **constraints)]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (str, "x: a text needs a bound; write Annotated[str, Field(max_length=255)]"),
        (text(min_length=9), "9 to 5 code points can't be; let max_length be 1 to 1000000"),
        (text(min_length=-2), "-2 to 5 code points can't be"),
        (text(pattern="("), "x: pydantic can't validate it: regex parse error: "),
        (
            Annotated[str, StringConstraints(max_length=5, strip_whitespace=True)],
            "strip_whitespace is no constraint of a text; write it as a field val",
        ),
        (Annotated[int, Field(multiple_of=0)], "no value is a multiple of 0; give a positive integer"),
        (Annotated[int, Field(multiple_of=10, ge=1, le=9)], "no value is a multiple of 10; "),
        (Annotated[int, Field(ge=1.5)], "the bounds 1.5 to 9007199254740991 can't be; give integers of 64"),
        (Annotated[int, Field(ge=2, le=1)], "the bounds 2 to 1 can't be"),
        (Annotated[int, Field(gt="a")], "x: a constraint can't be: "),
        (Annotated[float, Field(ge=float("nan"))], "no value is nan to None; give bounds"),
        (Annotated[float, Field(ge=2, le=1)], "no value is 2.0 to 1.0; give bounds, the least one first"),
        (
            Annotated[float, Field(le=10**400)],
            "int too large to convert to float; give bounds of the field's",
        ),
        (
            Annotated[Decimal, Field(max_digits=5)],
            "a Decimal needs its digits; write Field(max_digits=12, dec",
        ),
        (decimal(ge=1000), "no value is 1000.00 to 999.99"),
        (decimal(ge="x"), "give bounds of the field's type"),
        (Literal["a", 1], 'a choice is one of several texts; write Literal["draft", "published"]'),
        (
            Empty,
            "the choices are too many, too long or empty; let there be 1 to 100 of 1 to 100 code points",
        ),
        (Annotated[date, Field(ge=datetime(2025, 1, 1, tzinfo=UTC))], "is of another type; give a date"),
        (Annotated[date, Field(ge="2025-01-01")], "the bound '2025-01-01' is of another type; give a date"),
        (
            Annotated[date, Field(ge=date(2025, 1, 2), le=date(2025, 1, 1))],
            "no value is 2025-01-02 to 2025-01",
        ),
        (
            Annotated[datetime, Field(ge=datetime(2025, 1, 1))],  # noqa: DTZ001 - is refused
            "has no time zone; add tzinfo=UTC",
        ),
        (list[int], "a list needs a bound; write Field(max_length=20), of at most 1000"),
        (Annotated[list[int], Field(max_length=5, min_length=6)], "a list needs a bound; "),
        (
            Annotated[list[int | None], Field(max_length=5)],
            "the elements can't be that; let them be bounded",
        ),
        (Annotated[list[bool], Field(max_length=5)], "the elements can't be that"),
        (bytes, "no database stores bytes alike; use str, EmailStr, bool, "),
        (int | str, "no database stores int | str alike; "),
        (Annotated[bool, Field(ge=2)], "ge is no constraint of a boolean; write it as a field validator"),
        (
            Annotated[int, Reference("users")],
            "a reference is the id of a row; write Annotated[str, Reference",
        ),
        (Annotated[str, REFERENCE(BaseModel)], "is no path; write Reference("),
        (
            Annotated[str, Reference("users", on_delete="set_null")],
            "set_null needs a field that may be null",
        ),
        (
            Annotated[str, REFERENCE("users", on_delete="no")],
            "on_delete='no' can't be; give one of restrict,",
        ),
        (Annotated[int, Sortable], "Sortable is no marker; write Sortable()"),
        (Annotated[int, Sortable(), Sortable()], "has a marker twice; write each once"),
        (Annotated[bool, Sortable()], "a boolean has no order; leave Sortable() out"),
        (Annotated[float, Unique()], "a float can't be unique; leave Unique() out"),
        (Annotated[int, Searchable()], "a integer is no text; leave Searchable() out"),
        (Annotated[dict[str, JsonValue], Filterable()], "a json is opaque; leave Filterable() out"),
        (
            Annotated[int, ReadOnly()],
            "is read-only and has no default; give it one, such as `| None = None`",
        ),
        (
            Annotated[str, Field(max_length=501), Unique()],
            "an index holds no text of 501 code points; let max_",
        ),
        (Annotated[int, Field(alias="y")], "has an alias; give the field the name that clients see"),
        (
            Annotated[int, Field(exclude=True)],
            "is excluded; leave the field out, or make a route of your own",
        ),
    ],
)
def test_field_is_refused_in_one_line(annotation: Any, message: str) -> None:
    """The line names the class and the field, and says what would be right."""
    with pytest.raises(DeclarationError) as caught:
        declare(annotation)
    assert str(caught.value).startswith("Thing.x: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": None}, 'Thing: it has no path; write class Thing(Resource, path="things")'),
        ({"path": "Things"}, "Thing: the path 'Things' can't be; use at most 40 lower-case letters, "),
        ({"path": 5}, "Thing: the path 5 can't be"),
        ({"path": "users"}, "Thing: the path 'users' is EitherDB's own; choose another one"),
        ({"path": "sqlite-things"}, "the path 'sqlite-things' is EitherDB's own"),
        ({"owned": "no"}, "Thing: owned='no' can't be; write owned=False"),
        ({"access": "anyone"}, 'Thing: access=\'anyone\' can\'t be; write access={"read": "anyone"}'),
        (
            {"access": {"list": "anyone"}},
            "'list' in access is no action; the actions are read, create, change",
        ),
        (
            {"access": {"read": "me"}},
            "'me' may not read: nobody is called so; write one of anyone, signed_in",
        ),
        ({"access": {"create": "anyone"}}, "a row needs an owner; write signed_in, or owned=False"),
        (
            {"access": {"read": "owner"}, "owned": False},
            "access of read: the rows have no owner; write signed",
        ),
        ({"public_when": {"y": 1}}, "Thing.y: public_when can't ask for it; take from: x"),
        ({"public_when": {"x": "a"}}, "Thing.x: public_when asks for 'a'; Input should be a valid integer"),
        ({"unique": None}, 'unique=None can\'t be; write unique=[("owner_id", "isbn")]'),
        ({"unique": ["x"]}, "unique='x' is no group of fields; write unique=[("),
        ({"unique": [5]}, "unique=5 is no group of fields"),
        ({"unique": [("x", "y")]}, "Thing.y: is no field that can be unique; take from: owner_id, x"),
        ({"unique": [("x",), ("x",)]}, "two unique groups have the same fields; leave one of them out"),
        ({"table": "x"}, "Thing: table is no argument of a resource; see Resource for those that are"),
    ],
)
def test_argument_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    """The line names the class, the argument and what would be right."""
    with pytest.raises(DeclarationError) as caught:
        declare(int, **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["owner_id", "version", "ctid", "camelCase", "x__gt", "x_folded", "a" * 41]
)
def test_name_of_a_field_is_refused(name: str) -> None:
    """The server's names, PostgreSQL's columns and names that filters or columns need are taken."""
    with pytest.raises(DeclarationError, match=f"^Thing.{name}: "):
        declare(int, name=name)


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (int, None, "the default None is no value of the field; Input should be a valid integer"),
        (text(), "123456", "String should have at most 5 characters"),
        (datetime, datetime(2025, 1, 1), "Input should have timezone info"),  # noqa: DTZ001 - is refused
    ],
)
def test_default_is_a_value(annotation: Any, default: Any, message: str) -> None:
    """A default that clients could not give is refused."""
    with pytest.raises(DeclarationError) as caught:
        declare(annotation, default)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, {"minimum": -(2**53) + 1, "maximum": 2**53 - 1}),
        (Annotated[int, Field(gt=0, lt=10.0)], {"minimum": 1, "maximum": 9}),
        (decimal(gt=0.1), {"minimum": "0.11", "maximum": "999.99"}),
        (decimal(gt=0), {"minimum": "0.01", "maximum": "999.99"}),
        (Annotated[float, Field(ge=1)], {"minimum": 1.0, "maximum": None}),
        (Annotated[date, Field(gt=date(2025, 1, 1))], {"minimum": "2025-01-02", "maximum": None}),
        (Annotated[int, Immutable()] | None, {"nullable": True, "immutable": True}),
        (Annotated[str, Field(pattern="^[0-9]{13}$")], {"max_length": 13}),
    ],
)
def test_bounds_are_inclusive(annotation: Any, expected: dict[str, Any]) -> None:
    """An exclusive bound is the next value; markers and constraints may stand within `| None`."""
    (field,) = declare(annotation).fields
    assert {name: getattr(field, name) for name in expected} == expected


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_specification_survives_json(cls: type[Resource]) -> None:
    """A specification is the same after a round trip through JSON."""
    adapter = TypeAdapter(ResourceSpec)
    assert adapter.validate_json(adapter.dump_json(cls.__resource__)) == cls.__resource__


def test_instances_are_compared_and_hashed_by_all_values() -> None:
    """Whatever the order in which a database returned them; a new row differs from a stored one."""
    values = {"id": "1" * 24, "title": "a", "description": None, "owner_id": "2" * 24}
    served = {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "version": 1}
    item, other = Item.of_fields(values | served), Item.of_fields(served | values)
    assert item == other
    assert hash(item) == hash(other)
    assert repr(item) == repr(other)
    assert Item.from_row(item.to_row()) == item
    assert item != Item.of_fields(values | served | {"version": 2})
    assert Item(title="a") != item
    with pytest.raises(ValidationError, match="frozen"):
        item.title = "b"  # type: ignore[misc]
