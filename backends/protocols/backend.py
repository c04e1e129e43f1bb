"""The contract of a backend as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.capabilities import Capability
from backends.protocols.accounts import AccountRepository
from backends.protocols.counters import CounterRepository
from backends.protocols.items import ItemRepository
from backends.protocols.users import UserRepository
from backends.requirements import Purpose, UnmetRequirement
from backends.rows.stored import Place, RowKind, StoredRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What stands behind a backend, as it told us itself."""

    product: str
    version: str
    driver: str


class Backend(Protocol):
    """A database, opened: its repositories and what is known of it."""

    @property
    def users(self) -> UserRepository:
        """The users."""
        ...

    @property
    def items(self) -> ItemRepository:
        """The items."""
        ...

    @property
    def accounts(self) -> AccountRepository:
        """The accounts."""
        ...

    @property
    def counters(self) -> CounterRepository:
        """The counters."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this server can do, probed when the backend was opened."""
        ...

    @property
    def server(self) -> ServerInfo:
        """Product, version and driver."""
        ...

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are taken right now; 0 when no method is running."""
        ...

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """Ask the server for everything that the contract needs from it, and that its user needs.

        This takes one or a few round trips and changes nothing. It is called before `check_schema`, and
        on a database that was never migrated too: the rights to tables that don't exist are not asked
        for. `backends.requirements.require` raises what is fatal.

        Args:
            purpose: What the caller is about to do. Each needs other rights: a user who may change rows
                and no schema can serve.

        Returns:
            What is lacking, the worst first; nothing if all is well.
        """
        ...

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """Return rows as they are stored, whether or not they are valid: for `eitherdb check --rows`.

        Args:
            kind: What is stored in them.
            by: The fields that order them, ascending, in any order of equal ones. Rows in which one of
                these is null or of another type are left out. Empty: by the primary key, and all rows.
            start: The place of the first row, which may be gone; None for the very first.
            limit: How many rows to return at most.
        """
        ...

    async def check_schema(self) -> None:
        """Compare the schema's revision in the database with the one that this code needs.

        Raises:
            SchemaMismatch: It is older or newer; the message says which command mends it.
            ForeignSchema: The database is another application's, or things in it have names that EitherDB
                uses.
        """
        ...

    async def close(self) -> None:
        """Give back every connection. A second call does nothing.

        Nothing is called while it runs, or afterwards.
        """
        ...
