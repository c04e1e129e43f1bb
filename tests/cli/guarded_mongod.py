"""A MongoDB server with access control, for the tests of privileges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from cli.local_servers import MONGOD_IS_READY, find_mongod, mongod_command
from cli.server_folder import ServerFolder
from config import Settings
from migrations import open_migrator
from tests.cli.command import free_port
from tests.provision import make_settings

PASSWORD = "secret"


@contextmanager
def mongod(folder: Path, *options: str) -> Iterator[str]:
    """Start a mongod with these options; yield its host and port."""
    with ExitStack() as cleanup:
        server = ServerFolder(folder, cleanup)
        server.db.mkdir()
        port = free_port()
        programs, _ = find_mongod()
        command = [*mongod_command(programs, server.db, port), *options]
        server.run(command, f"127.0.0.1:{port}", ready=MONGOD_IS_READY)
        yield f"127.0.0.1:{port}"


class Guarded:
    """A one-node replica set with access control."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.admin = MongoClient[dict[str, Any]](
            f"mongodb://root:{PASSWORD}@{host}/?directConnection=true"
        ).admin

    def seen_by(self, user: str, database: str, options: str = "replicaSet=rs0") -> Settings:
        """Return the settings of a user."""
        url = f"mongodb://{user}:{PASSWORD}@{self.host}/{database}?authSource=admin&{options}"
        return make_settings(db_backend="mongo", database_url=url, mongo_driver="pymongo")

    @contextmanager
    def user(self, name: str, *roles: str | Mapping[str, str]) -> Iterator[str]:
        """Create a user with these roles, and drop it at the end."""
        self.admin.command("createUser", name, pwd=PASSWORD, roles=list(roles))
        try:
            yield name
        finally:
            self.admin.command("dropUser", name)

    @asynccontextmanager
    async def database(self, name: str, *, migrated: bool = True) -> AsyncIterator[Settings]:
        """Create a database, and drop it at the end; yield the settings of `root`."""
        settings = self.seen_by("root", name)
        if migrated:
            await open_migrator(settings).upgrade()
        try:
            yield settings
        finally:
            self.admin.client.drop_database(name)
