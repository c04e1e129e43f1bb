"""Declared tables and collections that were changed by hand are not served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from sqlalchemy import text

from backends import open_backend
from backends.errors import SchemaDrifted
from config import Settings
from eitherdb import Filterable, Reference, Resource, Searchable, Sortable
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.raw import mongo_database, opened, sql_connection
from tests.cli.command import call_async
from tests.provision import Provision


class Plot(Resource, path="plots-with-a-name-of-forty-characters-x", unique=[("owner_id", "code")]):
    """Has an index of each kind; the names of some are too long for PostgreSQL."""

    code: Annotated[str | None, Field(max_length=9), Sortable(), Searchable()] = None
    a_field_with_a_name_of_forty_characters: Annotated[str | None, Reference("users"), Filterable()] = None
    number: int = 0
    tags: Annotated[list[int], Field(max_length=9), Filterable()] = []  # noqa: RUF012 - pydantic copies it


NAME = Plot.__resource__.name
HISTORY = history_of("plots", [Plot.__resource__])

SQL_CHANGES = {
    f"DROP INDEX ix_{NAME}_code_id": f"the table {NAME} lacks the index ix_{NAME}_code_id",
    f"ALTER TABLE {NAME} ADD COLUMN colour text": f"the table {NAME} has the column colour, which is not",
    f"ALTER TABLE {NAME} DROP COLUMN tags": f"the table {NAME} lacks the column tags",
}
MONGO_CHANGES = {
    "uq_owner_id_code": f"the index uq_owner_id_code of {NAME} is missing",
    "ix_code__id": f"the index ix_code__id of {NAME} is missing",
}


async def check_schema(settings: Settings) -> None:
    """Check the schema as `serve` does."""
    async with opened(open_backend(settings, resources=[Plot])) as backend:
        await backend.check_schema()


async def test_changed_tables_are_not_served(sql: Provision) -> None:
    """Each difference is named; what was made by the revision has none."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings, [HISTORY])
        await migrator.upgrade()
        await check_schema(settings)
        expected = []
        for change, difference in SQL_CHANGES.items():
            if settings.db_backend == "sqlite" and "tags" in change:
                continue  # SQLite keeps a column in use by a constraint's index
            async with sql_connection(settings) as connection:
                await connection.execute(text(change))
            expected.append(difference)
            with pytest.raises(SchemaDrifted) as caught:
                await check_schema(settings)
            assert len(caught.value.differences) >= len(expected)
            assert all(each in str(caught.value) for each in expected)
            assert "`eitherdb migrate check`" in str(caught.value)
        assert len(await migrator.check()) >= len(expected)


BY_HAND = {
    "postgres": {
        f"ALTER TABLE {NAME} ALTER number TYPE integer": f"the column number of {NAME} is integer NOT NULL",
        f"ALTER TABLE {NAME} ALTER number DROP NOT NULL": f"the column number of {NAME} is ",
        f"ALTER TABLE {NAME} ALTER number SET DEFAULT 5": f"the column number of {NAME} is ",
        f'ALTER TABLE {NAME} ALTER code TYPE varchar(9) COLLATE "POSIX"': f"the column code of {NAME} is ",
        f"ALTER TABLE {NAME} DROP CONSTRAINT ck_{NAME}_number": f"lacks the constraint ck_{NAME}_number",
        f"ALTER TABLE {NAME} ADD CHECK (number > 1)": "which is not declared",
        f"DROP INDEX ix_{NAME}_code_id; CREATE INDEX ix_{NAME}_code_id ON {NAME} (code, id)": (
            f"the index ix_{NAME}_code_id of {NAME} is "
        ),
    },
    "sqlite": {
        "replace(sql, 'number BIGINT NOT NULL', 'number BIGINT')": f"column number of {NAME} is BIGINT,",
        "replace(sql, 'number BIGINT', 'number INTEGER')": f"the column number of {NAME} is INTEGER",
        "replace(sql, ' BETWEEN ', ' NOT BETWEEN ')": f"the constraint ck_{NAME}_number of {NAME} is CHECK",
        "replace(sql, 'ON DELETE CASCADE', '')": f"the reference owner_id of {NAME} is ",
    },
}
"""Statements on PostgreSQL and expressions of the table's text on SQLite, with what is said of them."""


