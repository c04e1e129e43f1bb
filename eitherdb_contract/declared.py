"""Backends with declared resources, each on a database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from backends.errors import Conflict, NotFound, NotSupported, StillReferenced
from eitherdb_contract.clock import ManualClock

if TYPE_CHECKING:
    from backends.models.resources import Resource
    from backends.protocols import Backend
    from eitherdb_contract.provision import Provision


_MEANWHILE = (NotFound, StillReferenced, Conflict)
"""The errors of deletions that collide, or come before those of the rows that refer to the row."""


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
    """Delete the users, and the rows of every resource. Rows that others refer to are deleted last."""

    async def delete(rows: Any, ids: Iterable[str]) -> None:
        deletions = (rows.delete(id_) for id_ in ids)
        for outcome in await asyncio.gather(*deletions, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, _MEANWHILE):
                raise outcome

    is_empty = False
    while not is_empty:
        users = (await backend.users.list(limit=1000, count=False)).data
        await delete(backend.users, (user.id for user in users))
        is_empty = not users
        for rows in backend.resources.values():
            found = (await rows.list(limit=1000, count=False)).rows
            await delete(rows, (str(row["id"]) for row in found))
            is_empty = is_empty and not found
