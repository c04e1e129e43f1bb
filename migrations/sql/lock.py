"""The migration lock on SQL: it ends with the migration's transaction, in every case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.util import await_only

from backends.errors import BackendError, Conflict
from migrations import MigrationError
from migrations.waiting import LOCK_WAIT_SECONDS, wait_for_lock

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

# An arbitrary constant, the same in every EitherDB; the lock is per database.
ADVISORY_LOCK_KEY = 0x65697468_65726462  # "eitherdb"

LOCK_NOT_AVAILABLE = "55P03"

TABLE_LOCK_MILLISECONDS = 1_000
"""How long an exclusive lock is waited for at once: meanwhile, every other session waits behind it."""

_PAUSE_SECONDS = 0.5

_TAKE = f"SELECT pg_try_advisory_xact_lock({ADVISORY_LOCK_KEY})"
# A role can see the process ids of other roles' sessions, but not what they do.
_HOLDER = """
SELECT a.pid, a.application_name, host(a.client_addr), coalesce(a.xact_start, a.backend_start)
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = {key}
"""
# A lock_timeout that the operator has set takes precedence. The transaction is idle while a second
# connection prepares tables or creates indexes.
_SET_TIMEOUTS = """
SELECT set_config('idle_in_transaction_session_timeout', '0', true),
  CASE current_setting('lock_timeout')
    WHEN '0' THEN set_config('lock_timeout', '{milliseconds:.0f}', true) END
"""


@asynccontextmanager
async def migration_transaction(connection: AsyncConnection, *, wait_seconds: float) -> AsyncIterator[None]:
    """Run the body in a transaction that holds the migration lock of the database.

    Raises:
        Conflict: Another migration held the lock for `wait_seconds`.
    """
    begin = _begin_on_sqlite if connection.dialect.name == "sqlite" else _begin_on_postgres
    await begin(connection, wait_seconds)
    on_sqlite = connection.dialect.name == "sqlite"
    try:
        yield
    except BaseException as exc:
        await (connection.exec_driver_sql("ROLLBACK") if on_sqlite else connection.rollback())
        if isinstance(exc, Exception) and is_lock_timeout(exc):
            raise Conflict(
                f"a table stayed locked for {wait_seconds:.0f} seconds by a session that pg_locks shows"
            ) from exc
        raise
    await (connection.exec_driver_sql("COMMIT") if on_sqlite else connection.commit())


async def _begin_on_postgres(connection: AsyncConnection, wait_seconds: float) -> None:
    # READ COMMITTED: a statement sees the commits of the migration that held the lock before.
    await connection.execution_options(isolation_level="READ COMMITTED")

    async def take() -> bool:
        """Take the lock in a new transaction; roll back if it is held, to free a pooler's session."""
        is_taken = bool((await connection.exec_driver_sql(_TAKE)).scalar_one())
        if not is_taken:
            await connection.rollback()
        return is_taken

    async def holder() -> str:
        found = (await connection.exec_driver_sql(_HOLDER.format(key=ADVISORY_LOCK_KEY))).first()
        await connection.rollback()
        if found is None:
            return "a session that has just ended"
        pid, application, address, since = tuple(found)
        facts = [f"application {application}"] if application else []
        facts += [f"client {address}"] if address else []
        facts += [f"since {since:%Y-%m-%d %H:%M:%S %Z}"] if since else []
        return f"the PostgreSQL session with pid {pid}" + (f" ({', '.join(facts)})" if facts else "")

    await wait_for_lock(take, holder, wait_seconds=wait_seconds)
    await connection.exec_driver_sql(_SET_TIMEOUTS.format(milliseconds=wait_seconds * 1000))


async def _begin_on_sqlite(connection: AsyncConnection, wait_seconds: float) -> None:
    """Take the write lock of the file."""
    busy_timeout = (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one()
    await connection.exec_driver_sql("PRAGMA busy_timeout = 0")

    async def take() -> bool:
        try:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as exc:
            if getattr(exc.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                return False
            raise
        return True

    async def holder() -> str:
        return f"another process that writes to {connection.engine.url.database}"

    await wait_for_lock(take, holder, wait_seconds=wait_seconds)
    await connection.exec_driver_sql(f"PRAGMA busy_timeout = {busy_timeout}")


def check_references(connection: Connection) -> None:
    """Check the foreign keys, which SQLite does not enforce during a migration."""
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise BackendError(f"the migration would leave {len(broken)} broken references")


def lock_table(connection: Connection, table: Table, *, exclusive: bool = True) -> None:
    """Lock a table on PostgreSQL, in short attempts.

    A session that waits for an exclusive lock lets every later one wait behind it. So each attempt ends
    early, and the others go on before the next one.

    Raises:
        DBAPIError: The table stayed locked; `migration_transaction` explains it.
    """
    name = connection.dialect.identifier_preparer.format_table(table)
    mode = "ACCESS EXCLUSIVE" if exclusive else "SHARE"
    limit = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        connection.exec_driver_sql("SAVEPOINT table_lock")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {TABLE_LOCK_MILLISECONDS}")
        try:
            connection.exec_driver_sql(f"LOCK TABLE {name} IN {mode} MODE")
        except DBAPIError as exc:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT table_lock")
            if not is_lock_timeout(exc) or time.monotonic() > deadline:
                raise
            await_only(asyncio.sleep(_PAUSE_SECONDS))
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{limit}'")
            connection.exec_driver_sql("RELEASE SAVEPOINT table_lock")
            return


@contextmanager
def second_connection(connection: Connection, **options: Any) -> Iterator[Connection]:
    """Yield a connection beside that of the migration's transaction, in autocommit mode.

    Args:
        connection: The connection of the transaction.
        options: SQLAlchemy's execution options.

    Raises:
        MigrationError: A connection pooler has no second session.
    """
    with connection.engine.execution_options(**options).connect() as second:
        try:
            second.exec_driver_sql("SELECT 1")
        except DBAPIError as exc:
            if "query_wait_timeout" not in str(exc.orig):
                raise
            raise MigrationError(
                "a table with many rows is changed through two sessions at once, and the connection pooler "
                "gives only one: raise its pool size (PgBouncer: default_pool_size) to 2 or more"
            ) from exc
        yield second


def is_lock_timeout(exc: Exception) -> bool:
    """Return whether a table was locked for too long."""
    return isinstance(exc, DBAPIError) and getattr(exc.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE
