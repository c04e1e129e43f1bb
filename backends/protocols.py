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

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from backends.capabilities import Capability
from backends.models import (
    Account,
    AccountFilter,
    AccountSort,
    Idempotency,
    Item,
    ItemChanges,
    ItemFilter,
    ItemSort,
    NewAccount,
    NewEntry,
    NewItem,
    NewTransfer,
    NewUser,
    Page,
    Position,
    Statement,
    Transfer,
    TransferFilter,
    TransferSort,
    User,
    UserChanges,
    UserFilter,
    UserSort,
)

MAX_LIMIT = 1000
"""The most rows that a list method is asked for at once."""

MAX_ADDED = 1000
"""The most rows that one call adds."""

COUNTER_SWEEP_INTERVAL = timedelta(minutes=10)
"""How often `CounterRepository.add` removes the counters that have ended, by the backend's clock."""


class UserRepository(Protocol):
    """Users, unique by e-mail address."""

    async def add(self, new: NewUser) -> User:
        """Store a user under a fresh id and the present time.

        Raises:
            AlreadyExists: entity "user", field "email": the address is taken. Of any number of
                concurrent calls with one address, exactly one succeeds. Field "id": the id source
                gave an id that is in use.
        """
        ...

    async def get(self, id: str) -> User:
        """Return the user with this id.

        Raises:
            NotFound: entity "user".
        """
        ...

    async def find_by_email(self, email: str) -> User | None:
        """Return the user with this address, in any spelling that normalises to it.

        None if no user has it, and also if the text is no e-mail address at all.
        """
        ...

    async def list(
        self,
        *,
        where: UserFilter = UserFilter(),  # noqa: B008 - frozen
        sort: UserSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[User]:
        """Return a page of the users that fit `where`.

        Args:
            where: Which users the list holds; without fields, all.
            sort: Its order.
            skip: How many rows to pass over, 0 or more, counted from the start of the list or from
                `after`. More than there are gives an empty page.
            limit: The most rows to return, 0 to `MAX_LIMIT`. 0 gives an empty page with its count
                and no `next`.
            after: Begin just behind this position, whether or not its row still exists; its key is of
                the field that `sort` names. None begins with the first.
            count: Whether to count the whole list (without regard to `skip`, `limit` and `after`).

        Returns:
            `next` is the position of the page's last row if at least one more row follows it.
        """
        ...

    async def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """Apply the fields that are set in `changes`, in one atomic step; return the result.

        `end_sessions` adds 1 to `session_version` in the same step. Without it and with no field set,
        nothing changes and the user is returned.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": its version is none of `versions`; nothing was changed.
            AlreadyExists: entity "user", field "email": another user has the address; nothing was
                changed. A user's own address, given again, is no conflict.
        """
        ...

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """Delete the user, all its items and its accounts, which must be empty, in one atomic step.

        When it has returned, no item or account of the user exists and none can come into being,
        whatever `ItemRepository.add` or `AccountRepository.add` was doing meanwhile.

        Raises:
            NotFound: entity "user".
            VersionMismatch: entity "user": its version is none of `versions`; it is still there.
            AccountNotEmpty: entity "user": there is money in one of its accounts; all is still there.
            NotSupported: operation "users.delete", capability TRANSACTIONS.
            Conflict: Concurrent changes of the same rows collided in every try.
        """
        ...


class ItemRepository(Protocol):
    """Items, each owned by one user.

    Where a method takes `owner_id`, None means whoever owns it; an id limits the method to the items
    of that user.
    """

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """Store an item of this owner under a fresh id and the present time.

        Raises:
            NotFound: entity "user", id `owner_id`: there is no such user. An owner who is deleted at
                the same time either takes the new item along or makes this call raise; no
                interleaving leaves an item without an owner.
            AlreadyExists: entity "item", field "id": the id source gave an id that is in use.
        """
        ...

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """Store items of this owner, all or none, at the present time.

        Args:
            new: 1 to `MAX_ADDED` of them.
            owner_id: As in `add`.

        Returns:
            The items in the order of `new`; their fresh ids ascend in it.

        Raises:
            NotFound: As in `add`: whoever deletes the owner finds all of the items or none.
            AlreadyExists: As in `add`, also where the id source gave one id twice.
            NotSupported: operation "items.add_many", capability TRANSACTIONS; before all others.
            Conflict: Concurrent changes of the same rows collided in every try.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """Return the item with this id.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`.
        """
        ...

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: ItemFilter = ItemFilter(),  # noqa: B008 - frozen
        sort: ItemSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """Return a page of the items; the other arguments and the result are as in `UserRepository.list`.

        An owner who does not exist has no items.
        """
        ...

    async def update(
        self,
        id: str,
        changes: ItemChanges,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """Apply the fields that are set in `changes`, in one atomic step; return the result.

        No field set: nothing changes and the item is returned. Owner and version are checked in the
        same step.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`; nothing was changed.
            VersionMismatch: entity "item": its version is none of `versions`; nothing was changed.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete the item. Owner and version are checked in the same step.

        Of any number of concurrent calls for one item exactly one returns; the others raise NotFound.

        Raises:
            NotFound: entity "item".
            NotOwner: entity "item": it belongs to another user than `owner_id`; it is still there.
            VersionMismatch: entity "item": its version is none of `versions`; it is still there.
        """
        ...


class AccountRepository(Protocol):
    """Accounts and the ledger of what moved between them.

    The sum of all balances equals what was deposited less what was withdrawn, at every moment: an entry
    and its accounts change in one atomic step, in any number of processes. Where a method takes
    `owner_id`, None means whoever owns the account; an id limits the method to accounts of that user.

    *Idempotency*: where a method takes `idempotency`, the first call of a user with this key is carried
    out and its outcome kept for good, in the same atomic step; every later one returns that outcome or
    raises that error again and does nothing, whatever has changed. The user is who ordered it
    (`ordered_by`), or the owner of the new account. Of any number of concurrent calls one is carried out.
    A key that was used with another fingerprint raises IdempotencyKeyReused. Only outcomes are kept: not
    `Unavailable`, `NotSupported` or `BackendError` itself.

    *Lost connections*: a method that adds to the ledger tries again by itself, and finds out whether the
    try before was carried out. If it raises `Unavailable` nevertheless, a repetition with the same
    idempotency key is safe.
    """

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """Store an account of this owner with a balance of 0; the key is the owner's.

        Raises:
            NotFound: entity "user", id `owner_id`, as in `ItemRepository.add`; is not kept.
            AlreadyExists: entity "account", field "id": the id source gave an id that is in use; is not
                kept.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.add with an idempotency key", capability TRANSACTIONS.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """Return the account with this id.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`.
        """
        ...

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: AccountFilter = AccountFilter(),  # noqa: B008 - frozen
        sort: AccountSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Account]:
        """Return a page of the accounts; the other arguments and the result: see `UserRepository.list`.

        The page is of one moment: where it holds all accounts, their balances add up.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete an account without money; its entries stay in the ledger.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`; it is still there.
            VersionMismatch: entity "account": its version is none of `versions`; it is still there.
            AccountNotEmpty: entity "account"; it is still there.
        """
        ...

    async def transfer(
        self,
        new: NewTransfer,
        *,
        ordered_by: str,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Transfer:
        """Move money from one account to another and write it into the ledger, in one atomic step.

        Args:
            new: The two accounts and the amount.
            ordered_by: The user who wants it, whose the key is.
            owner_id: Who must own the account that the money comes from.
            idempotency: See the class.

        Raises:
            NotFound: entity "account": the first of the two, or else the second, does not exist.
            NotOwner: entity "account": the first belongs to another user than `owner_id`.
            CurrencyMismatch: They have different currencies.
            InsufficientFunds: The first has less than the amount.
            BalanceOverflow: The second can't hold as much more.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.transfer", capability TRANSACTIONS; before all others.

            After any of them nothing has changed. If there are several reasons, this is their order: a key
            that was used, the first account, its owner, the second account, currency, funds, overflow.
        """
        ...

    async def deposit(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Bring money into an account from outside; the entry's `source` is None.

        Raises:
            NotFound: entity "account".
            BalanceOverflow: It can't hold as much more.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.deposit", capability TRANSACTIONS; before all others.
        """
        ...

    async def withdraw(
        self, id: str, new: NewEntry, *, ordered_by: str, idempotency: Idempotency | None = None
    ) -> Transfer:
        """Take money out of an account; the entry's `target` is None.

        Raises:
            NotFound: entity "account".
            InsufficientFunds: It has less than that.
            IdempotencyKeyReused: See the class.
            NotSupported: operation "accounts.withdraw", capability TRANSACTIONS; before all others.
        """
        ...

    async def get_transfer(self, id: str, *, owner_id: str | None = None) -> Transfer:
        """Return the entry with this id.

        Raises:
            NotFound: entity "transfer".
            NotOwner: entity "transfer": neither of its accounts was of the user `owner_id`, and somebody
                else ordered it.
        """
        ...

    async def transfers(
        self,
        *,
        owner_id: str | None = None,
        where: TransferFilter = TransferFilter(),  # noqa: B008 - frozen
        sort: TransferSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Transfer]:
        """Return a page of the entries; the other arguments and the result: see `UserRepository.list`.

        An `owner_id` limits it to the entries from and to accounts of that user, those deleted included.
        """
        ...

    async def statement(self, id: str, *, owner_id: str | None = None) -> Statement:
        """Return the account and all its entries as they are at this moment.

        Fetching the entries may raise `Unavailable` and `BackendError`.

        Raises:
            NotFound: entity "account".
            NotOwner: entity "account": it belongs to another user than `owner_id`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter says: its value, and when it ends (aware, UTC, whole milliseconds)."""

    value: int
    ends_at: datetime


class CounterRepository(Protocol):
    """Counters that end by themselves, shared by every process on the database: what throttling counts.

    A key is any text of 1 to 255 characters. A counter whose end has come is as if it had never been.
    """

    async def add(self, key: str, amount: int, *, lasts_seconds: int) -> Count:
        """Add to the counter, or begin it at `amount`; return what it is then.

        A running counter keeps its end. No concurrent addition is lost.

        Args:
            key: See the class.
            amount: Any integer, as long as the sum has 64 bits.
            lasts_seconds: 0 or more; a counter that lasts 0 has ended.
        """
        ...

    async def get(self, key: str) -> Count | None:
        """Return the counter; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """End the counter, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What stands behind a backend, as it told us itself."""

    product: str
    version: str
    driver: str


class Backend(Protocol):
    """A database, opened: its repositories and what is known of it."""

    @property
    def users(self) -> UserRepository:
        """The users."""
        ...

    @property
    def items(self) -> ItemRepository:
        """The items."""
        ...

    @property
    def accounts(self) -> AccountRepository:
        """The accounts."""
        ...

    @property
    def counters(self) -> CounterRepository:
        """The counters."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this server can do, probed when the backend was opened."""
        ...

    @property
    def server(self) -> ServerInfo:
        """Product, version and driver."""
        ...

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are taken right now; 0 when no method is running."""
        ...

    async def check_schema(self) -> None:
        """Compare the schema's revision in the database with the one that this code needs.

        Raises:
            SchemaMismatch: It is older or newer; the message says which command mends it.
        """
        ...

    async def close(self) -> None:
        """Give back every connection. A second call does nothing.

        Nothing is called while it runs, or afterwards.
        """
        ...
