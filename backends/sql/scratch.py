"""Scratch databases: a file beside the configured one on SQLite, a new schema on PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from backends.errors import BackendError
from backends.scratch import SCRATCH_PREFIX, Scratch, Transaction
from backends.sql import sqlite
from backends.sql.engine import make_folder
from backends.sql.errors import connect_errors, translate_errors
from backends.sql.postgres_url import postgres_options, with_search_path
from backends.sql.schema import METADATA
from backends.sql.sqlite_url import sqlite_options

if TYPE_CHECKING:
    import asyncpg

    from config import Settings

# Accounts and items before their owners.
EMPTY_TABLES = ";".join(
    f"DELETE FROM {table.name}"  # noqa: S608 - constants
    for table in reversed(METADATA.sorted_tables)
)
_NUMBERS = (
    "CREATE TABLE IF NOT EXISTS numbers (key integer PRIMARY KEY, number integer NOT NULL);"
    "DELETE FROM numbers"
)


async def open_scratch(settings: Settings) -> Scratch:
    """See `backends.open_scratch`."""
    name = SCRATCH_PREFIX + secrets.token_hex(6)
    if settings.db_backend == "sqlite":
        options = sqlite_options(settings)
        make_folder(options)
        file = options.file.with_name(f"{name}.db")
        return await SqliteScratch.make(file, _with_url(settings, f"sqlite:///{quote(str(file))}"))
    connection = await _connect_to_postgres(settings)
    scratch = PostgresScratch(connection, name, _with_url(settings, with_search_path(settings.url, name)))
    try:
        await scratch.make()
    except BaseException:
        await connection.close()
        raise
    return scratch


def _with_url(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url)})


class PostgresScratch:
    """`backends.scratch.Scratch` as a schema, so that the database's encoding and settings are tested."""

    def __init__(self, connection: asyncpg.Connection, name: str, settings: Settings) -> None:
        """Take ownership of the connection."""
        self._connection = connection
        self._name = name
        self.settings = settings

    async def make(self) -> None:
        """Create the schema.

        Raises:
            BackendError: The user lacks the privilege.
        """
        try:
            with connect_errors():
                await self._connection.execute(f"CREATE SCHEMA {self._name}")
        except BackendError as exc:
            raise BackendError(
                f"no scratch schema can be made in the database: {exc}; "
                "a user is needed that has the privilege CREATE on it"
            ) from exc

    async def clean(self) -> None:
        """See `Scratch`."""
        with translate_errors():
            await self._execute(EMPTY_TABLES)

    async def durability_faults(self) -> list[str]:
        """See `Scratch`. https://www.postgresql.org/docs/current/runtime-config-wal.html."""
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        with translate_errors():
            found = await self._connection.fetch(
                "SELECT name FROM pg_settings WHERE name = ANY($1) AND setting = 'off' ORDER BY name",
                settings,
            )
        return [f"{name} is off" for (name,) in found]

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """See `Scratch`."""
        values = ", ".join(f"({key:d}, {number:d})" for key, number in numbers.items())
        with translate_errors():
            await self._execute(f"{_NUMBERS}; INSERT INTO numbers VALUES {values}")  # noqa: S608 - numbers

    async def begin(self) -> Transaction:
        """See `Scratch`."""
        from backends.sql.postgres import BEGIN  # noqa: PLC0415 - SQLite does not need its driver

        connection = await _connect_to_postgres(self.settings)
        await connection.execute(BEGIN)
        await connection.execute(self._set_schema)
        return _PostgresTransaction(connection)

    async def _execute(self, sql: str) -> None:
        """Run statements in this schema, in one transaction.

        The session is not changed: behind a connection pooler it is another one each time, and other
        clients use it too.
        """
        async with self._connection.transaction():
            await self._connection.execute(f"{self._set_schema}; {sql}")

    @property
    def _set_schema(self) -> str:
        return f"SET LOCAL search_path = {self._name}"

    async def drop(self) -> None:
        """See `Scratch`."""
        try:
            with translate_errors():
                await self._connection.execute(f"DROP SCHEMA {self._name} CASCADE")
        finally:
            await self._connection.close()


