"""Scratch databases on a MongoDB server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from pymongo.errors import OperationFailure, PyMongoError

from backends.errors import BackendError
from backends.mongo.driver import open_driver
from backends.mongo.errors import connect_errors, translate_errors
from backends.mongo.schema import COLLECTIONS
from backends.scratch import SCRATCH_PREFIX, Scratch, Transaction

if TYPE_CHECKING:
    from backends.mongo.driver import Collection, Driver, Session
    from config import Settings

_NUMBERS = "numbers"


async def open_scratch(settings: Settings) -> Scratch:
    """See `backends.open_scratch`."""
    url = _named(settings.url, SCRATCH_PREFIX + secrets.token_hex(6))
    scratch_settings = settings.model_copy(update={"database_url": SecretStr(url)})
    with connect_errors():
        driver = open_driver(scratch_settings)
    try:
        with connect_errors():
            # Drop first: without the privilege to drop it, no database is created.
            await driver.database.command("dropDatabase")
            await driver.database[_NUMBERS].insert_one({})
    except BackendError as exc:
        await driver.close()
        raise BackendError(
            f"no scratch database can be made on the server: {exc}; "
            "a user is needed that has the roles readWriteAnyDatabase and dbAdminAnyDatabase"
        ) from exc
    return MongoScratch(driver, scratch_settings)


def _named(url: str, name: str) -> str:
    """Return the URL of another database on the same server, for the same user.

    `authSource` defaults to the database in the URL, so the result names it explicitly
    (https://www.mongodb.com/docs/manual/reference/connection-string-options/).
    """
    parts = urlsplit(url)
    query = parts.query
    if "@" in parts.netloc and parts.path.strip("/") and "authsource=" not in query.lower():
        query = "&".join([*filter(None, [query]), f"authSource={parts.path.strip('/')}"])
    return urlunsplit(parts._replace(path=f"/{name}", query=query))


class MongoScratch:
    """`backends.scratch.Scratch` on a connected driver."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        """Take ownership of the driver."""
        self._driver = driver
        self.settings = settings

    async def clean(self) -> None:
        """See `Scratch`."""
        with translate_errors():
            database = self._driver.database
            await asyncio.gather(*(database[spec.name].delete_many({}) for spec in COLLECTIONS))

    async def durability_faults(self) -> list[str]:
        """See `Scratch`. Every write waits for the journal; only an in-memory engine loses it."""
        try:
            status = await self._driver.admin.command("serverStatus")
        except OperationFailure:
            return []  # the command needs another role
        engine = status.get("storageEngine", {})
        return (
            []
            if engine.get("persistent", True)
            else [f"the storage engine {engine['name']} keeps no files"]
        )

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """See `Scratch`."""
        with translate_errors():
            collection = self._driver.database[_NUMBERS]
            await collection.delete_many({})
            await collection.insert_many(
                [{"_id": key, "number": number} for key, number in numbers.items()]
            )

    async def begin(self) -> Transaction:
        """See `Scratch`."""
        return _MongoTransaction(await self._driver.begin(), self._driver.database[_NUMBERS])

    async def drop(self) -> None:
        """See `Scratch`."""
        try:
            with translate_errors():
                await self._driver.database.command("dropDatabase")
        finally:
            await self._driver.close()


class _MongoTransaction:
    def __init__(self, session: Session, numbers: Collection) -> None:
        self._session = session
        self._numbers = numbers

    async def read(self, key: int) -> int:
        found = await self._numbers.find_one({"_id": key}, session=self._session)
        return int((found or {})["number"])

    async def read_all(self) -> dict[int, int]:
        found = self._numbers.find({"number": {"$gt": 0}}, session=self._session)
        return {document["_id"]: document["number"] for document in await found.to_list(100)}

    async def write(self, key: int, number: int) -> None:
        await self._numbers.update_one({"_id": key}, {"$set": {"number": number}}, session=self._session)

    async def add(self, key: int, number: int) -> None:
        await self._numbers.insert_one({"_id": key, "number": number}, session=self._session)

    async def commit(self) -> None:
        await self._session.commit_transaction()
        await self._session.end_session()

    async def roll_back(self) -> None:
        with suppress(PyMongoError):  # an error or a failed commit has ended the transaction
            await self._session.abort_transaction()
        await self._session.end_session()
