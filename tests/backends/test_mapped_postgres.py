"""Mapped sessions on PostgreSQL: the search path, other time zones, roles that only read, PgBouncer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backends import open_backend
from backends.models import NewUser
from backends.sql.mapped import sessions
from backends.sql.mapped.models import User
from backends.sql.mapped.refusals import ReadOnlySession
from backends.sql.schema import METADATA
from backends.sql.schema_check import Queries, check_schema
from config import Settings
from migrations import open_migrator
from tests.backends.planted import HASH
from tests.backends.raw import opened
from tests.backends.test_pgbouncer import behind
from tests.provision import Provision, connect_postgres


def with_url(settings: Settings, url: str) -> Settings:
    """Return the settings with another URL."""
    return settings.model_copy(update={"database_url": SecretStr(url)})


async def in_both(settings: Settings, report: Callable[[Session], None]) -> None:
    """Run a report in a synchronous and an asynchronous session."""

    def check() -> Queries[None]:
        return check_schema(METADATA.tables, ["items"], on_sqlite=False)

    with sessions.synchronous(settings, check())() as session:
        report(session)
    async with (await sessions.asynchronous(settings, check()))() as asynchronous:
        await asynchronous.run_sync(report)


async def add_user(settings: Settings) -> None:
    """Migrate the database, and add a user."""
    await open_migrator(settings).upgrade()
    async with opened(open_backend(settings)) as backend:
        await backend.users.add(NewUser(email="ada@example.com", hashed_password=HASH))


def read_and_write(session: Session) -> None:
    """Read the user, and try to write."""
    user = session.scalars(select(User)).one()
    assert user.created_at.tzinfo is UTC
    assert session.scalar(text("SHOW TimeZone")) == "UTC"
    assert session.scalar(text("SHOW transaction_read_only")) == "on"
    with pytest.raises(ReadOnlySession):
        session.execute(text("UPDATE users SET version = 9"))


async def test_sessions_use_the_schema_of_the_url_and_utc(postgres: Provision) -> None:
    """`search_path` names the schema; times are in UTC, whatever the zone of the server or of the URL."""
    async with postgres.empty_database() as direct:
        connection = await connect_postgres(direct.url)
        await connection.execute('CREATE SCHEMA "Some ""schema"')
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'")
        await connection.close()
        path = quote('"Some ""schema"')
        separator = "&" if "?" in direct.url else "?"
        options = f"search_path={path}&options=-c%20work_mem%3D8MB"
        settings = with_url(direct, f"{direct.url}{separator}{options}")
        await add_user(settings)
        await in_both(settings, read_and_write)


async def test_role_with_select_only_is_enough(postgres: Provision) -> None:
    """Reports need no privilege but SELECT."""
    async with postgres.empty_database() as direct:
        await add_user(direct)
        connection = await connect_postgres(direct.url)
        await connection.execute("CREATE ROLE reporter LOGIN PASSWORD 'secret'")
        await connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporter")
        scheme, _, rest = direct.url.partition("://")
        settings = with_url(direct, f"{scheme}://reporter:secret@{rest.rpartition('@')[2]}")
        await in_both(settings, read_and_write)
        await connection.execute("DROP OWNED BY reporter")
        await connection.execute("DROP ROLE reporter")
        await connection.close()


@pytest.mark.pgbouncer
async def test_sessions_only_read_behind_a_pooler(postgres: Provision) -> None:
    """PgBouncer refuses the setting of the session; each transaction is read-only, and nothing leaks."""
    async with behind(postgres, "transaction") as settings:
        await add_user(settings)
        await in_both(settings, read_and_write)
        async with opened(open_backend(settings)) as backend:
            await backend.users.add(NewUser(email="bob@example.com", hashed_password=HASH))
