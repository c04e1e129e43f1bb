"""PostgreSQL failover behind one address: EitherDB writes to the new primary without a restart."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import cast
from urllib.parse import quote

import asyncpg
import pytest
from sqlalchemy import bindparam, make_url, select, update

from backends import open_backend
from backends.errors import Unavailable
from backends.ids import new_id
from backends.models import Idempotency, ItemChanges, NewAccount, NewEntry, NewItem, NewUser
from backends.protocols import Backend
from backends.sql.connections import Steps
from backends.sql.postgres import PostgresConnections
from backends.sql.schema import ITEMS
from cli.local_servers import LocalServer, start_postgres
from config import Settings
from migrations import open_migrator
from tests.backends.methods import add_rows
from tests.backends.raw import opened
from tests.backends.record import connections_of
from tests.cli.command import call_async, free_port
from tests.proof.processes import short_folder
from tests.provision import Provision, make_settings
from tests.tcp_proxy import tcp_proxy

SESSIONS = 4
READ_ONLY = "default_transaction_read_only"


class Pair:
    """Two servers: `first` is the primary, `second` its standby until it is promoted."""

    def __init__(self, first: LocalServer, second: LocalServer) -> None:
        self.first, self.second = first, second

    async def promote(self) -> None:
        """Promote the standby to primary."""
        await run(self.second, "SELECT pg_promote()")

    async def set_read_only(self, server: LocalServer, value: str) -> None:
        """Set a server's sessions to read-only or back; return when they have applied it."""
        await run(server, f"ALTER SYSTEM SET {READ_ONLY} = {value}")
        await run(server, "SELECT pg_reload_conf()")
        async with asyncio.timeout(30):
            while await run(server, f"SHOW {READ_ONLY}") != value:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def folders() -> Iterator[tuple[Path, Path]]:
    """Create a folder for each server."""
    with short_folder() as first, short_folder() as second:
        yield first, second


@pytest.fixture(scope="module")
async def pair(folders: tuple[Path, Path]) -> AsyncIterator[Pair]:
    """Start a migrated primary and a standby. The last test of this file promotes the standby."""
    with ExitStack() as servers:
        first = servers.enter_context(await asyncio.to_thread(start_postgres, folders[0], durable=False))
        await open_migrator(settings_of(first.url)).upgrade()
        await asyncio.to_thread(copy_cluster, first, folders[1])
        second = servers.enter_context(await asyncio.to_thread(start_postgres, folders[1], durable=False))
        yield Pair(first, second)


