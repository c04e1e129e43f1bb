"""Records what a backend sends to its database, by the drivers' own events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

from pymongo import monitoring

from backends.protocols import Backend
from backends.sql.backend import SqlBackend
from backends.sql.connections import Connections
from backends.sql.postgres import PostgresConnections
from backends.sql.sqlite import SqliteConnections
from config import Settings
from tests.provision import Provision

Statement = tuple[str, Any]
"""A statement's text and its parameters, as they are given to the driver."""

Command = dict[str, Any]


def connections_of(backend: Backend) -> Connections:
    """Return the connections of an SQL backend."""
    return cast("SqlBackend", backend)._connections


@asynccontextmanager
async def statements(backend: Backend) -> AsyncIterator[list[Statement]]:
    """Collect what the backend sends to its database, one thing after the other."""
    found: list[Statement] = []
    connections = connections_of(backend)
    if isinstance(connections, SqliteConnections):

        def note(sql: str) -> None:
            # It tells of a deletion once more for the cascade. Parameters are filled in.
            if found[-1:] != [(sql, ())]:
                found.append((sql, ()))

        for each in (connections._idle[-1], connections._look_up):
            each.do(lambda connection: connection.set_trace_callback(note))
        yield found
        for each in (connections._idle[-1], connections._look_up):
            each.do(lambda connection: connection.set_trace_callback(None))
    else:
        connection = cast("PostgresConnections", connections)._pool.idle[-1]
        with connection.query_logger(lambda query: found.append((query.query, query.args))):
            yield found
            await asyncio.sleep(0)  # asyncpg tells a little later


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
    with commands_of_clients() as commands:
        backend = await provision.open(settings)
    commands.clear()
    try:
        yield backend, commands
    finally:
        await backend.close()


@contextmanager
def commands_of_clients() -> Iterator[list[Command]]:
    """Collect, for as long as they live, the commands of all clients that are made in the block."""
    recorder = _Recorder()
    # Listeners of a client can be given only where it is made, or to all clients made from now on.
    monitoring.register(recorder)
    try:
        yield recorder.commands
    finally:
        monitoring._LISTENERS.command_listeners.remove(recorder)


def names(commands: list[Command]) -> list[str]:
    """Return each command's name: its first key."""
    return [next(iter(command)) for command in commands]
