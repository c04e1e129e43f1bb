"""`eitherdb migrate`: output and exit codes. `tests/migrations` has the tests of the migrations."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from migrations import open_migrator
from tests.backends.raw import mongo_database, sql_connection
from tests.cli.command import ROOT, call, call_async, copy_tree, database_on, eitherdb, free_port, run
from tests.conftest import find_provision
from tests.migrations.numbers import every_number, next_number
from tests.provision import Provision, Servers, make_settings

SQLITE = make_settings()
VALID = f"base, {', '.join(every_number(SQLITE))}, head, -1"
MODEL = '    _column("full_name", text_type(255), nullable=True),\n'


def report(numbers: list[str], done: str) -> str:
    """Return the output of `upgrade` and `downgrade` for these revisions."""
    return "".join(f"{number} {done}\n" for number in numbers)


async def test_migrate_upgrades_and_downgrades(migrated: Provision, tmp_path: Path) -> None:
    """Each command prints its changes, and a downgrade changes nothing without a confirmation."""
    async with migrated.empty_database() as settings:

        async def migrate(*arguments: str, stdin: str = "") -> tuple[int, str]:
            result = await call_async(tmp_path, "migrate", *arguments, settings=settings, stdin=stdin)
            return result.exit_code, result.out

        every = every_number(settings)
        assert await migrate("upgrade") == (0, report(every, "applied"))
        assert await migrate("check") == (0, "The database has the declared schema.\n")
        exit_code, asked = await migrate("downgrade", "base", stdin="n\n")
        assert exit_code == 1
        assert "lose" in asked
        assert await open_migrator(settings).current() == every[-1]
        assert await migrate("downgrade", "-1", "--yes") == (0, report(every[-1:], "undone"))
        assert await migrate("downgrade", "base", "--yes") == (0, report(every[-2::-1], "undone"))
        assert await migrate("current") == (0, "base (nothing applied)\n")


BOOK = '''
from typing import Annotated
from pydantic import Field
from eitherdb import Resource, Sortable

class Book(Resource, path="books", owned=False):
    """A book."""
    title: Annotated[str, Field(max_length=100)]
'''


async def test_a_revision_that_changes_most_of_a_resource_is_applied(
    migrated: Provision, tmp_path: Path
) -> None:
    """Its table is not taken for one of another application. A dropped one is named by `serve`."""
    fields = "".join(f"    n{each}: Annotated[int, Sortable()] = 0\n" for each in range(9))
    async with migrated.empty_database() as settings:

        async def eitherdb(*arguments: str, resources: str = "later.py") -> str:
            called = await call_async(tmp_path, *arguments, settings=settings, RESOURCES=resources)
            return called.out + called.err

        (tmp_path / "first.py").write_text(BOOK)
        (tmp_path / "later.py").write_text(BOOK + fields)
        await eitherdb("migrate", "revision", "-m", "Books", resources="first.py")
        await eitherdb("migrate", "upgrade", resources="first.py")
        await eitherdb("migrate", "revision", "-m", "Numbers")
        behind = (
            "the database's declared resources (first:0001) are older than their revisions (first:0002)"
        )
        for command in (("check",), ("migrate", "check"), ("serve",)):
            assert behind in await eitherdb(*command)
        assert await eitherdb("migrate", "upgrade") == "first:0002 applied\n"
        assert await eitherdb("migrate", "check") == "The database has the declared schema.\n"
        if settings.db_backend == "mongo":
            async with mongo_database(settings) as database:
                await database.drop_collection("books")
        else:
            async with sql_connection(settings) as connection:
                await connection.execute(text("DROP TABLE books"))
        assert await eitherdb("serve") == (  # no upgrade helps
            "eitherdb: the database lacks the declared books, whose revisions are applied: find out what "
            "changed it by hand; `eitherdb migrate check` lists the differences\n"
        )


def test_downgrade_asks_once_and_accepts_yes(tmp_path: Path) -> None:
    """A second upgrade has nothing to do; a downgrade needs `y` and aborts at the end of input."""
    every = every_number(SQLITE)
    assert call(tmp_path, "migrate", "upgrade").out == report(every, "applied")
    assert call(tmp_path, "migrate", "upgrade").out == "Nothing to do.\n"
    assert call(tmp_path, "migrate", "current").out == f"{every[-1]}\n"
    unanswered = call(tmp_path, "migrate", "downgrade", "base")
    assert unanswered.exit_code == 1
    agreed = call(tmp_path, "migrate", "downgrade", "base", stdin="y\n")
    assert agreed.exit_code == 0
    assert agreed.out.endswith(report(every[::-1], "undone"))
    assert agreed.out.count("[y/N]") == 1
    check = call(tmp_path, "migrate", "check")
    assert check.exit_code == 1
    assert "eitherdb migrate upgrade" in check.out


@pytest.mark.parametrize(
    ("backend", "url"),
    [("postgres", "postgresql://127.0.0.1:{}/none"), ("mongo", "mongodb://127.0.0.1:{}/none")],
)
def test_history_needs_no_database(backend: str, url: str, tmp_path: Path) -> None:
    """The output has one line per revision, oldest first."""
    address = url.format(free_port())
    result = call(tmp_path, "migrate", "history", DB_BACKEND=backend, DATABASE_URL=address)
    known = open_migrator(make_settings(db_backend=backend, database_url=address)).history()
    lines = [f"{revision.number}  {revision.summary}\n" for revision in known]
    assert (result.exit_code, result.out) == (0, "".join(lines))
    assert lines[0] == "0001  users and items\n"


@pytest.mark.parametrize(
    "arguments",
    [["upgrade", "0099"], ["downgrade", "head1", "--yes"], ["downgrade", "-1", "--yes"]],
    ids=" ".join,
)
def test_migrate_to_an_unknown_revision_lists_the_valid_ones(arguments: list[str], tmp_path: Path) -> None:
    """The exit code is 2, with one line; on an empty database `-1` is unknown too."""
    line = call(tmp_path, "migrate", *arguments).refusal()
    assert repr(arguments[1]) in line
    assert VALID in line


def test_downgrade_to_an_unknown_revision_does_not_ask(tmp_path: Path) -> None:
    """An invalid revision is refused before the confirmation."""
    assert VALID in call(tmp_path, "migrate", "downgrade", "head1").refusal()


def checkout() -> list[tuple[str, int]]:
    """Return the files in the checkout's folder of migrations, with their times of modification."""
    files = (ROOT / "migrations").rglob("*.*")
    return sorted((str(file), file.stat().st_mtime_ns) for file in files if file.suffix != ".pyc")


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
async def test_revision_after_a_new_column_adds_it(name: str, servers: Servers, tmp_path: Path) -> None:
    """The file adds the new column and nothing else, and the upgraded database matches the schema."""
    tree = copy_tree(tmp_path)
    before = checkout()
    async with database_on(find_provision(name, servers)) as settings:

        async def migrate(*arguments: str) -> str:
            result = await eitherdb(
                tmp_path, "migrate", *arguments, settings=settings, PYTHONPATH=os.fspath(tree)
            )
            assert result.exit_code == 0, result
            return result.out

        await open_migrator(settings).upgrade()
        schema = tree / "backends/sql/schema.py"
        column = MODEL.replace("full_name", "nickname")
        assert MODEL in schema.read_text()
        schema.write_text(schema.read_text().replace(MODEL, MODEL + column))

        said = await migrate("revision", "-m", "Add a nickname to users")
        number = next_number(settings)
        path = tree / f"migrations/sql/versions/{number}_add_a_nickname_to_users.py"
        assert str(path) in said
        text = path.read_text()
        assert text.startswith('"""Add a nickname to users."""\n')
        assert text.count("add_column(sa.Column('nickname', sa.String(length=255)") == 1
        assert text.count("drop_column('nickname')") == 1
        assert text.count("op.batch_alter_table(") == 2

        assert await migrate("upgrade") == report([number], "applied")
        assert await migrate("check") == "The database has the declared schema.\n"
        assert await migrate("downgrade", "-1", "--yes") == report([number], "undone")
    assert checkout() == before


