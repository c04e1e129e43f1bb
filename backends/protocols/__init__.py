"""The public contract of a backend. `backends.models` defines the values that its methods take and return.

A backend is an object that satisfies `Backend`. It has one repository per entity. It is opened in the
event loop that uses it. `tests/contract/` tests this contract on every backend, as far as a running server
can show it. A backend's own tests cover crashes, lost connections and timeouts.

Rules for all methods
---------------------
*Ids* are 24 lower-case hex digits (`backends.ids`). The repository takes them from the id source that the
backend was opened with. A malformed id is treated exactly like an unknown id.

*Times* come from the clock that the backend was opened with. They are aware, in UTC and in whole
milliseconds. They are returned exactly as they were stored.

*Text* is any Unicode except NUL and lone surrogates, which the input models in `backends.models` reject.
It is stored and returned code point by code point: no normalisation, no trimming, no change of case.

*Order* is total. The sort key is the field that `sort` names, ascending, or descending with `-`. Rows with
equal sort keys are ordered by `id` in the same direction. Without `sort`, lists are newest first. Text
sorts by code point, `id` by its bytes.

*Versions*: a new row has version 1. Every change that sets a field adds 1 in the same step. A method that
takes `versions` checks the row's version at the moment of the write, even if it would change nothing. It
does nothing unless the version is one of `versions`. None accepts every version. Of any number of
concurrent changes that expect one version, exactly one succeeds.

*Atomicity*: a method takes effect completely or not at all, even if the process or the connection dies in
the middle. Once it has returned, the change is durable and every later read sees it. A method that the
server can't run atomically raises `NotSupported`.

*Uniqueness and references* are enforced by the database at the moment of the write, never by a read
before it. No number of concurrent calls, in any number of processes, can break them.

*Errors* are those of `backends.errors`, with `entity`, `id` and `field` as the methods document them.
Every method may also raise `Unavailable` (connection lost, no free connection in time, timeout) and
`BackendError` (an unknown failure). Both chain the driver's error. A failed method leaves no half-written
row and keeps no connection. If several errors apply, the first of this order is raised: `NotSupported`,
`NotFound`, `NotOwner`, `VersionMismatch`, then the errors of constraints (`AlreadyExists`,
`AccountNotEmpty`). The methods that move money document their own order.

*Concurrency*: all methods may be called concurrently from the one event loop. A sequence of changes yields
to the event loop in between, so that other tasks are not blocked.
"""

from backends.protocols.accounts import AccountRepository
from backends.protocols.backend import Backend, ServerInfo
from backends.protocols.counters import CLOCK_TOLERANCE, COUNTER_SWEEP_INTERVAL, Count, CounterRepository
from backends.protocols.items import ItemRepository
from backends.protocols.limits import MAX_ADDED, MAX_LIMIT
from backends.protocols.resources import ResourceRepository
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
    "ResourceRepository",
    "ServerInfo",
    "UserRepository",
]
