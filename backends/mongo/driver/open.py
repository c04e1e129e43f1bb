"""Open the driver that the settings name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pymongo import ReadPreference
from pymongo.errors import ConfigurationError

from backends.concurrency import FifoSemaphore
from backends.mongo.driver.client import APP_NAME
from backends.mongo.driver.motor import MotorDriver
from backends.mongo.driver.protocols import Driver
from backends.mongo.driver.pymongo import PyMongoDriver

if TYPE_CHECKING:
    from config import MongoDriver, Settings

_DRIVERS: dict[MongoDriver, type[MotorDriver | PyMongoDriver]] = {
    "motor": MotorDriver,
    "pymongo": PyMongoDriver,
}


def open_driver(settings: Settings, *, command_timeout: bool = True) -> Driver:
    """Make the client that the settings name, in the running event loop.

    What the contract depends on is set here and wins over the URL: writes are acknowledged by a majority
    and journalled; reads come from the primary and see only what a majority has, so that nothing read is
    ever rolled back by an election.

    Args:
        settings: URL, driver, pool size and time limits.
        command_timeout: Whether `db_command_timeout_seconds` applies; migrations take as long as they take.

    Raises:
        pymongo.errors.PyMongoError: The URL can't be parsed, or has an option that the driver ignores.
    """
    options: dict[str, Any] = {
        "appname": APP_NAME,
        "maxPoolSize": settings.db_pool_size,
        "waitQueueTimeoutMS": int(settings.db_pool_timeout_seconds * 1000),
        "serverSelectionTimeoutMS": int(settings.db_connect_timeout_seconds * 1000),
        "connectTimeoutMS": int(settings.db_connect_timeout_seconds * 1000),
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "read_preference": ReadPreference.PRIMARY,
        "retryWrites": True,
        "tz_aware": False,
    }
    semaphore = FifoSemaphore(settings.db_pool_size, wait_timeout_seconds=settings.db_pool_timeout_seconds)
    max_time_ms = None
    if command_timeout:
        # Not timeoutMS: with that, the driver goes on retrying against a dead server until it is over.
        options["socketTimeoutMS"] = int(settings.db_command_timeout_seconds * 1000)
        # A little less: a read that the server ends has failed, one that the socket ends is tried again.
        max_time_ms = int(settings.db_command_timeout_seconds * 900)
    with warnings.catch_warnings():
        # The driver only warns of an option that it does not know; here that is a mistake to mend.
        warnings.filterwarnings("error", category=UserWarning, module="pymongo")
        try:
            return _DRIVERS[settings.mongo_driver](
                settings.url, options, semaphore=semaphore, max_time_ms=max_time_ms
            )
        except UserWarning as exc:
            raise ConfigurationError(str(exc)) from exc
