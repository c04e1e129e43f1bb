"""Record the statements and commands that a backend sends, through the drivers' events."""

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
"""A statement's text and parameters as the driver receives them."""

Command = dict[str, Any]


def connections_of(backend: Backend) -> Connections:
    """Return the connections of an SQL backend."""
    return cast("SqlBackend", backend)._connections


@asynccontextmanager
async def statements(backend: Backend) -> AsyncIterator[list[Statement]]:
    """Collect the statements that the backend sends, in order."""
    found: list[Statement] = []
    connections = connections_of(backend)
    if isinstance(connections, SqliteConnections):

        def note(sql: str) -> None:
            # SQLite reports a deletion again for the cascade. Parameters are filled in.
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
            await asyncio.sleep(0)  # asyncpg reports a statement with a delay.


class _Recorder(monitoring.CommandListener):
    """Collect commands and ignore replies."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Store a copy of the command."""
        self.commands.append(dict(cast("Mapping[str, Any]", event.command)))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@asynccontextmanager
async def recorded(
    provision: Provision, settings: Settings | None = None
) -> AsyncIterator[tuple[Backend, list[Command]]]:
    """Open a MongoDB backend. Yield it with the list that collects its commands."""
    with commands_of_clients() as commands:
        backend = await provision.open(settings)
    commands.clear()
    try:
        yield backend, commands
    finally:
        await backend.close()


@contextmanager
def commands_of_clients() -> Iterator[list[Command]]:
    """Collect the commands of all clients that are created in the block."""
    recorder = _Recorder()
    # Listeners are set when a client is created, or globally for all clients created later.
    monitoring.register(recorder)
    try:
        yield recorder.commands
    finally:
        monitoring._LISTENERS.command_listeners.remove(recorder)


def names(commands: list[Command]) -> list[str]:
    """Return the name of each command, which is its first key."""
    return [next(iter(command)) for command in commands]
