"""Opens the driver that the settings select."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pymongo.errors import ConfigurationError

from backends.concurrency import FifoSemaphore
from backends.mongo.driver.motor import MotorDriver
from backends.mongo.driver.protocols import Driver
from backends.mongo.driver.pymongo import PyMongoDriver
from backends.mongo.url import mongo_options

if TYPE_CHECKING:
    from config import MongoDriver, Settings

_DRIVERS: dict[MongoDriver, type[MotorDriver | PyMongoDriver]] = {
    "motor": MotorDriver,
    "pymongo": PyMongoDriver,
}


def open_driver(settings: Settings, *, command_timeout: bool = True) -> Driver:
    """Create the client that the settings select, in the running event loop.

    Args:
        settings: URL, driver, pool size and timeouts.
        command_timeout: Whether `db_command_timeout_seconds` applies; migrations have no timeout.

    Raises:
        BackendError: An option of the URL is rejected.
        pymongo.errors.PyMongoError: The URL is invalid.
    """
    options = mongo_options(settings, command_timeout=command_timeout)
    semaphore = FifoSemaphore(settings.db_pool_size, wait_timeout_seconds=settings.db_pool_timeout_seconds)
    # Less than the socket timeout: the driver retries a read after a socket timeout, not after this one.
    max_time_ms = int(settings.db_command_timeout_seconds * 900) if command_timeout else None
    with warnings.catch_warnings():
        # The driver only warns about options that it ignores; here they are errors.
        warnings.filterwarnings("error", category=UserWarning, module="pymongo")
        try:
            return _DRIVERS[settings.mongo_driver](
                options.url, options.arguments, semaphore=semaphore, max_time_ms=max_time_ms
            )
        except UserWarning as exc:
            raise ConfigurationError(str(exc)) from exc
