"""The seam between the repositories and the two asyncio drivers, Motor and PyMongo's own.

The two have nearly the same methods. What the repositories use of them is written down here once, as
protocols; where they differ (how a session and a transaction begin, whether `close` is awaited) there is
a method of `Driver`. No repository knows which one it has.

Motor reached its end of life on 14 May 2026 (https://www.mongodb.com/docs/drivers/motor/) and stays the
default because a deployment chose it; `MONGO_DRIVER=pymongo` is the successor.
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
