"""Targets of migrations, resolved without a database."""

from __future__ import annotations

import pytest

from backends.mongo import schema as mongo_schema
from backends.sql import schema as sql_schema
from migrations import MigrationError, Migrator, Revision, open_migrator, resolve_target
from tests.provision import make_settings

NUMBERS = ["0001", "0002", "0003"]
URLS = {
    "sqlite": "sqlite:////dev/null/none.db",
    "postgres": "postgresql://127.0.0.1:1/none",
    "mongo": "mongodb://127.0.0.1:1/none",
}


@pytest.mark.parametrize(
    ("target", "current", "number"),
    [
        ("head", None, "0003"),
        ("head", "0003", "0003"),
        ("base", None, "base"),
        ("base", "0003", "base"),
        ("0002", None, "0002"),
        ("0002", "0003", "0002"),
        ("-1", "0003", "0002"),
        ("-2", "0003", "0001"),
        ("-3", "0003", "base"),
        ("-1", "0001", "base"),
    ],
)
def test_resolve_target_gives_a_number_or_base(target: str, current: str | None, number: str) -> None:
    """`head` is the newest revision; a negative number counts back from the applied one."""
    assert resolve_target(target, NUMBERS, current) == number


@pytest.mark.parametrize(
    ("target", "current"),
    [
        ("-1", None),
        ("-4", "0003"),
        ("-2", "0001"),
        ("0004", None),
        ("0000", None),
        ("1", None),
        ("", None),
        ("-", None),
        ("-x", "0003"),
        ("-²", "0003"),
        ("+1", "0001"),
        ("HEAD", None),
        ("head ", None),
        ("0001:0002", None),
    ],
)
def test_resolve_target_of_anything_else_lists_what_is_valid(target: str, current: str | None) -> None:
    """The error is one line that names the given target and the valid ones."""
    with pytest.raises(MigrationError) as caught:
        resolve_target(target, NUMBERS, current)
    assert str(caught.value) == (
        f"there is no revision {target!r}; give one of: base, 0001, 0002, 0003, head, -1"
    )


def migrator_of(backend: str) -> Migrator:
    """Return the migrator of an unreachable database."""
    return open_migrator(make_settings(db_backend=backend, database_url=URLS[backend]))


@pytest.mark.parametrize("backend", URLS)
def test_history_is_numbered_without_gaps(backend: str) -> None:
    """Revisions are 0001, 0002, …, each with a summary; no database is needed."""
    history = migrator_of(backend).history()
    assert history[0] == Revision("0001", "users and items")
    assert [revision.number for revision in history] == [f"{n:04}" for n in range(1, len(history) + 1)]
    assert all(revision.summary for revision in history)


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("sqlite", sql_schema.REVISION),
        ("postgres", sql_schema.REVISION),
        ("mongo", mongo_schema.REVISION),
    ],
)
def test_schema_names_the_newest_revision(backend: str, expected: str) -> None:
    """The revision that a backend requires is the newest one."""
    assert migrator_of(backend).history()[-1].number == expected
