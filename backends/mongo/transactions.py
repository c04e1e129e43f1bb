"""Transactions as MongoDB's driver specification describes them, with bounded retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pymongo.errors import ConnectionFailure, PyMongoError

from backends.errors import Conflict, ConnectionLost
from backends.mongo.driver import Driver, Session
from backends.mongo.errors import UNKNOWN_COMMIT, translate_errors
from backends.retry import TRIES, retry_conflicts

T = TypeVar("T")


async def in_transaction(
    driver: Driver, body: Callable[[Session], Awaitable[T]], *, deadline_seconds: float
) -> T:
    """Run the body in a transaction, retry after a write conflict, and return the body's result.

    The body may run more than once: it must only run commands in the given session.

    Raises:
        Conflict: Every attempt conflicted; nothing was changed.
        Unavailable: Every attempt lost the connection, or the outcome of the commit is unknown.
    """
    with _connection_lost_translated():
        return await retry_conflicts(lambda: _attempt(driver, body), deadline_seconds=deadline_seconds)


async def transact(driver: Driver, body: Callable[[Session], Awaitable[T]]) -> T:
    """Run the body in a transaction once, and return the body's result.

    Raises:
        Conflict: The transaction conflicted with another; nothing was changed.
        ConnectionLost: The transaction may have been committed.
        Unavailable: The transaction may have been committed, after a timeout.
    """
    with _connection_lost_translated():
        return await _attempt(driver, body)


@contextmanager
def _connection_lost_translated() -> Iterator[None]:
    """Raise ConnectionLost for a lost connection, which has the error label of a write conflict."""
    try:
        yield
    except Conflict as exc:
        if isinstance(exc.__cause__, ConnectionFailure):
            raise ConnectionLost("the connection to the database was lost") from exc
        raise


async def _attempt(driver: Driver, body: Callable[[Session], Awaitable[T]]) -> T:
    async with driver.semaphore.slot():
        with translate_errors():
            session = await driver.begin()
            try:
                try:
                    result = await body(session)
                except BaseException:
                    await session.abort_transaction()
                    raise
                await _commit(session)
                return result
            finally:
                await session.end_session()


async def _commit(session: Session) -> None:
    """Commit, and retry while the outcome is unknown; the server commits at most once.

    https://www.mongodb.com/docs/manual/core/transactions-in-applications/
    """
    for _ in range(1, TRIES):
        try:
            return await session.commit_transaction()
        except PyMongoError as exc:
            if not exc.has_error_label(UNKNOWN_COMMIT):
                raise
    return await session.commit_transaction()
