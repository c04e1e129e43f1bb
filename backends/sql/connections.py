"""The interface between repositories and drivers: statements and transactions on pooled connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from backends.retry import retry_conflicts
from backends.sql.pairs import PairedLookUps
from backends.sql.statements import Compiled, Row, Statement, Values

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from backends.models.resources import ResourceSpec
    from backends.requirements import Purpose, UnmetRequirement

T = TypeVar("T")

Steps: TypeAlias = Generator[tuple[Statement, Values], list[Row], T]
"""The steps of a transaction: yields statements with values, receives their rows, returns the result.

It is a generator, so that the same code runs on an asyncio driver and in a thread.
"""

KEPT_STATEMENTS = 2000
"""The size of the cache of compiled statements: more than the repositories have."""


class Connections(ABC):
    """Runs single statements and transactions on pooled connections.

    A connection is held only for one statement or transaction. Waiters are served in FIFO order.
    """

    asks_a_server: bool
    """Whether a statement is a round trip, so that look-ups should be batched."""

    writes_in_queries: bool
    """Whether one statement can change several tables (`WITH … AS (UPDATE …)`)."""

    def __init__(self, dialect: Dialect, *, retry_deadline_seconds: float) -> None:
        """Connect on first use.

        Args:
            dialect: The dialect that statements are compiled for.
            retry_deadline_seconds: The time limit for retries of colliding writes.
        """
        self.paired = PairedLookUps(self)
        self._dialect = dialect
        self._retry_deadline_seconds = retry_deadline_seconds
        self._compile_for(None)

    def _compile_for(self, schema: str | None) -> None:
        """Qualify tables with this schema; None leaves them to the session's search path."""
        self._compiled: Callable[[Statement], Compiled] = lru_cache(KEPT_STATEMENTS)(
            partial(Compiled, dialect=self._dialect, schema=schema)
        )

    async def run(self, statement: Statement, values: Values) -> list[Row]:
        """Run a statement once; return its rows.

        Args:
            statement: The statement. The same object must be reused, because its compilation is cached.
            values: The parameters.

        Raises:
            ConstraintViolation: A constraint was violated; the repository translates the error.
        """
        compiled = self._compiled(statement)
        arguments = compiled.arguments(values)
        return compiled.rows(await self._fetch(compiled.sql, arguments))

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a raw SQL query without parameters; return its rows."""
        return [tuple(row) for row in await self._fetch(sql, [])]

    async def look_up(self, statement: Statement, values: Values) -> list[Row]:
        """Run a query that usually reads few rows: a row by a unique key, or a page of a list."""
        return await self.run(statement, values)

    async def write(self, statement: Statement, values: Values) -> list[Row]:
        """Run a statement that changes rows, with retries on conflicts; return the rows of RETURNING.

        Raises:
            ConstraintViolation: A constraint was violated; the repository translates the error.
        """
        return await retry_conflicts(
            lambda: self.run(statement, values), deadline_seconds=self._retry_deadline_seconds
        )

    async def transact(self, steps: Callable[[], Steps[T]]) -> T:
        """Run the steps in a transaction, without retries; roll back if they raise an error.

        The transaction runs to completion even if the caller is cancelled. So a connection never returns to
        the pool in the middle of a transaction.

        Raises:
            ConstraintViolation: A constraint was violated; the repository translates the error.
            Conflict: The transaction collided with another and was rolled back.
            ConnectionLost: The transaction may have been committed.
        """
        return await self._transact(steps)

    @property
    @abstractmethod
    def in_use(self) -> int:
        """The number of connections in use."""

    @abstractmethod
    async def open(self) -> str:
        """Open the first connection; return the version of the server.

        Raises:
            BackendError: The connection failed; the message contains the driver's.
        """

    @abstractmethod
    async def unmet(self, purpose: Purpose, resources: Collection[ResourceSpec]) -> list[UnmetRequirement]:
        """Return the requirements that the database does not meet, in which these resources are stored."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    @abstractmethod
    async def _fetch(self, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
        """Run one statement in its own transaction; return the driver's rows."""

    @abstractmethod
    async def _transact(self, steps: Callable[[], Steps[T]]) -> T:
        """Run the steps between BEGIN and COMMIT."""
