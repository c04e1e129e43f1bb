"""Backends with declared resources, each on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from backends.errors import NotFound, NotSupported, StillReferenced
from eitherdb_contract.clock import ManualClock

if TYPE_CHECKING:
    from backends.models.resources import Resource
    from backends.protocols import Backend
    from eitherdb_contract.provision import Provision


class DeclaredBackends:
    """Opens backends with declared resources, and keeps them until it is closed."""

    def __init__(self, make_provision: Callable[[], Provision]) -> None:
        """Use new provisions of one backend."""
        self._make_provision = make_provision
        self._opened: dict[tuple[type[Resource], ...], tuple[Backend, AsyncExitStack]] = {}

    async def open(self, resources: Sequence[type[Resource]]) -> Backend:
        """Return the backend with these resources, on a database of its own without rows."""
        key = tuple(resources)
        if key in self._opened:
            backend, stack = self._opened[key]
            try:
                await _delete_rows(backend)
            except NotSupported:  # without transactions: another database then
                del self._opened[key]
                await stack.aclose()
            else:
                return backend
        self._opened[key] = await self._open(resources)
        return self._opened[key][0]

    async def _open(self, resources: Sequence[type[Resource]]) -> tuple[Backend, AsyncExitStack]:
        async with AsyncExitStack() as stack:
            provision = self._make_provision()
            await provision.start()
            stack.push_async_callback(provision.stop)
            await provision.declare(resources)
            backend = await provision.open(clock=ManualClock())
            stack.push_async_callback(backend.close)
            return backend, stack.pop_all()

    async def close(self) -> None:
        """Close the backends, and remove their databases."""
        for _, stack in self._opened.values():
            await stack.aclose()


async def _delete_rows(backend: Backend) -> None:
    """Delete the rows of every resource, those that others refer to after these, and the users."""
    is_empty = False
    while not is_empty:
        is_empty = True
        for rows in backend.resources.values():
            for row in (await rows.list(limit=1000, count=False)).rows:
                is_empty = False
                with suppress(NotFound, StillReferenced):
                    await rows.delete(str(row["id"]))
    for user in (await backend.users.list(limit=1000, count=False)).data:
        await backend.users.delete(user.id)
