"""A transaction as MongoDB's drivers specification wants it run, with bounded retries."""

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
    """Run the body in a transaction, again if it collides with another; return what it returned.

    The body must do nothing but commands in the session it gets: it may run more than once.

    Raises:
        Conflict: Every try collided; nothing was changed.
        Unavailable: The connection was lost in every try, or the commit's outcome could not be learnt.
    """
    with _lost_connections_told_apart():
        return await retry_conflicts(lambda: _attempt(driver, body), deadline_seconds=deadline_seconds)


async def transact(driver: Driver, body: Callable[[Session], Awaitable[T]]) -> T:
    """Run the body in a transaction once; return what it returned.

    Raises:
        Conflict: It collided; nothing was changed.
        ConnectionLost: It may have been done.
        Unavailable: The same, after a time limit.
    """
    with _lost_connections_told_apart():
        return await _attempt(driver, body)


@contextmanager
def _lost_connections_told_apart() -> Iterator[None]:
    """Raise ConnectionLost where that was the reason: before a commit it is labelled as a collision is."""
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
    """Commit; while the outcome is unknown, commit again, which the server does at most once.

    https://www.mongodb.com/docs/manual/core/transactions-in-applications/
    """
    for _ in range(1, TRIES):
        try:
            return await session.commit_transaction()
        except PyMongoError as exc:
            if not exc.has_error_label(UNKNOWN_COMMIT):
                raise
    return await session.commit_transaction()
