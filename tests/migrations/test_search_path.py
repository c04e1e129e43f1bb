"""`?search_path=` in PostgreSQL's URL: EitherDB in a schema of its own, beside what others have."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from backends import open_backend
from backends.errors import BackendError
from backends.models import NewUser
from backends.sql.schema import METADATA
from config import Settings
from migrations import open_migrator
from tests.backends.raw import opened, sql_connection
from tests.cli.command import database_on
from tests.migrations.foreign import SQL, everything, execute
from tests.provision import PostgresProvision, Servers

THEIRS = ("public", "users")


async def tables(settings: Settings) -> set[tuple[str, str]]:
    """Return the schema and the name of every table in the database but PostgreSQL's own."""
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'ours')"
    async with sql_connection(settings) as connection:
        rows = (await connection.exec_driver_sql(query)).mappings()
        return {(row["schemaname"], row["tablename"]) for row in rows}


def with_search_path(settings: Settings, name: str) -> Settings:
    """Return the settings of the schema of this name in the same database."""
    url = make_url(settings.url).update_query_dict({"search_path": name})
    return settings.model_copy(
        update={"database_url": SecretStr(url.render_as_string(hide_password=False))}
    )


async def test_everything_is_in_the_named_schema_alone(servers: Servers) -> None:
    """Tables, rows and what the comparison sees; a table of the same name beside it is left alone."""
    async with database_on(PostgresProvision(servers)) as shared:
        async with sql_connection(shared) as connection:
            await connection.exec_driver_sql("CREATE SCHEMA ours")
            await connection.exec_driver_sql("CREATE TABLE public.users (id integer)")
        settings = with_search_path(shared, "ours")
        migrator = open_migrator(settings)

        assert await migrator.current() is None
        assert await migrator.upgrade()
        assert await migrator.check() == []
        assert await migrator.upgrade() == []
        ours = {("ours", name) for name in (*METADATA.tables, "alembic_version")}
        assert await tables(shared) == {THEIRS, *ours}

        async with opened(open_backend(settings)) as backend:
            await backend.check_schema()
            user = await backend.users.add(NewUser(email="a@example.com", hashed_password="no hash"))
            assert await backend.users.get(user.id) == user
        async with sql_connection(shared) as connection:
            count = "SELECT (SELECT count(*) FROM ours.users), (SELECT count(*) FROM public.users)"
            assert tuple((await connection.exec_driver_sql(count)).one()) == (1, 0)

        await migrator.downgrade("base")
        assert await tables(shared) == {THEIRS, ("ours", "alembic_version")}


async def test_schema_that_is_missing_is_named_as_what_to_mend(servers: Servers) -> None:
    """Nobody but the owner of the database may know whether it was forgotten or misspelt."""
    async with database_on(PostgresProvision(servers)) as shared:
        with pytest.raises(BackendError, match=r"CREATE SCHEMA for what `\?search_path=` names"):
            await open_migrator(with_search_path(shared, "missing")).upgrade()
        assert await tables(shared) == set()


async def test_what_is_further_on_in_the_path_is_another_application(servers: Servers) -> None:
    """Its history is not taken for ours, nor its tables; a downgrade leaves them too."""
    async with database_on(PostgresProvision(servers)) as shared:
        await execute(shared, *SQL["alembic_version like an old one"], "CREATE SCHEMA ours")
        before = await everything(shared)
        settings = with_search_path(shared, "ours,public")
        migrator = open_migrator(settings)
        assert await migrator.current() is None
        every = await migrator.upgrade()
        assert await migrator.check() == []
        async with opened(open_backend(settings)) as backend:
            await backend.check_schema()
        assert await migrator.downgrade("base") == every[::-1]
        assert await everything(shared) == before
