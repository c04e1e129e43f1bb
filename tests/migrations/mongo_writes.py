"""A MongoDB database that calls a function before each write of the migrator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from backends.mongo.driver import Database, Driver, open_driver
from backends.mongo.schema import MIGRATIONS_LOCK
from migrations.mongo import migrator

WRITES = {"create_index", "drop_index", "update_one", "update_many", "bulk_write", "delete_one"}

Hook = Callable[[str], Awaitable[None]]
"""Takes the name of the command."""


class StoppedError(Exception):
    """The process stopped before a write."""


class _Collection:
    def __init__(self, collection: Any, hook: Hook) -> None:
        self._collection, self._hook = collection, hook

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)
        if name not in WRITES:
            return method

        async def write(*arguments: Any, **options: Any) -> Any:
            await self._hook(name)
            return await method(*arguments, **options)

        return write


class _Database:
    def __init__(self, database: Any, hook: Hook) -> None:
        self._database, self._hook = database, hook

    def __getitem__(self, name: str) -> Any:
        found = self._database[name]
        return found if name == MIGRATIONS_LOCK else _Collection(found, self._hook)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def command(self, command: Any) -> Any:
        if "collMod" in command:
            await self._hook("collMod")
        return await self._database.command(command)

    async def create_collection(self, name: str, **options: Any) -> Any:
        await self._hook("create_collection")
        return await self._database.create_collection(name, **options)

    async def drop_collection(self, name: str) -> Any:
        await self._hook("drop_collection")
        return await self._database.drop_collection(name)


@contextmanager
def before_writes(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call the function before each write of a migrator, other than those of the lock."""

    def opened(*arguments: Any, **options: Any) -> Driver:
        driver = open_driver(*arguments, **options)
        driver.database = cast("Database", _Database(driver.database, hook))
        return driver

    with monkeypatch.context() as patch:
        patch.setattr(migrator, "open_driver", opened)
        yield


def stop_before(number: int) -> Hook:
    """Return a function that stops before the write with this number."""
    count = 0

    async def stop(_: str) -> None:
        nonlocal count
        if count == number:
            raise StoppedError
        count += 1

    return stop
