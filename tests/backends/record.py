"""Records what a backend sends to its database, by the drivers' own events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

from pymongo import monitoring
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.protocols import Backend
from backends.sql.backend import SqlBackend
from config import Settings
from tests.provision import Provision

Statement = tuple[str, Any]
"""A statement's text and its parameters, as they are given to the driver."""

Command = dict[str, Any]


def engine_of(backend: Backend) -> AsyncEngine:
    """Return the engine of an SQL backend."""
    return cast("SqlBackend", backend)._engine


@contextmanager
def statements(backend: Backend) -> Iterator[list[Statement]]:
    """Collect the statements that the backend runs."""
    found: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    engine = engine_of(backend).sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


class _Recorder(monitoring.CommandListener):
    """Collects commands; replies don't matter."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Keep a copy of the command."""
        self.commands.append(dict(cast("Mapping[str, Any]", event.command)))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@asynccontextmanager
async def recorded(
    provision: Provision, settings: Settings | None = None
) -> AsyncIterator[tuple[Backend, list[Command]]]:
    """Open a MongoDB backend; give it and the list that its commands are added to."""
    recorder = _Recorder()
    # Listeners of a client can be given only where it is made, or to all clients made from now on.
    monitoring.register(recorder)
    try:
        backend = await provision.open(settings)
    finally:
        monitoring._LISTENERS.command_listeners.remove(recorder)
    recorder.commands.clear()
    try:
        yield backend, recorder.commands
    finally:
        await backend.close()


def names(commands: list[Command]) -> list[str]:
    """Return each command's name: its first key."""
    return [next(iter(command)) for command in commands]
