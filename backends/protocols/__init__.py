"""What a backend is: the whole contract of its methods, with what `backends.models` says of their values.

A backend is an object that satisfies `Backend`: it holds one repository an entity and is opened in the
event loop that uses it. `tests/contract/` holds what follows against every backend, as far as it shows on
a server that runs; what takes a crash, a lost connection or a time limit is for a backend's own tests.

Rules for all methods
---------------------
*Ids* are 24 lower-case hex digits (`backends.ids`), made by the repository from the id source that the
backend was opened with. A malformed id is answered exactly like one that no row has.

*Times* come from the clock that the backend was opened with: aware, UTC, whole milliseconds. They are
returned exactly as they were stored.

*Text* is any Unicode but NUL and lone surrogates (the forms in `backends.models` refuse these), stored
and returned code point by code point: no normalisation, no trimming, no change of case.

*Order* is total: by the field that `sort` names, ascending or with `-` descending, and among equal values
by `id` in the same direction. Without `sort` lists are newest first. Text sorts by code point, `id` by
its bytes.

*Versions*: a row has version 1 when it is added, and every change that sets a field adds 1 in the same
step. Where a method takes `versions`, it does nothing unless the row's version is one of these at the
moment of the write, also where it would change nothing; None means whatever it is. Of any number of
concurrent changes that name one version, exactly one is done.

*Atomicity*: a method happens whole or not at all, also when the process or the connection dies in the
middle. When it has returned, the change is durable and every later read sees it. What a server can't do
atomically raises `NotSupported`.

*Uniqueness and references* are decided by the database in the moment of the write, never by a read
before it; any number of concurrent calls, in any number of processes, can't break them.

*Errors* are those of `backends.errors`, with `entity`, `id` and `field` as the methods name them. Every
method may also raise `Unavailable` (connection lost, no connection free in time, time limit) and
`BackendError` (an unknown failure); both chain the driver's error. A failed method leaves no trace: no
half-written row, no connection kept. Of several reasons the first of these is told: `NotSupported`,
`NotFound`, `NotOwner`, `VersionMismatch`, and then what the rows themselves refuse (`AlreadyExists`,
`AccountNotEmpty`); the methods that move money say their own order.

*Concurrency*: all methods may be called concurrently from the one event loop. A row of changes gives the
loop its turns in between, so that it keeps nobody else from his.
"""

from backends.protocols.accounts import AccountRepository
from backends.protocols.backend import Backend, ServerInfo
from backends.protocols.counters import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL, Count, CounterRepository
from backends.protocols.items import ItemRepository
from backends.protocols.limits import MAX_ADDED, MAX_LIMIT
from backends.protocols.users import UserRepository

__all__ = [
    "CLOCK_TOLERANCE",
    "COUNTER_SWEEP_INTERVAL",
    "MAX_ADDED",
    "MAX_LIMIT",
    "AccountRepository",
    "Backend",
    "Count",
    "CounterRepository",
    "ItemRepository",
    "ServerInfo",
    "UserRepository",
]