async def test_definitions_are_compared_by_migrate_check(sql: Provision) -> None:
    """Columns, constraints, references and indexes."""
    for change, difference in BY_HAND[sql.settings.db_backend].items():
        async with sql.empty_database() as settings:
            migrator = open_migrator(settings, [HISTORY])
            await migrator.upgrade()
            assert await migrator.check() == []
            async with sql_connection(settings) as connection:
                if settings.db_backend == "sqlite":
                    await connection.execute(text("PRAGMA writable_schema = ON"))
                    change = f"UPDATE sqlite_schema SET sql = {change} WHERE name = '{NAME}'"  # noqa: PLW2901, S608
                for statement in change.split(";"):
                    await connection.execute(text(statement))
            found = await migrator.check()
            assert len(found) == 1, (change, found)
            assert difference in found[0]


ON_WRITES = {
    "postgres": [
        f"CREATE RULE deaf AS ON DELETE TO {NAME} DO INSTEAD NOTHING",
        "CREATE FUNCTION mute() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        f"CREATE TRIGGER mute BEFORE INSERT ON {NAME} FOR EACH ROW EXECUTE FUNCTION mute()",
        f"ALTER TABLE {NAME} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {NAME} DISABLE TRIGGER ALL",
    ],
    "sqlite": [f"CREATE TRIGGER mute BEFORE INSERT ON {NAME} BEGIN SELECT RAISE(IGNORE); END"],
}


async def test_what_acts_on_writes_is_named(sql: Provision) -> None:
    """Triggers, rules and policies, which may lose writes, and references that are not enforced."""
    async with sql.empty_database() as settings:
        migrator = open_migrator(settings, [HISTORY])
        await migrator.upgrade()
        async with sql_connection(settings) as connection:
            for statement in ON_WRITES[settings.db_backend]:
                await connection.execute(text(statement))
        found = "\n".join(await migrator.check())
    names = ["the trigger mute"]
    if settings.db_backend == "postgres":
        names += ["the rule deaf", "the setting row level security", "the disabled constraint fk_"]
    assert all(f"the table {NAME} has {name}" in found for name in names), found


async def test_changed_collections_are_not_served(mongo: Provision) -> None:
    """A missing index, and a validator that somebody loosened."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings, [HISTORY])
        await migrator.upgrade()
        await check_schema(settings)
        for index, difference in MONGO_CHANGES.items():
            await database[NAME].drop_index(index)
            with pytest.raises(SchemaDrifted, match=difference):
                await check_schema(settings)
        await database.command("collMod", NAME, validationLevel="off")
        with pytest.raises(SchemaDrifted, match=f"the validator of {NAME} does not refuse every bad doc"):
            await check_schema(settings)
        assert len(await migrator.check()) == 3


LIBRARY = '''
from typing import Annotated
from pydantic import Field
from eitherdb import Resource, Sortable

class Shop(Resource, path="shops", owned=False):
    """A shop."""
    name: Annotated[str, Field(max_length=20), Sortable()]
'''


async def test_serve_and_check_name_the_difference(migrated: Provision, tmp_path: Path) -> None:
    """`serve` refuses in one line, before it listens; `check` lists it, and reads rows all the same."""
    (tmp_path / "shop.py").write_text(LIBRARY)

    async with migrated.empty_database() as settings:

        async def eitherdb(*arguments: str) -> tuple[int, str, str]:
            done = await call_async(tmp_path, *arguments, settings=settings, RESOURCES="shop.py")
            return done.exit_code, done.out, done.err

        assert (await eitherdb("migrate", "revision", "-m", "Shops"))[0] == 0
        assert (await eitherdb("migrate", "upgrade"))[0] == 0
        if settings.db_backend == "mongo":
            async with mongo_database(settings) as database:
                await database["shops"].drop_index("ix_name__id")
        else:
            async with sql_connection(settings) as connection:
                await connection.execute(text("DROP INDEX ix_shops_name_id"))
        exit_code, out, err = await eitherdb("serve")
        assert (exit_code, out, err.count("\n")) == (2, "", 1)
        assert "name" in err
        assert "`eitherdb migrate check` lists the differences" in err
        exit_code, out, err = await eitherdb("check", "--rows")
        assert (exit_code, err) == (1, "")
        assert "0 rows, all of which can be served" in out
        assert (await eitherdb("migrate", "check"))[0] == 1
