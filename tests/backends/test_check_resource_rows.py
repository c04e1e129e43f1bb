"""`eitherdb check --rows` on declared resources: every invalid row is named, and no other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from bson import Int64, ObjectId
from pydantic import model_validator
from sqlalchemy import text

from backends import open_backend
from backends.errors import UnreadableRow
from backends.protocols import Backend
from backends.rows import walk
from backends.rows.resource_rules import find_resource_problems
from backends.rows.walk import RowWalk
from config import Settings
from eitherdb import Resource
from eitherdb_contract.declared import DeclaredBackends
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.planted import ALL, MISSING, UNTYPED, UNUSED_ID, Writer, writing
from tests.backends.raw import mongo_database, opened, sql_connection
from tests.backends.resource_rows import Rows
from tests.contract.declared import DECLARED, Author, Book, Period, Sample
from tests.provision import Provision

SQL = ("sqlite", "postgres")
MONGO = ("mongo",)


@dataclass(frozen=True)
class Fault:
    """One field of a row, its invalid value, and what the check says.

    Attributes:
        value: The stored value.
        on: The databases that can store it.
        reported: The reported field, if it is not the changed one.
        fails: Whether the repository can't read the row.
    """

    kind: str
    field: str
    value: Any
    problem: str
    on: Sequence[str] = ALL
    reported: str | None = None
    fails: bool = False


FOLDED = ("text_folded", "text")
_TIME = datetime(2026, 11, 22, 16, 25, 25, 123_456, tzinfo=UTC)

FAULTS = [
    Fault("samples", "price", Int64(10**18), "should have no more than 14 digits before the decimal point"),
    Fault("samples", "price", "12.50", "should be an exact decimal", UNTYPED),
    Fault("samples", "state", "gone", "should be 'open' or"),
    Fault("samples", "number", Int64(2**53), "should be less than or equal to 9007199254740991"),
    Fault("samples", "number", 1.5, "should be a valid integer", UNTYPED),
    Fault("samples", "text", "x" * 101, "should have at most 100 characters", UNTYPED),
    Fault("samples", "text", "a\0b", "should not contain the NUL character", UNTYPED),
    Fault("samples", "text", None, "is null", MONGO),
    Fault("samples", "text", MISSING, "is missing", MONGO),
    Fault("samples", "text_folded", "else", "is not the search form of the text"),
    Fault("samples", "note_folded", "else", "is not the search form of the note"),
    Fault("samples", "address", "Ada@Example.com", "is not a normalised address"),
    Fault("samples", "flag", 2, "should be a valid boolean", UNTYPED),
    Fault("samples", "weight", -0.0, "should be 0.0, not -0.0", ["postgres", "mongo"]),
    Fault("samples", "weight", 1, "should be a double", MONGO),
    Fault("samples", "at", _TIME, "should be UTC in whole milliseconds", SQL),
    Fault("samples", "day", _TIME, "should be a date without a time", MONGO),
    Fault("samples", "day", "2026-02-30", "should be a date without a time", ["sqlite"], fails=True),
    Fault("samples", "tags", ["x"] * 21, "should have at most 20 items"),
    Fault("samples", "tags", ["a", 1], "should be a valid string", reported="tags.1"),
    Fault("samples", "counts", "[1, ", "should be a valid list", ["sqlite"], fails=True),
    Fault("samples", "counts", None, "is null", MONGO),
    Fault("samples", "extra", '{"a": ', "should be a JSON object", fails=True),
    Fault("samples", "extra", '{"a": NaN}', "should be a JSON value"),
    Fault("samples", "extra", r'{"a": "\ud800"}', "should be a JSON value"),
    Fault("samples", "tags", ["\ud800"], "should be a valid string", ["sqlite"], reported="tags.0"),
    Fault("samples", "size", '{"width": "x"}', "should be a valid integer", reported="size.width"),
    Fault("samples", "version", 0, "should be greater than or equal to 1"),
    Fault("samples", "owner_id", UNUSED_ID, f"names none of the users: {UNUSED_ID}"),
    Fault("books", "author_id", UNUSED_ID, f"names none of the authors: {UNUSED_ID}"),
    Fault("books", "author_id", b"short", "should be a valid string", SQL),
    Fault("chapters", "book_id", UNUSED_ID, f"names none of the books: {UNUSED_ID}"),
    Fault("loans", "user_id", UNUSED_ID, f"names none of the users: {UNUSED_ID}"),
    Fault("periods", "first", Int64(9), "breaks a rule: first should not be after last", reported=""),
    Fault("authors", "references", "many", "should be an integer", MONGO),
]


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirm findings without a delay."""
    monkeypatch.setattr(walk, "SECOND_LOOK_SECONDS", 0)


@pytest.fixture
async def library(declared_backends: DeclaredBackends) -> Backend:
    """Return a backend with the declared resources, without rows."""
    return await declared_backends.open(DECLARED)


@asynccontextmanager
async def opened_with_rows(provision: Provision) -> AsyncIterator[tuple[Settings, Backend]]:
    """Open a database with the declared resources, and without the constraints that refuse faults."""
    async with provision.empty_database() as settings:
        history = history_of("declared", [cls.__resource__ for cls in DECLARED])
        await open_migrator(settings, [history]).upgrade()
        if settings.db_backend == "postgres":
            async with sql_connection(settings) as connection:
                for name in ("cost", "state", "number"):
                    await connection.execute(text(f"ALTER TABLE samples DROP CONSTRAINT ck_samples_{name}"))
        async with opened(open_backend(settings, resources=DECLARED)) as backend:
            yield settings, backend


