"""The contract of a backend as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from backends.capabilities import Capability
from backends.models.resources import Resource
from backends.protocols.accounts import AccountRepository
from backends.protocols.counters import CounterRepository
from backends.protocols.items import ItemRepository
from backends.protocols.resources import ResourceRepository
from backends.protocols.users import UserRepository
from backends.requirements import Purpose, UnmetRequirement
from backends.rows.stored import Place, RowKind, StoredRow

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """The database server, as it reports itself."""

    product: str
    version: str
    driver: str


class Backend(Protocol):
    """An open database: its repositories, and the properties of its server."""

    @property
    def users(self) -> UserRepository:
        """The users."""
        ...

    @property
    def resources(self) -> Mapping[str, ResourceRepository[Any]]:
        """The rows of each resource, by the `name` of its specification: of items and the declared ones."""
        ...

    @property
    def items(self) -> ItemRepository:
        """The items: `resources["items"]`."""
        ...

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """Return the rows of a resource by its class: `resources[cls.__resource__.name]`, with its type.

        Raises:
            DeclarationError: The class is none of those that the backend was opened with.
        """
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
        """The capabilities of this server, probed when the backend was opened."""
        ...

    @property
    def server(self) -> ServerInfo:
        """Product, version and driver."""
        ...

    @property
    def connections_in_use(self) -> int:
        """The number of pooled connections in use; 0 while no method runs."""
        ...

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """Check that the server and the database user meet the requirements of the contract.

        The check takes a few round trips and changes nothing. It is called before `check_schema`, and also
        on a database without a schema. Privileges on tables that don't exist are not checked.
        `backends.requirements.require` raises an error for fatal requirements.

        Args:
            purpose: The use of the database. Each purpose needs other privileges: a user who may change
                rows but not the schema can serve.

        Returns:
            The unmet requirements, the most severe first; empty if all are met.
        """
        ...

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """Return rows as they are stored, valid or not, for `eitherdb check --rows`.

        Args:
            kind: The kind of the rows.
            by: The sort key, ascending; rows with equal sort keys come in any order. Rows in which one of
                these fields is null or of another type are left out. Empty: all rows by the primary key.
            start: The place of the first row, which may have been deleted; None for the beginning.
            limit: The maximum number of rows.
        """
        ...

    async def check_schema(self) -> None:
        """Compare the schema's revision in the database with the revision that this code needs.

        Raises:
            SchemaMismatch: The revision is older or newer; the message names the command to run.
            ForeignSchema: The database belongs to another application, or has objects under names that
                EitherDB uses.
        """
        ...

    async def close(self) -> None:
        """Close every connection. A second call does nothing.

        No other method may be called during this call or after it.
        """
        ...
