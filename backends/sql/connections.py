"""What the repositories use of a database: a statement in, its rows out; or several, as a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from backends.retry import retry_conflicts
from backends.sql.statements import Compiled, Row, Statement, Values

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from backends.requirements import Purpose, UnmetRequirement

T = TypeVar("T")

Steps: TypeAlias = Generator[tuple[Statement, Values], list[Row], T]
"""A transaction's work: yields a statement with its values, gets its rows, and returns its result.

A generator, because it runs on an asyncio driver as well as in a thread, and does not know in which.
"""

KEPT_STATEMENTS = 2000
"""How many compiled statements are kept: more than the repositories have."""


class Connections(ABC):
    """Runs statements on pooled connections, each in a transaction of its own or several in one.

    A connection is taken only for the statement or the transaction. Waiters are served in the order in
    which they came.
    """

    asks_a_server: bool
    """Whether a statement is a round trip, which several look-ups had better share."""

    writes_in_queries: bool
    """Whether a statement may change one table by what it changed in another (`WITH … AS (UPDATE …)`)."""

    def __init__(self, dialect: Dialect, *, retry_deadline_seconds: float) -> None:
        """Connect when there is something to run.

        Args:
            dialect: What statements are compiled for.
            retry_deadline_seconds: How long a write that collides may be retried.
        """
        self._dialect = dialect
        self._retry_deadline_seconds = retry_deadline_seconds
        self._compile_for(None)

    def _compile_for(self, schema: str | None) -> None:
        """Compile statements with tables of this schema; None for the one that the session works in."""
        self._compiled: Callable[[Statement], Compiled] = lru_cache(KEPT_STATEMENTS)(
            partial(Compiled, dialect=self._dialect, schema=schema)
        )

    async def run(self, statement: Statement, values: Values) -> list[Row]:
        """Run a statement once; return its rows.

        Args:
            statement: One that is built once and kept, and so is what it compiles to.
            values: Its parameters.

        Raises:
            ConstraintViolation: For the repository to translate.
        """
        compiled = self._compiled(statement)
        arguments = compiled.arguments(values)
        return compiled.rows(await self._fetch(compiled.sql, arguments))

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query in the words of the database, without parameters; return its rows."""
        return [tuple(row) for row in await self._fetch(sql, [])]

    async def look_up(self, statement: Statement, values: Values) -> list[Row]:
        """Run a query that finds what it returns, a row or none, by a unique key."""
        return await self.run(statement, values)

    async def write(self, statement: Statement, values: Values) -> list[Row]:
        """Run a statement that changes rows, again where it collided; return what its RETURNING gives.

        Raises:
            ConstraintViolation: For the repository to translate.
        """
        return await retry_conflicts(
            lambda: self.run(statement, values), deadline_seconds=self._retry_deadline_seconds
        )

    async def transact(self, steps: Callable[[], Steps[T]]) -> T:
        """Run the steps in a transaction; commit what they did, or roll it back if they raise.

        Once, and to its end even if the caller is cancelled: a connection never goes back to the pool in
        the middle of a transaction.

        Raises:
            ConstraintViolation: For the repository to translate.
            Conflict: It collided with another and was rolled back.
            ConnectionLost: It may have been committed.
        """
        return await self._transact(steps)

    @property
    @abstractmethod
    def in_use(self) -> int:
        """How many connections are taken from the pool."""

    @abstractmethod
    async def open(self) -> str:
        """Make the first connection; return the version of the server.

        Raises:
            BackendError: With the driver's own words.
        """

    @abstractmethod
    async def unmet(self, purpose: Purpose) -> list[UnmetRequirement]:
        """Return which requirements the database doesn't meet."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""

    @abstractmethod
    async def _fetch(self, sql: str, arguments: list[Any]) -> Iterable[Iterable[Any]]:
        """Run one statement as a transaction of its own; return its rows, of the driver's kind."""

    @abstractmethod
    async def _transact(self, steps: Callable[[], Steps[T]]) -> T:
        """Run the steps between BEGIN and COMMIT."""