def copy_cluster(primary: LocalServer, folder: Path) -> None:
    """Create a standby's data folder, with the primary's binaries."""
    programs = Path(f"/proc/{primary.pid}/exe").resolve().parent
    url = make_url(primary.url)
    subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [
            programs / "pg_basebackup",
            *("--host", str(url.query["host"]), "--port", str(url.query["port"]), "--username", "postgres"),
            *("--pgdata", folder / "db", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (folder / "db" / ".s.PGSQL.5432.lock").unlink()  # The primary's file, which sets the socket folder.


def settings_of(url: str) -> Settings:
    """Return settings for a server with a small pool."""
    return make_settings(
        db_backend="postgres", database_url=url, db_pool_size=SESSIONS, db_command_timeout_seconds=10
    )


async def run(server: LocalServer, statement: str) -> object:
    """Run a statement on a server directly."""
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def fill_pool(backend: Backend) -> None:
    """Open all connections of the pool."""
    connections = connections_of(backend)
    sleeping = "SELECT pg_sleep(0.3)"
    await asyncio.gather(*(connections._fetch(sleeping, []) for _ in range(SESSIONS)))


async def folders_of_sessions(backend: Backend) -> set[object]:
    """Return the data folders of the servers that the pool is connected to."""
    connections = connections_of(backend)
    asked = "SELECT current_setting('data_directory') FROM pg_sleep(0.3)"
    found = await asyncio.gather(*(connections._fetch(asked, []) for _ in range(SESSIONS)))
    return {value for rows in found for (value,) in rows}


async def retry_until_done(write: Callable[[], Awaitable[object]]) -> int:
    """Retry a write until it succeeds; return the number of refusals."""
    async with asyncio.timeout(30):
        for refused in count():
            try:
                await write()
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return refused
    raise AssertionError


@pytest.mark.parametrize("command", ["check", "serve"])
async def test_standby_is_refused_at_start(command: str, pair: Pair, tmp_path: Path) -> None:
    """A service whose database is read-only refuses to start, because it could answer no login."""
    port = ["--port", str(free_port())] if command == "serve" else []
    refused = await call_async(tmp_path, command, *port, settings=settings_of(pair.second.url))
    assert refused.exit_code == 2
    reason = "the server is a standby, which can't be written (it is in recovery); the primary is needed"
    assert reason in refused.out + refused.err


async def test_address_that_led_to_a_standby_leads_to_a_primary(pair: Pair) -> None:
    """Without a primary writes fail fast and reads work; after the promotion writes recover."""
    async with (
        tcp_proxy(pair.second.url) as address,
        opened(open_backend(settings_of(pair.first.url))) as first,
        opened(open_backend(settings_of(address.url))) as backend,
    ):
        rows = await add_rows(first)
        await wait_for_standby(pair)
        await fill_pool(backend)
        for _ in range(SESSIONS):
            with pytest.raises(Unavailable, match="25006"):
                await backend.items.add(NewItem(title="new"), owner_id=rows.owner.id)
            assert await backend.items.get(rows.item.id) == rows.item
        address.retarget(pair.first.url)
        await retry_until_done(lambda: backend.items.add(NewItem(title="new"), owner_id=rows.owner.id))


async def test_server_that_only_reads_for_a_while_costs_no_new_session_a_call(pair: Pair) -> None:
    """Sessions that turn read-only for a while are usable afterwards, and few are replaced meanwhile."""
    async with opened(open_backend(settings_of(pair.first.url))) as backend:
        rows = await add_rows(backend)
        await fill_pool(backend)
        await pair.set_read_only(pair.first, "on")
        for _ in range(2):
            with pytest.raises(Unavailable, match="25006"):
                await backend.items.update(rows.item.id, ItemChanges(title="changed"))
        pool = cast("PostgresConnections", connections_of(backend))._pool
        generation = pool._generation
        for _ in range(50):
            with pytest.raises(Unavailable, match="25006"):
                await backend.items.update(rows.item.id, ItemChanges(title="changed"))
            assert await backend.items.get(rows.item.id) == rows.item
        assert pool._generation <= generation + 2
        await pair.set_read_only(pair.first, "off")
        assert (
            await retry_until_done(lambda: backend.items.update(rows.item.id, ItemChanges(title="x"))) <= 1
        )


async def test_sessions_that_time_out_are_replaced(pair: Pair) -> None:
    """The server's session timeouts, within and between transactions, fail no call."""
    limits = "-c idle_session_timeout=50 -c idle_in_transaction_session_timeout=50"
    settings = settings_of(f"{pair.first.url}&options={quote(limits)}")
    async with opened(open_backend(settings)) as backend:
        rows = await add_rows(backend)
        connections = connections_of(backend)
        tries = 0

        def steps() -> Steps[None]:
            nonlocal tries
            tries += 1
            yield select(ITEMS.c.id).where(ITEMS.c.id == bindparam("of_id")), {"of_id": rows.item.id}
            if tries == 1:
                time.sleep(0.2)  # The server ends the session; the client hasn't noticed it yet.
            yield (
                update(ITEMS).where(ITEMS.c.id == bindparam("of_id")).values(title="done"),
                {"of_id": rows.item.id},
            )

        await connections.transact(steps)
        assert tries == 2
        for title in ("a", "b", "c"):
            await fill_pool(backend)
            time.sleep(0.2)  # noqa: ASYNC251 - so that the event loop does not see the end either
            await asyncio.gather(
                *(backend.items.update(rows.item.id, ItemChanges(title=title)) for _ in range(SESSIONS))
            )


async def test_writes_move_to_the_promoted_server(pair: Pair) -> None:
    """Sessions from before the failover can only read: every kind of write recovers."""
    async with (
        tcp_proxy(pair.first.url) as address,
        opened(open_backend(settings_of(address.url))) as backend,
    ):
        rows = await add_rows(backend)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: backend.items.update(rows.item.id, ItemChanges(title="changed")),
            lambda: backend.accounts.deposit(
                rows.full.id, NewEntry(amount_minor=1), ordered_by=rows.other.id, idempotency=key()
            ),
            lambda: backend.accounts.add(
                NewAccount(name="new", currency="EUR"), owner_id=rows.owner.id, idempotency=key()
            ),
            lambda: backend.counters.add(new_id(), 1, lasts_seconds=60),
            lambda: backend.users.add(NewUser(email=f"{new_id()}@example.com", hashed_password="x")),
            lambda: backend.users.delete(rows.owner.id),
        ]
        await wait_for_standby(pair)
        await pair.promote()
        now, before = pair.second, pair.first
        refused = []
        for write in writes:
            await fill_pool(backend)
            address.retarget(now.url)
            await pair.set_read_only(before, "on")
            refused.append(await retry_until_done(write))
            assert await folders_of_sessions(backend) == {await run(now, "SHOW data_directory")}
            await pair.set_read_only(before, "off")
            now, before = before, now
        assert refused[0] == 0, "the first write was not tried on a new connection"


async def test_machine_that_is_gone_is_given_up_before_the_limit_for_a_statement(
    postgres: Provision,
) -> None:
    """It acknowledges nothing, where one whose server takes long does; the system tells them apart."""
    async with tcp_proxy(postgres.settings.url) as address:
        settings = settings_of(address.url).model_copy(update={"db_connect_timeout_seconds": 3})
        async with opened(open_backend(settings)) as backend:
            (session,) = cast("PostgresConnections", connections_of(backend))._pool.idle
            peer = session._transport.get_extra_info("socket")  # type: ignore[attr-defined]
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000


def key() -> Idempotency:
    """Return a new idempotency key."""
    return Idempotency(new_id(), "0" * 64)


async def wait_for_standby(pair: Pair) -> None:
    """Return when the standby has replayed all changes of the primary."""
    written = await run(pair.first, "SELECT pg_current_wal_insert_lsn()::text")
    async with asyncio.timeout(30):
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        while not await run(pair.second, replayed):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.02)
