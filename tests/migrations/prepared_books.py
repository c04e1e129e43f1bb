"""Books whose tables are prepared for a revision on PostgreSQL, and hooks between the statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy import Engine, event, text
from sqlalchemy.util import await_only

from config import Settings
from eitherdb import Resource, Searchable, Sortable
from eitherdb.migrations import (
    AddMarkers,
    AddResource,
    AddUnique,
    ChangeBounds,
    MakeRequired,
    RemoveChoice,
)
from tests.backends.raw import opened, sql_connection
from tests.migrations.change_cases import Row, Text, declare
from tests.migrations.shop import history_with, open_with

SMALL = Annotated[int, Field(ge=0, le=9)]
BEFORE = declare(
    {
        "name": Text | None,
        "note": Text | None,
        "state": Literal["a", "b", "c"],
        "number": Annotated[int, Field(ge=0, le=99)],
    }
)
AFTER = declare(
    {
        "name": Annotated[Text | None, Searchable(), Sortable()],
        "note": Text,
        "state": Literal["a", "b"],
        "number": SMALL,
    },
    unique=[("title", "number")],
)
EVERYTHING = history_with(
    [AddResource(BEFORE.__resource__)],
    [
        RemoveChoice("books", "state", "c", instead="b"),
        MakeRequired("books", "note", "none"),
        ChangeBounds("books", "number", maximum=9),
        AddMarkers("books", "name", ("searchable", "sortable")),
        AddUnique("books", ("title", "number")),
    ],
)
ROWS: list[Row] = [
    {"name": "Straße", "note": None, "state": "c", "number": 1},
    {"name": "STRASSE", "note": "own", "state": "a", "number": 2},
    {"name": None, "note": None, "state": "b", "number": 3},
]
CHANGED: list[Row] = [{"note": "none", "state": "b"}, {}, {"note": "none"}]
NAMED = declare({"name": Text})
SEARCHED = declare({"name": Annotated[Text, Searchable()]})
SEARCHABLE = history_with([AddResource(NAMED.__resource__)], [AddMarkers("books", "name", ("searchable",))])
CHANGES = ("CREATE ", "ALTER ", "DROP ", "INSERT ", "UPDATE ", "WITH ", "LOCK ")


@contextmanager
def before_statements(hook: Callable[[str], None]) -> Iterator[None]:
    """Call the hook before each statement of SQLAlchemy's connections."""

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        hook(statement.lstrip())

    event.listen(Engine, "before_cursor_execute", on_statement)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)


@contextmanager
def meanwhile(statement: str, act: Callable[[], Awaitable[Any]], *, number: int = 1) -> Iterator[None]:
    """Act once, before a statement that contains this text comes for the nth time."""
    found = 0

    def hook(given: str) -> None:
        nonlocal found
        found += statement in given
        if found == number:
            found += 1
            await_only(act())

    with before_statements(hook):
        yield
    assert found > number, f"{statement} did not come {number} times"


class StoppedError(Exception):
    """The process stopped."""


@contextmanager
def stopped_after(count: int) -> Iterator[None]:
    """Stop before the statement that changes something after so many of them."""
    done = 0

    def hook(statement: str) -> None:
        nonlocal done
        if statement.startswith(CHANGES):
            if done == count:
                raise StoppedError
            done += 1

    with before_statements(hook):
        yield


async def objects(settings: Settings) -> set[str]:
    """Return the kinds of what is prepared."""
    query = text(
        "SELECT 'trigger' FROM pg_trigger WHERE starts_with(tgname, :of) "
        "UNION SELECT 'function' FROM pg_proc WHERE starts_with(proname, :of) "
        "UNION SELECT 'constraint' FROM pg_constraint WHERE starts_with(conname, :of) "
        "UNION SELECT 'index' FROM pg_class WHERE starts_with(relname, :of) "
        "UNION SELECT 'column' FROM pg_attribute WHERE NOT attisdropped AND starts_with(attname, :of)"
    )
    async with sql_connection(settings) as connection:
        return set(await connection.scalars(query, {"of": "eitherdb_prepared_"}))


async def change(settings: Settings, cls: type[Resource], id_: str, **values: Any) -> None:
    """Change a row as a server of this declaration does."""
    async with opened(open_with(settings, cls)) as backend:
        await backend.resources["books"].update(id_, values)


async def found(settings: Settings, cls: type[Resource], words: str) -> list[Any]:
    """Return the names of the rows that a search finds, in the order of their creation."""
    async with opened(open_with(settings, cls)) as backend:
        page = await backend.resources["books"].list(where={"q": words}, sort="created_at")
        return [row.name for row in page.data]


async def stop() -> None:
    """Stop the process."""
    raise StoppedError
