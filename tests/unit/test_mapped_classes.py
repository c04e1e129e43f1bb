"""Mapped classes have the columns of the tables, and each relationship has a name of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import Field
from sqlalchemy import BigInteger, Boolean, Column, inspect, make_url, select
from sqlalchemy.orm import DeclarativeBase, configure_mappers

from backends.sql.mapped.base import MappedRow
from backends.sql.mapped.models import OWN
from backends.sql.mapped.resources import map_resources
from backends.sql.resource_statements import resource_tables
from backends.sql.schema import ITEMS, METADATA, USERS
from backends.sql.types import UtcDateTime
from eitherdb import Reference, Resource
from tests.contract.made_up import declarations, load

HIDDEN = {"users": {"hashed_password", "session_version"}, "items": {"title_folded", "description_folded"}}
"""The columns that are not mapped: secrets, and those that only the search reads."""

PYTHON_TYPES: dict[Any, Any] = {UtcDateTime: datetime, Boolean: bool, BigInteger: int}


def own_classes() -> dict[str, Any]:
    """Return new mapped classes of users and items, so that each test has relationships of its own."""

    class Base(MappedRow, DeclarativeBase):
        metadata = METADATA

    class User(Base):
        __table__ = USERS

    class Item(Base):
        __table__ = ITEMS

    return {"users": User, "items": Item}


def columns(cls: Any) -> dict[str, Any]:
    """Return the mapped columns by the names of their attributes."""
    found = {}
    for attribute in inspect(cls).column_attrs:
        (expression,) = attribute.columns
        while not isinstance(expression, Column):
            (expression,) = expression.get_children()  # a label, or a type coercion
        found[attribute.key] = expression
    return found


@pytest.mark.parametrize("name", OWN)
def test_own_class_has_the_columns_of_its_table(name: str) -> None:
    """Each column is mapped by its name, and annotated with its type; secrets are not mapped."""
    cls: Any = OWN[name]
    expected = {column.key: column for column in cls.__table__.c if column.key not in HIDDEN.get(name, ())}
    assert cls.__table__ is METADATA.tables[name]
    assert columns(cls) == expected
    hints = {
        key: hint
        for key, (hint,) in (
            (key, get_args(h)) for key, h in get_type_hints(cls).items() if key in expected
        )
    }
    assert hints == {
        key: (PYTHON_TYPES.get(type(column.type), str)) | None
        if column.nullable
        else PYTHON_TYPES.get(type(column.type), str)
        for key, column in expected.items()
    }


@given(declarations())
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_declared_class_has_the_columns_that_the_repository_returns(source: str) -> None:
    """Made-up declarations are mapped, with two relationships for each reference."""
    resources = load(source)
    own = own_classes()
    mapped = map_resources(resources, own)
    configure_mappers()
    tables = resource_tables([cls.__resource__ for cls in resources])
    for cls in resources:
        spec = cls.__resource__
        found = columns(mapped[spec.name])
        assert {name: (str(each.table), each.name) for name, each in found.items()} == {
            name: (spec.name, tables[spec.name].c[name].name) for name in spec.columns
        }
        for url in ("postgresql+psycopg://", "sqlite://"):
            dialect = make_url(url).get_dialect()()
            assert str(select(mapped[spec.name]).compile(dialect=dialect))
        forward = [each for each in inspect(mapped[spec.name]).relationships if not each.uselist]
        assert len(forward) == len(spec.references) + spec.owned
    relationships = [
        each for cls in (*own.values(), *mapped.values()) for each in inspect(cls).relationships
    ]
    assert sum(each.uselist or False for each in relationships) * 2 == len(relationships)


def relationships(cls: type[Any]) -> dict[str, str]:
    """Return the names of a class's relationships, and the tables that they lead to."""
    return {each.key: str(each.mapper.local_table) for each in inspect(cls).relationships}


class Team(Resource, path="teams", owned=False):
    """Its fields are named like attributes of SQLAlchemy's base class, and like a relationship."""

    metadata: Annotated[str, Field(max_length=9)]
    registry: Annotated[str, Field(max_length=9)]
    games: Annotated[str, Field(max_length=9)]
    above_id: Annotated[str | None, Reference("teams", on_delete="set_null")] = None


class Game(Resource, path="games"):
    """Two references to users, one of which is the owner."""

    home_id: Annotated[str, Reference("teams", on_delete="restrict")]
    home: Annotated[str, Field(max_length=9)]
    umpire: Annotated[str, Reference("users", on_delete="restrict")]


class Match(Resource, path="matches", owned=False):
    """Two references to teams."""

    home_id: Annotated[str, Reference("teams", on_delete="restrict")]
    guest_id: Annotated[str, Reference("teams", on_delete="restrict")]
    item_id: Annotated[str, Reference("items", on_delete="restrict")]


def test_relationships_have_names_of_their_own() -> None:
    """Names are those of the references; collisions, several references and trees have rules."""
    own = own_classes()
    classes = {**own, **map_resources((Team, Game, Match), own)}
    assert relationships(classes["teams"]) == {
        "above": "teams",
        "teams_by_above": "teams",
        "games_rows": "games",
        "matches_by_home": "matches",
        "matches_by_guest": "matches",
    }
    assert relationships(classes["games"]) == {"home_row": "teams", "umpire_row": "users", "owner": "users"}
    assert relationships(classes["users"]) == {"games_by_umpire": "games", "games_by_owner": "games"}
    assert relationships(classes["items"]) == {"matches": "matches"}
    team = classes["teams"](metadata="m", registry="r")
    assert repr(team) == "Team(metadata='m', registry='r')"
