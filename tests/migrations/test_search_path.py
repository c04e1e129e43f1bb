"""`?search_path=` in PostgreSQL's URL: EitherDB in its own schema of a shared database."""

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

FOREIGN = ("public", "users")


async def tables(settings: Settings) -> set[tuple[str, str]]:
    """Return the schema and the name of every table, without PostgreSQL's own."""
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'eitherdb')"
    async with sql_connection(settings) as connection:
        rows = (await connection.exec_driver_sql(query)).mappings()
        return {(row["schemaname"], row["tablename"]) for row in rows}


def with_search_path(settings: Settings, name: str) -> Settings:
    """Return the settings for this schema of the same database."""
    url = make_url(settings.url).update_query_dict({"search_path": name})
    return settings.model_copy(
        update={"database_url": SecretStr(url.render_as_string(hide_password=False))}
    )


async def test_everything_is_in_the_named_schema_alone(servers: Servers) -> None:
    """Tables, rows and `check` use only that schema; a table of the same name elsewhere is unchanged."""
    async with database_on(PostgresProvision(servers)) as shared:
        async with sql_connection(shared) as connection:
            await connection.exec_driver_sql("CREATE SCHEMA eitherdb")
            await connection.exec_driver_sql("CREATE TABLE public.users (id integer)")
        settings = with_search_path(shared, "eitherdb")
        migrator = open_migrator(settings)

        assert await migrator.current() is None
        assert await migrator.upgrade()
        assert await migrator.check() == []
        assert await migrator.upgrade() == []
        eitherdb = {("eitherdb", name) for name in (*METADATA.tables, "alembic_version")}
        assert await tables(shared) == {FOREIGN, *eitherdb}

        async with opened(open_backend(settings)) as backend:
            await backend.check_schema()
            user = await backend.users.add(NewUser(email="a@example.com", hashed_password="no hash"))
            assert await backend.users.get(user.id) == user
        async with sql_connection(shared) as connection:
            count = "SELECT (SELECT count(*) FROM eitherdb.users), (SELECT count(*) FROM public.users)"
            assert tuple((await connection.exec_driver_sql(count)).one()) == (1, 0)

        await migrator.downgrade("base")
        assert await tables(shared) == {FOREIGN, ("eitherdb", "alembic_version")}


async def test_missing_schema_is_named_in_the_error(servers: Servers) -> None:
    """The error suggests CREATE SCHEMA; EitherDB doesn't create it, as the name may be misspelt."""
    async with database_on(PostgresProvision(servers)) as shared:
        with pytest.raises(BackendError, match=r"CREATE SCHEMA for the schema of `\?search_path=`"):
            await open_migrator(with_search_path(shared, "missing")).upgrade()
        assert await tables(shared) == set()


async def test_schemas_further_on_in_the_path_belong_to_another_application(servers: Servers) -> None:
    """Their history and tables are not taken for EitherDB's, and a downgrade keeps them."""
    async with database_on(PostgresProvision(servers)) as shared:
        await execute(shared, *SQL["alembic_version like an old one"], "CREATE SCHEMA eitherdb")
        before = await everything(shared)
        settings = with_search_path(shared, "eitherdb,public")
        migrator = open_migrator(settings)
        assert await migrator.current() is None
        every = await migrator.upgrade()
        assert await migrator.check() == []
        async with opened(open_backend(settings)) as backend:
            await backend.check_schema()
        assert await migrator.downgrade("base") == every[::-1]
        assert await everything(shared) == before
