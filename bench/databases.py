"""The databases of the benchmarks: real servers, migrated and filled, removed at the end."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import DECLARED
from bench.data import Data, fill
from cli.local_servers import start_mongo, start_postgres
from cli.revisions import read_declared
from migrations import open_migrator
from tests.provision import make_folder, make_settings

TABLES = ("users", "items", "products", "accounts")
TITLES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mongo": "MongoDB"}


@dataclass(frozen=True)
class Database:
    """A running database.

    Attributes:
        name: As in DB_BACKEND.
        pid: The server's; None where there is none.
        data: What was filled in.
    """

    name: str
    url: str
    pid: int | None
    data: Data


@contextmanager
def running(name: str, data: Data, *, tables: Collection[str] = TABLES) -> Iterator[Database]:
    """Start a server on the core of this thread, migrate its database and fill these tables."""
    folder = make_folder("edb-")
    try:
        with _server(name, folder) as (url, pid):
            began = time.perf_counter()
            settings = make_settings(db_backend=name, database_url=url, resources=str(DECLARED))
            asyncio.run(open_migrator(settings, read_declared(settings)).upgrade())
            fill(name, url, {each: rows for each, rows in data.tables().items() if each in tables})
            print(f"{TITLES[name]}: {len(data.items):,} items in {time.perf_counter() - began:.0f} s")
            yield Database(name, url, pid, data)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _server(name: str, folder: Path) -> Iterator[tuple[str, int | None]]:
    """Return its URL and process id."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/bench.db", None
        return
    start = start_postgres if name == "postgres" else start_mongo
    with start(folder / "data") as server:
        base, question_mark, options = server.url.partition("?")
        # The URL of MongoDB names no database; that of PostgreSQL does.
        yield (server.url if name == "postgres" else f"{base}bench{question_mark}{options}"), server.pid
