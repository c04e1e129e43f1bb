"""Backends that fail on purpose, and an application with one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

from backends.capabilities import Capability
from backends.models.resources import Resource
from backends.protocols import (
    AccountRepository,
    Backend,
    CounterRepository,
    ItemRepository,
    ServerInfo,
    UserRepository,
)
from backends.protocols.resources import ResourceRepository
from backends.requirements import Purpose, UnmetRequirement
from backends.rows import Place, RowKind, StoredRow
from tests.api.service import Account, Service, serve
from tests.provision import Provision

R = TypeVar("R", bound=Resource)


class Failing:
    """An object whose every method raises the error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Awaitable[NoReturn]]:
        """Return a method for any name."""

        async def fail(*_: object, **__: object) -> NoReturn:
            raise self._error

        return fail


@dataclass
class HalfBroken:
    """A real backend, parts of which fail; it knows how often it was closed."""

    backend: Backend
    users: UserRepository
    items: ItemRepository
    schema_error: Exception | None = None
    closed: int = 0

    @property
    def resources(self) -> Mapping[str, ResourceRepository[Any]]:
        """See the protocol."""
        return {**self.backend.resources, "items": cast("Any", self.items)}

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """See the protocol."""
        return self.resources[cls.__resource__.name]

    @property
    def accounts(self) -> AccountRepository:
        """See the protocol."""
        return self.backend.accounts

    @property
    def counters(self) -> CounterRepository:
        """See the protocol."""
        return self.backend.counters

    async def read_rows(
        self, kind: RowKind, *, by: Sequence[str], start: Place | None, limit: int
    ) -> list[StoredRow]:
        """See the protocol."""
        return await self.backend.read_rows(kind, by=by, start=start, limit=limit)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See the protocol."""
        return self.backend.capabilities

    @property
    def server(self) -> ServerInfo:
        """See the protocol."""
        return self.backend.server

    @property
    def connections_in_use(self) -> int:
        """See the protocol."""
        return self.backend.connections_in_use

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See the protocol."""
        return await self.backend.check_server(purpose)

    async def check_schema(self) -> None:
        """See the protocol."""
        if self.schema_error:
            raise self.schema_error

    async def close(self) -> None:
        """See the protocol."""
        self.closed += 1
        await self.backend.close()


def without_users(error: Exception) -> Callable[[Backend], Backend]:
    """Let the user repository of a backend fail."""
    return lambda backend: HalfBroken(backend, cast("UserRepository", Failing(error)), backend.items)


@asynccontextmanager
async def serve_without_items(
    provision: Provision, service: Service, error: Exception
) -> AsyncIterator[Account]:
    """Run an application whose item repository fails with this error; a user is signed in there."""
    user = (await service.user()).user

    def wrap(backend: Backend) -> Backend:
        return HalfBroken(backend, backend.users, cast("ItemRepository", Failing(error)))

    # The user has the first superuser's address, so that the start makes none.
    async with serve(provision, wrap=wrap, first_superuser=user.email) as broken:
        yield broken.sign_in(user)
