"""The adapter between the repositories and the two asyncio drivers, Motor and PyMongo.

The two drivers have nearly the same methods. The protocols describe the ones that the repositories use.
`Driver` has a method for each difference: how a session and a transaction start, and whether `close` is
awaited. Repositories don't know which driver they use.

Motor reached its end of life on 14 May 2026 (https://www.mongodb.com/docs/drivers/motor/). It stays the
default because a deployment chose it. `MONGO_DRIVER=pymongo` selects its successor.
"""

from backends.mongo.driver.client import APP_NAME, DEFAULT_DATABASE
from backends.mongo.driver.motor import MOTOR_THREADS, MotorDriver
from backends.mongo.driver.open import open_driver
from backends.mongo.driver.protocols import (
    Collection,
    Cursor,
    Database,
    DeleteResult,
    Document,
    Driver,
    Filter,
    Session,
    Sort,
    UpdateResult,
)
from backends.mongo.driver.pymongo import PyMongoDriver

__all__ = [
    "APP_NAME",
    "DEFAULT_DATABASE",
    "MOTOR_THREADS",
    "Collection",
    "Cursor",
    "Database",
    "DeleteResult",
    "Document",
    "Driver",
    "Filter",
    "MotorDriver",
    "PyMongoDriver",
    "Session",
    "Sort",
    "UpdateResult",
    "open_driver",
]
