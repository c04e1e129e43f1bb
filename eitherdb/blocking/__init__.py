"""The repositories without `await`: what `eitherdb.open_blocking` returns.

There is one implementation, the asynchronous one. A thread runs its event loop, and each method here waits
for the one there. `make blocking` writes the repositories from `backends.protocols`.
"""

from eitherdb.blocking.accounts import AccountRepository
from eitherdb.blocking.counters import CounterRepository
from eitherdb.blocking.database import Database
from eitherdb.blocking.event_loop import DatabaseClosed
from eitherdb.blocking.opened import ReadOnlyDatabase
from eitherdb.blocking.resources import ResourceRepository
from eitherdb.blocking.statement import Statement
from eitherdb.blocking.users import UserRepository

__all__ = [
    "AccountRepository",
    "CounterRepository",
    "Database",
    "DatabaseClosed",
    "ReadOnlyDatabase",
    "ResourceRepository",
    "Statement",
    "UserRepository",
]
