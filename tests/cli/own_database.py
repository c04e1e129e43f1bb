"""Temporary PostgreSQL databases and users, for the tests of requirements."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import make_url

from config import Settings
from migrations import open_migrator
from tests.provision import Servers, connect_postgres, make_settings


class Database:
    """A temporary database, with the settings of the server's superuser."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings

    def seen_by(self, user: str) -> Settings:
        """Return the settings of another user."""
        url = make_url(self.settings.url).set(username=user, password="secret")
        return self.settings.model_copy(
            update={"database_url": SecretStr(url.render_as_string(hide_password=False))}
        )

    async def run(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        connection = await connect_postgres(self.settings.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def tables(self) -> set[str]:
        """Return the names of the tables."""
        connection = await connect_postgres(self.settings.url)
        try:
            rows = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
            )
        finally:
            await connection.close()
        return {str(row[0]) for row in rows}


@asynccontextmanager
async def database(servers: Servers, how: str = "", *, migrated: bool = False) -> AsyncIterator[Database]:
    """Create a database, and drop it at the end."""
    name = f"eitherdb_test_{secrets.token_hex(6)}"
    url = make_url(servers.postgres_url)
    server = Database("", make_settings(db_backend="postgres", database_url=url_text(url)))
    settings = make_settings(
        db_backend="postgres", database_url=url_text(url.set(database=name)), db_connect_timeout_seconds=20
    )
    await server.run(f"CREATE DATABASE {name} {how}")
    try:
        if migrated:
            await open_migrator(settings).upgrade()
        yield Database(name, settings)
    finally:
        await server.run(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def role(of: Database, *grants: str) -> AsyncIterator[str]:
    """Create a user with these grants, in which `{user}` is its name; drop it at the end."""
    user = f"eitherdb_user_{secrets.token_hex(6)}"
    await of.run(
        f"CREATE ROLE {user} LOGIN PASSWORD 'secret'", *(grant.format(user=user) for grant in grants)
    )
    try:
        yield user
    finally:
        owner = make_url(of.settings.url).username or "postgres"
        await of.run(f"REASSIGN OWNED BY {user} TO {owner}", f"DROP OWNED BY {user}", f"DROP ROLE {user}")


def url_text(url: Any) -> str:
    """Return the URL with its password."""
    return str(url.render_as_string(hide_password=False))