async def plant(writer: Writer, fault: Fault, id_: str, settings: Settings) -> None:
    """Write the invalid value. SQL has lists as JSON."""
    value = fault.value
    if settings.db_backend != "mongo" and isinstance(value, list):
        value = json.dumps(value)
    await writer.set(fault.kind, {"id": ObjectId(id_)}, column_of(fault.kind, fault.field), value)


def column_of(kind: str, name: str) -> str:
    """Return the column of a field, or of its folded text."""
    (fields,) = (cls.__resource__.by_name for cls in DECLARED if cls.__resource__.name == kind)
    text = name.removesuffix("_folded")
    return name.replace(text, fields[text].column, 1) if text in fields else name


async def test_every_planted_fault_is_named_and_no_other(migrated: Provision) -> None:
    """Each is reported by resource, id and field; the error of a failed read names it likewise."""
    kind = migrated.settings.db_backend
    faults = [fault for fault in FAULTS if kind in fault.on]
    async with opened_with_rows(migrated) as (settings, backend), writing(settings) as writer:
        rows = Rows(backend)
        planted = {await rows.add(fault.kind, n): fault for n, fault in enumerate(faults, start=1)}
        sound = await RowWalk(backend, resources=DECLARED, limit=1000).run()
        assert sound.faults == []
        assert sound.rows["samples"] == sound.rows["loans"] == len(faults)

        for id_, fault in planted.items():
            await plant(writer, fault, id_, settings)
        report = await RowWalk(backend, resources=DECLARED, limit=1000).run()

        # A changed text also differs from its folded form.
        reported = [
            each for each in report.faults if (each.problem.field, planted[each.id].field) != FOLDED
        ]
        found = {fault.id: fault for fault in reported}
        assert found.keys() == planted.keys()
        assert len(reported) == len(found)
        for id_, fault in planted.items():
            assert found[id_].kind == fault.kind
            expected = fault.field if fault.reported is None else fault.reported
            assert (found[id_].problem.field, found[id_].problem.what[: len(fault.problem)]) == (
                expected,
                fault.problem,
            )
            if fault.fails:
                with pytest.raises(UnreadableRow, match=f'^{fault.kind} {id_}: field "{fault.field}" '):
                    await backend.resources[fault.kind].get(id_)


async def test_rows_twice_in_a_unique_group_are_found(migrated: Provision) -> None:
    """Where an index is gone: a single field, and a group with the owner. Rows with null are exempt."""
    async with opened_with_rows(migrated) as (settings, backend):
        rows = Rows(backend)
        author, book = await rows.add("authors", 1), await rows.add("books", 2)
        await rows.add("books", 3)
        for _ in range(2):
            await backend.resources["authors"].add(Author(name="nobody"))
        if settings.db_backend == "mongo":
            async with mongo_database(settings) as database:
                await database["authors"].drop_index("uq_code")
                await database["books"].drop_index("uq_owner_id_number")
        else:
            await _drop_constraints(settings)
        owner = (await backend.resources["books"].get(book)).owner_id
        second = await backend.resources["authors"].add(Author(name="again", code="1"))
        again = Book(isbn="123", author_id=author)
        copy = await backend.resources["books"].add(again, owner_id=owner)

        report = await RowWalk(backend, resources=DECLARED).run()

        by_kind = {fault.kind: fault for fault in report.faults}
        assert len(report.faults) == 2
        assert str(by_kind["authors"].problem) == 'field "code" is another row\'s, too'
        assert by_kind["authors"].id in {author, second.id}
        expected = 'field "isbn" is another row\'s, too, with the same owner_id'
        assert str(by_kind["books"].problem) == expected
        assert by_kind["books"].id in {book, copy.id}


async def _drop_constraints(settings: Settings) -> None:
    """Drop the unique constraints of authors and books. SQLite has them in the text of the table."""
    async with sql_connection(settings) as connection:
        if settings.db_backend == "postgres":
            await connection.execute(text("ALTER TABLE authors DROP CONSTRAINT uq_authors_code"))
            await connection.execute(text("ALTER TABLE books DROP CONSTRAINT uq_books_owner_id_number"))
            return
        for table in ("authors", "books"):
            await connection.execute(text(f"CREATE TABLE copies AS SELECT * FROM {table}"))  # noqa: S608 - this test's own words
            await connection.execute(text(f"DROP TABLE {table}"))
            await connection.execute(text(f"ALTER TABLE copies RENAME TO {table}"))


async def test_rows_are_read_in_batches_of_any_resource(
    library: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is left out between two batches, and none is read twice."""
    monkeypatch.setattr("backends.rows.batches.BATCH", 3)
    before = await RowWalk(library, resources=DECLARED).run()
    for n in range(10):
        await library.resources["authors"].add(Author(name=f"batch {n}", code=f"b{n}"))
    after = await RowWalk(library, resources=DECLARED).run()
    assert after.rows["authors"] == before.rows["authors"] + 10
    assert after.faulty["authors"] == 0


async def test_walk_refuses_to_leave_a_resource_out(library: Backend) -> None:
    """The classes are those with which the backend was opened."""
    with pytest.raises(ValueError, match="lacks the classes of: authors, books, "):
        RowWalk(library, resources=[Sample, Period])


def test_validator_that_fails_is_reported_as_a_broken_rule() -> None:
    """A rule that raises another error than ValueError does not end the check."""

    class Broken(Resource, path="brokens"):
        first: int
        last: int

        @model_validator(mode="after")
        def _fail(self) -> Self:
            raise LookupError("no such thing")

    fields = {"id": "1" * 24, "owner_id": "2" * 24, "created_at": _TIME.replace(microsecond=0)}
    (problem,) = find_resource_problems(Broken, {**fields, "first": 1, "last": 2, "version": 1})
    assert (problem.field, problem.what) == ("", "breaks a rule: LookupError: no such thing")