def test_revision_on_an_empty_database_is_refused(tmp_path: Path) -> None:
    """A comparison with an empty database would report every table as new."""
    tree = copy_tree(tmp_path)
    before = sorted(tree.rglob("0*.py"))
    refused = run(tmp_path, "migrate", "revision", "-m", "Everything", PYTHONPATH=os.fspath(tree))
    assert "eitherdb migrate upgrade" in refused.refusal()
    assert sorted(tree.rglob("0*.py")) == before


async def test_revision_on_mongo_writes_a_step_that_runs(servers: Servers, tmp_path: Path) -> None:
    """The template is a module that the migrator finds, lists and applies."""
    tree = copy_tree(tmp_path)
    before = checkout()
    message = r"""Split "title" at \n"""
    async with database_on(find_provision("mongo-motor", servers)) as settings:

        async def migrate(*arguments: str) -> str:
            result = await eitherdb(
                tmp_path, "migrate", *arguments, settings=settings, PYTHONPATH=os.fspath(tree)
            )
            assert (result.exit_code, result.err) == (0, ""), result
            return result.out

        await open_migrator(settings).upgrade()
        said = await migrate("revision", "-m", message)
        number = next_number(settings)
        path = tree / f"migrations/mongo/steps/m{number}_split_title_at_n.py"
        assert str(path) in said
        assert path.is_file()
        assert await migrate("upgrade") == report([number], "applied")
        assert (await migrate("history")).splitlines()[-1] == f"{number}  {message}"
    assert checkout() == before
