"""The backends behind `eitherdb.open_blocking`, with which the contract suite runs through it.

The suite calls methods with `await`. Each such call is a blocking call in a thread. Threads can't
be cancelled, so a cancelled call runs to its end; `tests/unit/test_blocking_calls.py` interrupts calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, cast

from backends import models, protocols
from backends.cancellation import run_to_completion
from backends.ids import Clock, IdSource, new_id, utc_now
from backends.models.resources import Resource
from backends.protocols import Backend
from config import Settings
from eitherdb.blocking import Database, Statement
from eitherdb.blocking.opened import Blocking
from tests.provision import Provision

THREADS = 100
_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")

_ASYNCHRONOUS = {
    name
    for protocol in (
        protocols.Backend,
        protocols.AccountRepository,
        protocols.CounterRepository,
        protocols.ResourceRepository,
        protocols.UserRepository,
    )
    for name, method in vars(protocol).items()
    if iscoroutinefunction(method)
}


class Awaited:
    """A blocking database, or a part of it, whose methods can be awaited."""

    def __init__(self, blocking: Blocking[Any]) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        """Return a method that waits in a thread, a part, or a value."""
        found = getattr(self._blocking, name)
        if name in _ASYNCHRONOUS:
            return partial(_in_thread, found)
        if name == "resources":
            return {key: Awaited(part) for key, part in found.items()}
        if name == "repository":
            return lambda cls: Awaited(found(cls))
        return Awaited(found) if isinstance(found, Blocking) else found


async def _in_thread(function: Any, *arguments: Any, **options: Any) -> Any:
    call = partial(copy_context().run, function, *arguments, **options)
    result = await run_to_completion(asyncio.get_running_loop().run_in_executor(_POOL, call))
    if isinstance(result, Statement):
        return models.Statement(account=result.account, entries=_awaited(result.entries))
    return result


async def _awaited(entries: Iterator[list[models.StatementEntry]]) -> AsyncIterator[Any]:
    while chunk := await _in_thread(next, entries, None):
        yield chunk


class BlockingProvision(Provision):
    """A backend behind `eitherdb.open_blocking`."""

    def __init__(self, provision: Provision) -> None:
        self._provision = provision
        self.name = f"blocking-{provision.name}"
        self.capabilities = provision.capabilities

    async def start(self) -> None:
        """See `Provision`."""
        await self._provision.start()
        self.settings = self._provision.settings

    async def stop(self) -> None:
        """See `Provision`."""
        await self._provision.stop()

    async def clean(self) -> None:
        """See `Provision`."""
        await self._provision.clean()

    async def declare(self, resources: Sequence[type[Resource]]) -> None:
        """See `Provision`."""
        await self._provision.declare(resources)

    async def open(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock = utc_now,
        id_source: IdSource = new_id,
    ) -> Backend:
        """See `Provision`."""

        @asynccontextmanager
        async def opener() -> AsyncIterator[Backend]:
            backend = await self._provision.open(settings, clock=clock, id_source=id_source)
            yield backend
            await backend.close()

        return cast("Backend", Awaited(await asyncio.to_thread(Database, opener)))