async def _connect_to_postgres(settings: Settings) -> asyncpg.Connection:
    """Connect without named statements and without a search path of the session."""
    # SQLite does not need its driver.
    from backends.sql.postgres_connect import connect_to  # noqa: PLC0415
    from backends.sql.postgres_pooler import options_behind_pooler  # noqa: PLC0415

    with connect_errors():
        return await connect_to(options_behind_pooler(postgres_options(settings)))


class _PostgresTransaction:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def read(self, key: int) -> int:
        return int(await self._connection.fetchval("SELECT number FROM numbers WHERE key = $1", key))

    async def read_all(self) -> dict[int, int]:
        rows = await self._connection.fetch("SELECT key, number FROM numbers WHERE number > 0")
        return {row["key"]: row["number"] for row in rows}

    async def write(self, key: int, number: int) -> None:
        await self._connection.execute("UPDATE numbers SET number = $2 WHERE key = $1", key, number)

    async def add(self, key: int, number: int) -> None:
        await self._connection.execute("INSERT INTO numbers VALUES ($1, $2)", key, number)

    async def commit(self) -> None:
        await self._connection.execute("COMMIT")
        await self._connection.close()

    async def roll_back(self) -> None:
        await self._connection.close()


class SqliteScratch:
    """`backends.scratch.Scratch` as a new file on the same disk."""

    def __init__(self, file: Path, connection: sqlite3.Connection, settings: Settings) -> None:
        """Take ownership of the connection."""
        self._file = file
        self._connection = connection
        self.settings = settings

    @classmethod
    async def make(cls, file: Path, settings: Settings) -> SqliteScratch:
        """Create the file.

        Raises:
            BackendError: The folder is not writable.
        """
        with connect_errors():
            return cls(file, await asyncio.to_thread(sqlite.connect, settings), settings)

    async def clean(self) -> None:
        """See `Scratch`."""
        with translate_errors():
            await asyncio.to_thread(self._connection.executescript, f"{sqlite.BEGIN};{EMPTY_TABLES};COMMIT")

    async def durability_faults(self) -> list[str]:
        """See `Scratch`. https://www.sqlite.org/pragma.html#pragma_synchronous."""
        ((mode,),) = self._connection.execute("PRAGMA journal_mode")
        ((synchronous,),) = self._connection.execute("PRAGMA synchronous")
        faults = [] if mode == "wal" else [f"journal_mode is {mode}, not wal"]
        return faults + ([] if synchronous >= 2 else [f"synchronous is {synchronous}, not 2 (FULL)"])

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """See `Scratch`."""

        def work() -> None:
            self._connection.executescript(_NUMBERS)
            self._connection.executemany("INSERT INTO numbers VALUES (?, ?)", numbers.items())

        with translate_errors():
            await asyncio.to_thread(work)

    async def begin(self) -> Transaction:
        """See `Scratch`."""
        return await asyncio.to_thread(_SqliteTransaction.begin, self.settings)

    async def drop(self) -> None:
        """See `Scratch`."""
        await asyncio.to_thread(self._connection.close)
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def begin(cls, settings: Settings) -> _SqliteTransaction:
        connection = sqlite.connect(settings)
        try:
            connection.execute(sqlite.BEGIN)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def read(self, key: int) -> int:
        ((number,),) = await self._run("SELECT number FROM numbers WHERE key = ?", key)
        return int(number)

    async def read_all(self) -> dict[int, int]:
        return dict(await self._run("SELECT key, number FROM numbers WHERE number > 0"))

    async def write(self, key: int, number: int) -> None:
        await self._run("UPDATE numbers SET number = ? WHERE key = ?", number, key)

    async def add(self, key: int, number: int) -> None:
        await self._run("INSERT INTO numbers VALUES (?, ?)", key, number)

    async def commit(self) -> None:
        await self._run("COMMIT")
        self._connection.close()

    async def roll_back(self) -> None:
        self._connection.close()

    async def _run(self, sql: str, *values: int) -> list[Any]:
        return await asyncio.to_thread(lambda: self._connection.execute(sql, values).fetchall())
