"""A backend without `await`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from backends.capabilities import Capability
from backends.models import Item
from backends.models.resources import Resource
from backends.protocols import Backend, ServerInfo
from backends.protocols import ResourceRepository as AsyncResourceRepository
from backends.requirements import Purpose, UnmetRequirement
from backends.rows.stored import Place, RowKind, StoredRow
from eitherdb.blocking.accounts import AccountRepository
from eitherdb.blocking.counters import CounterRepository
from eitherdb.blocking.opened import Blocking, OpenedBackend, Opener
from eitherdb.blocking.resources import ResourceRepository
from eitherdb.blocking.users import UserRepository

R = TypeVar("R", bound=Resource)


class Database(Blocking[Backend]):
    """An open database: `backends.protocols.Backend` without `await`.

    Every method has the contract of the asynchronous one. All methods may be called from several threads
    at once. A forked process opens the database again at its first call.

    Attributes:
        users: The users.
        resources: The rows of each resource, by its name: of items and the declared ones.
        items: The items: `resources["items"]`.
        accounts: The accounts.
        counters: The counters.
    """

    def __init__(self, opener: Opener, *, read_only: bool = False) -> None:
        """Open the database.

        Args:
            opener: Returns a context manager that opens the backend and closes it.
            read_only: Whether methods that write raise `ReadOnlyDatabase`.

        Raises:
            Exception: The opener's.
        """
        opened = OpenedBackend(opener, read_only=read_only)
        super().__init__(opened, "", lambda backend: backend)
        self.users = UserRepository(opened, "users", lambda backend: backend.users)
        self.resources: Mapping[str, ResourceRepository[Any]] = MappingProxyType(
            {
                name: ResourceRepository(opened, _shown(name), _resource(name))
                for name in opened.backend.resources
            }
        )
        self.items: ResourceRepository[Item] = self.resources["items"]
        self.accounts = AccountRepository(opened, "accounts", lambda backend: backend.accounts)
        self.counters = CounterRepository(opened, "counters", lambda backend: backend.counters)

    def __enter__(self) -> Self:
        """Return the database, which `__exit__` closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """See `Backend.repository`."""
        return self.resources[self._part.repository(cls).spec.name]

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `Backend.capabilities`."""
        return self._part.capabilities

    @property
    def server(self) -> ServerInfo:
        """See `Backend.server`."""
        return self._part.server

    @property
    def connections_in_use(self) -> int:
        """See `Backend.connections_in_use`."""
        return self._part.connections_in_use

    def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See `Backend.check_server`."""
        return self._call(lambda backend: backend.check_server(purpose))

    def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """See `Backend.read_rows`."""
        return self._call(lambda backend: backend.read_rows(kind, by=by, start=start, limit=limit))

    def check_schema(self) -> None:
        """See `Backend.check_schema`."""
        return self._call(lambda backend: backend.check_schema())

    def close(self) -> None:
        """Wait for the calls of other threads, and close every connection. A second call does nothing.

        A call that begins later raises `DatabaseClosed`.
        """
        self._opened.close()


def _shown(name: str) -> str:
    return name if name == "items" else f'resources["{name}"]'


def _resource(name: str) -> Callable[[Backend], AsyncResourceRepository[Any]]:
    return lambda backend: backend.resources[name]
