"""A MongoDB replica set of three nodes with short election timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from backends.cancellation import run_to_completion
from cli.local_servers import MONGOD_IS_READY, find_mongod, mongod_command
from cli.server_folder import ServerFolder, wait_until
from config import MongoDriver, Settings
from tests.cli.command import free_port
from tests.proof.processes import OwnDatabase, kill_all, short_folder
from tests.provision import make_settings

NODES = 3
# MongoDB's defaults: an election after ten seconds without a heartbeat, a heartbeat every two seconds.
SHORT_TIMEOUTS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}


class Node:
    """One mongod on a fixed port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleanup = ExitStack()
        self._pid = 0
        self._port = free_port()
        self.host = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; it need not be a member of the replica set yet."""
        programs, _ = find_mongod()
        folder = ServerFolder(self._folder, self._cleanup)
        folder.db.mkdir(exist_ok=True)
        command = [*mongod_command(programs, folder.db, self._port), "--replSet", "rs0"]
        self._pid = folder.run(command, self.host, ready=MONGOD_IS_READY)

    def kill(self) -> None:
        """Kill it with SIGKILL if it runs; a clean shutdown would step down first."""
        if self._pid:
            kill_all(self._pid)
        self._pid = 0
        self._cleanup.close()


class ReplicaSet(OwnDatabase):
    """Three nodes. `kill` kills the primary, `start` restarts the killed node."""

    def __init__(self, folder: Path, driver: MongoDriver) -> None:
        self._nodes = [Node(folder / f"node{number}") for number in range(NODES)]
        self._killed = self._nodes
        hosts = ",".join(node.host for node in self._nodes)
        self._url = f"mongodb://{hosts}/proof?replicaSet=rs0"
        self.settings: Settings = make_settings(
            db_backend="mongo", database_url=self._url, mongo_driver=driver
        )
        self.primaries: list[str] = []
        """All primaries so far, in their order."""

    async def start(self) -> None:
        """See `OwnDatabase`."""
        await run_to_completion(asyncio.to_thread(self._start))

    def _start(self) -> None:
        for node in self._killed:
            node.start()
        self._killed = []
        if not self.primaries:
            self._initiate()
        self.primaries.append(self._await_primary())

    async def kill(self) -> None:
        """See `OwnDatabase`. When it returns, another node is primary."""
        await run_to_completion(asyncio.to_thread(self._kill))

    def _kill(self) -> None:
        (primary,) = (node for node in self._nodes if node.host == self.primaries[-1])
        self._killed = [primary]
        primary.kill()
        self.primaries.append(self._await_primary())

    def end(self) -> None:
        """See `OwnDatabase`."""
        for node in self._nodes:
            node.kill()

    def _initiate(self) -> None:
        members = [{"_id": number, "host": node.host} for number, node in enumerate(self._nodes)]
        config = {"_id": "rs0", "members": members, "settings": SHORT_TIMEOUTS}
        with MongoClient[dict[str, Any]](self._nodes[0].host, directConnection=True) as client:
            client.admin.command("replSetInitiate", config)

    def _await_primary(self) -> str:
        """Return the elected primary once all running nodes agree on it."""
        running = [node for node in self._nodes if node not in self._killed]
        known: set[str | None] = set()

        def agree() -> bool:
            known.clear()
            known.update(_primary_of(node.host) for node in running)
            return len(known) == 1 and not known & {None, *(node.host for node in self._killed)}

        assert wait_until(agree, seconds=60), f"no primary; the nodes name {known}"
        (primary,) = known
        assert primary is not None
        return primary


def _primary_of(host: str) -> str | None:
    """Return the primary that this node reports; None while the node itself can't be elected."""
    with MongoClient[dict[str, Any]](host, directConnection=True) as client:
        hello = client.admin.command("hello")
    is_ready = hello["isWritablePrimary"] or hello["secondary"]  # not in its initial sync
    return hello.get("primary") if is_ready else None


@asynccontextmanager
async def replica_set(driver: MongoDriver) -> AsyncIterator[ReplicaSet]:
    """Run a replica set for one test."""
    with short_folder() as folder:
        nodes = ReplicaSet(folder, driver)
        try:
            await nodes.start()
            yield nodes
        finally:
            nodes.end()
