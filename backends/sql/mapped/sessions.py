"""The factories of sessions that only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import sessionmaker

from backends.errors import RevisionMismatch
from backends.sql.errors import translated
from backends.sql.mapped.engines import async_read_engine, read_engine
from backends.sql.mapped.refusals import ReadSession
from backends.sql.schema import REVISION
from backends.sql.schema_check import Queries, answer, answer_blocking
from backends.sql.sqlite_url import sqlite_options

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from config import Settings


def synchronous(settings: Settings, check: Queries[None]) -> sessionmaker[ReadSession]:
    """Return the factory of synchronous sessions, after a check of the database.

    Raises:
        BackendError: The database can't be used, or the check refuses it.
    """
    engine = read_engine(settings)
    with _first_connection(settings), engine.connect() as connection:
        answer_blocking(check, lambda sql: _query(connection, sql))
    return sessionmaker(engine, class_=ReadSession, expire_on_commit=False)


async def asynchronous(settings: Settings, check: Queries[None]) -> async_sessionmaker[AsyncSession]:
    """Return the factory of asynchronous sessions, likewise.

    Raises:
        BackendError: The database can't be used, or the check refuses it.
    """
    engine = async_read_engine(settings)
    with _first_connection(settings):
        async with engine.connect() as connection:
            await answer(check, lambda sql: connection.run_sync(_query, sql))
    return async_sessionmaker(engine, sync_session_class=ReadSession, expire_on_commit=False)


def _query(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(sql)]


@contextmanager
def _first_connection(settings: Settings) -> Iterator[None]:
    """Translate the errors of the first connection.

    Raises:
        BackendError: The database can't be reached.
    """
    if settings.db_backend == "sqlite" and not sqlite_options(settings).file.exists():
        raise RevisionMismatch(None, REVISION)  # as if an empty file were there
    try:
        yield
    except (DBAPIError, OSError) as exc:
        raise translated(exc, is_connecting=True) from exc
