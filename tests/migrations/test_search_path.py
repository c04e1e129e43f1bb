"""`?search_path=` in PostgreSQL's URL: EitherDB in a schema of its own, beside what others have."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy import make_url

from backends import open_backend
from backends.models import NewUser
from backends.sql.schema import METADATA
from config import Settings
from migrations import open_migrator
from tests.backends.raw import opened, sql_connection
from tests.cli.command import database_on
from tests.provision import PostgresProvision, Servers

THEIRS = ("public", "users")


async def tables(settings: Settings) -> set[tuple[str, str]]:
    """Return the schema and the name of every table in the database but PostgreSQL's own."""
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'ours')"
    async with sql_connection(settings) as connection:
        rows = (await connection.exec_driver_sql(query)).mappings()
        return {(row["schemaname"], row["tablename"]) for row in rows}


async def test_everything_is_in_the_named_schema_alone(servers: Servers) -> None:
    """Tables, rows and what the comparison sees; a table of the same name beside it is left alone."""
    async with database_on(PostgresProvision(servers)) as shared:
        async with sql_connection(shared) as connection:
            await connection.exec_driver_sql("CREATE SCHEMA ours")
            await connection.exec_driver_sql("CREATE TABLE public.users (id integer)")
        url = make_url(shared.url).update_query_dict({"search_path": "ours"})
        database_url = SecretStr(url.render_as_string(hide_password=False))
        settings = shared.model_copy(update={"database_url": database_url})
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
