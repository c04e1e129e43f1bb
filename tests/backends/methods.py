"""Every method of a backend with its cost, for tests that run all methods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from backends.errors import (
    AccountNotEmpty,
    AlreadyExists,
    BackendError,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
    VersionMismatch,
)
from backends.ids import new_id
from backends.models import (
    Account,
    AccountFilter,
    Idempotency,
    Item,
    ItemChanges,
    ItemFilter,
    NewAccount,
    NewEntry,
    NewItem,
    NewTransfer,
    NewUser,
    Position,
    Transfer,
    TransferFilter,
    User,
    UserChanges,
    UserFilter,
)
from backends.protocols import Backend


@dataclass(frozen=True)
class Rows:
    """The rows that exist before each method. `other` has an account with money, `owner` an empty one.

    The entry is the deposit of that money, ordered by `other` with the key `USED`.
    """

    owner: User
    other: User
    item: Item
    empty: Account
    full: Account
    entry: Transfer


Call = Callable[[Backend, Rows], Awaitable[object]]
Statements = int | tuple[int, int]

NEW_USER = NewUser(email="new@example.com", hashed_password="x")
NEW_ITEM = NewItem(title="new")
TITLE = ItemChanges(title="changed")
VERSIONS = range(1, 100)
NEW_ACCOUNT = NewAccount(name="new", currency="EUR")
MONEY = NewEntry(amount_minor=1)
NEW_KEY, USED = Idempotency("new", "0" * 64), Idempotency("used", "0" * 64)

# Each method with its number of SQL statements (for SQLite and PostgreSQL if they differ) and its MongoDB
# commands.
METHODS: dict[str, tuple[Call, Statements, list[str]]] = {
    "users.add": (lambda b, _: b.users.add(NEW_USER), 1, ["insert"]),
    "users.get": (lambda b, r: b.users.get(r.owner.id), 1, ["find"]),
    "users.get of several at once": (
        lambda b, r: asyncio.gather(*(b.users.get(user.id) for user in (r.owner, r.other, r.owner))),
        (3, 1),
        ["find"],
    ),
    "users.find_by_email": (lambda b, r: b.users.find_by_email(r.owner.email), 1, ["find"]),
    "users.find_by_email of nobody": (lambda b, _: b.users.find_by_email("x@example.com"), 1, ["find"]),
    "users.find_by_email of no address": (lambda b, _: b.users.find_by_email("nobody"), 0, []),
    "users.list": (lambda b, _: b.users.list(), 1, ["aggregate"]),
    "users.list without count": (lambda b, _: b.users.list(count=False), 1, ["aggregate"]),
    "users.list of none": (lambda b, _: b.users.list(limit=0), 1, ["aggregate"]),
    "users.update": (
        lambda b, r: b.users.update(r.owner.id, UserChanges(full_name="A")),
        1,
        ["findAndModify"],
    ),
    "users.update of a version": (
        lambda b, r: b.users.update(r.owner.id, UserChanges(full_name="A"), versions=VERSIONS),
        1,
        ["findAndModify"],
    ),
    "users.update that ends sessions": (
        lambda b, r: b.users.update(r.owner.id, UserChanges(), end_sessions=True),
        1,
        ["findAndModify"],
    ),
    "users.update of nothing": (lambda b, r: b.users.update(r.owner.id, UserChanges()), 1, ["find"]),
    "users.replace_hash": (
        lambda b, r: b.users.replace_hash(r.owner.id, old=r.owner.hashed_password, new="new"),
        1,
        ["update"],
    ),
    "users.delete": (
        lambda b, r: b.users.delete(r.owner.id),
        5,
        ["delete", "find", "delete", "delete", "insert", "commitTransaction", "delete"],
    ),
    "users.delete of a version": (
        lambda b, r: b.users.delete(r.owner.id, versions=VERSIONS),
        5,
        ["delete", "find", "delete", "delete", "insert", "commitTransaction", "delete"],
    ),
    "users.list by address": (lambda b, _: b.users.list(sort="email"), 1, ["aggregate"]),
    "users.list of some": (
        lambda b, r: b.users.list(where=UserFilter(is_active=True, created_after=r.owner.created_at)),
        1,
        ["aggregate"],
    ),
    "items.add": (lambda b, r: b.items.add(NEW_ITEM, owner_id=r.owner.id), 1, ["insert", "find"]),
    "items.add_many": (
        lambda b, r: b.items.add_many([NEW_ITEM] * 100, owner_id=r.owner.id),
        1,
        ["insert", "commitTransaction", "find"],
    ),
    "items.get": (lambda b, r: b.items.get(r.item.id), 1, ["find"]),
    "items.get of an owner": (lambda b, r: b.items.get(r.item.id, owner_id=r.owner.id), 1, ["find"]),
    "items.list": (lambda b, _: b.items.list(), 1, ["aggregate"]),
    "items.list of an owner after a position": (
        lambda b, r: b.items.list(owner_id=r.owner.id, after=Position(r.item.created_at, "f" * 24)),
        1,
        ["aggregate"],
    ),
    "items.list of an owner after the last position": (  # no row has the count
        lambda b, r: b.items.list(owner_id=r.owner.id, after=Position(r.item.created_at, r.item.id)),
        2,
        ["aggregate"],
    ),
    "items.list of an owner, later page": (
        lambda b, r: b.items.list(owner_id=r.owner.id, skip=1),
        1,
        ["aggregate"],
    ),
    "items.list by title": (lambda b, _: b.items.list(sort="-title"), 1, ["aggregate"]),
    "items.list of some": (
        lambda b, r: b.items.list(
            owner_id=r.owner.id, where=ItemFilter(title="old", q="l", created_before=r.item.created_at)
        ),
        1,
        ["aggregate"],
    ),
    "items.list without count": (lambda b, _: b.items.list(count=False), 1, ["aggregate"]),
    "items.update": (lambda b, r: b.items.update(r.item.id, TITLE), 1, ["findAndModify"]),
    "items.update of an owner": (
        lambda b, r: b.items.update(r.item.id, TITLE, owner_id=r.owner.id),
        1,
        ["findAndModify"],
    ),
    "items.update of a version": (
        lambda b, r: b.items.update(r.item.id, TITLE, owner_id=r.owner.id, versions=VERSIONS),
        1,
        ["findAndModify"],
    ),
    "items.update of nothing": (
        lambda b, r: b.items.update(r.item.id, ItemChanges(), versions=VERSIONS),
        1,
        ["find"],
    ),
    "items.delete": (lambda b, r: b.items.delete(r.item.id), 1, ["delete"]),
    "items.delete of an owner": (
        lambda b, r: b.items.delete(r.item.id, owner_id=r.owner.id),
        1,
        ["delete"],
    ),
    "items.delete of a version": (
        lambda b, r: b.items.delete(r.item.id, versions=VERSIONS),
        1,
        ["delete"],
    ),
    "accounts.add": (
        lambda b, r: b.accounts.add(NEW_ACCOUNT, owner_id=r.owner.id),
        1,
        ["update", "insert", "commitTransaction"],
    ),
    "accounts.add with a key": (
        lambda b, r: b.accounts.add(NEW_ACCOUNT, owner_id=r.owner.id, idempotency=NEW_KEY),
        4,
        ["update", "insert", "insert", "commitTransaction"],
    ),
    "accounts.get": (lambda b, r: b.accounts.get(r.full.id), 1, ["find"]),
    "accounts.list": (lambda b, _: b.accounts.list(), 1, ["aggregate"]),
    "accounts.list of an owner by name": (
        lambda b, r: b.accounts.list(owner_id=r.owner.id, sort="name"),
        1,
        ["aggregate"],
    ),
    "accounts.list of some": (
        lambda b, _: b.accounts.list(where=AccountFilter(currency="EUR"), count=False),
        1,
        ["aggregate"],
    ),
    "accounts.delete": (lambda b, r: b.accounts.delete(r.empty.id), 1, ["delete"]),
    "accounts.delete of a version": (
        lambda b, r: b.accounts.delete(r.empty.id, owner_id=r.owner.id, versions=VERSIONS),
        1,
        ["delete"],
    ),
    "accounts.deposit": (
        lambda b, r: b.accounts.deposit(r.full.id, MONEY, ordered_by=r.owner.id),
        (4, 1),
        ["findAndModify", "insert", "commitTransaction"],
    ),
    "accounts.deposit with a key": (
        lambda b, r: b.accounts.deposit(r.full.id, MONEY, ordered_by=r.owner.id, idempotency=NEW_KEY),
        (5, 1),
        ["insert", "findAndModify", "insert", "commitTransaction"],
    ),
    "accounts.deposit again": (
        lambda b, r: b.accounts.deposit(
            r.full.id, NewEntry(amount_minor=100), ordered_by=r.other.id, idempotency=USED
        ),
        (6, 3),
        ["insert", "abortTransaction", "find", "find"],
    ),
    "accounts.withdraw": (
        lambda b, r: b.accounts.withdraw(r.full.id, MONEY, ordered_by=r.other.id),
        (4, 1),
        ["findAndModify", "insert", "commitTransaction"],
    ),
    "accounts.transfer": (
        lambda b, r: b.accounts.transfer(_order(r.full, r.empty), ordered_by=r.other.id),
        (5, 1),
        ["findAndModify", "findAndModify", "insert", "commitTransaction"],
    ),
    "accounts.transfer of an owner with a key": (
        lambda b, r: b.accounts.transfer(
            _order(r.full, r.empty), ordered_by=r.other.id, owner_id=r.other.id, idempotency=NEW_KEY
        ),
        (6, 1),
        ["insert", "findAndModify", "findAndModify", "insert", "commitTransaction"],
    ),
    "accounts.get_transfer": (
        lambda b, r: b.accounts.get_transfer(r.entry.id, owner_id=r.other.id),
        1,
        ["find"],
    ),
    "accounts.transfers": (lambda b, _: b.accounts.transfers(), 1, ["aggregate"]),
    "accounts.transfers of an owner": (
        lambda b, r: b.accounts.transfers(
            owner_id=r.other.id, where=TransferFilter(created_after=r.owner.created_at)
        ),
        1,
        ["aggregate"],
    ),
    "accounts.transfers without count": (lambda b, _: b.accounts.transfers(count=False), 1, ["aggregate"]),
    "accounts.statement": (lambda b, r: b.accounts.statement(r.full.id), 1, ["find"]),
    "accounts.statement and its entries": (
        lambda b, r: _read_statement(b, r),  # noqa: PLW0108 - it stands below
        2,
        ["find", "find"],
    ),
    "counters.add": (lambda b, _: b.counters.add("running", 1, lasts_seconds=60), 1, ["findAndModify"]),
    "counters.add of a new one": (
        lambda b, _: b.counters.add("new", 1, lasts_seconds=60),
        1,
        ["findAndModify", "findAndModify"],
    ),
    "counters.get": (lambda b, _: b.counters.get("running"), 1, ["find"]),
    "counters.delete": (lambda b, _: b.counters.delete("running"), 1, ["delete"]),
}

# A refused call may need a second read to find the reason.
REFUSALS: dict[str, tuple[Call, type[BackendError], Statements, list[str]]] = {
    "users.add of a taken address": (
        lambda b, r: b.users.add(NewUser(email=r.owner.email, hashed_password="x")),
        AlreadyExists,
        1,
        ["insert"],
    ),
    "users.get of nobody": (lambda b, _: b.users.get(new_id()), NotFound, 1, ["find"]),
    "users.update of nobody": (
        lambda b, _: b.users.update(new_id(), UserChanges(full_name="A")),
        NotFound,
        2,
        ["findAndModify", "find"],
    ),
    "users.delete of nobody": (
        lambda b, _: b.users.delete(new_id()),
        NotFound,
        4,
        ["delete", "commitTransaction", "find"],
    ),
    "items.add of nobody": (
        lambda b, _: b.items.add(NEW_ITEM, owner_id=new_id()),
        NotFound,
        1,
        ["insert", "find", "delete"],
    ),
    "items.add_many of nobody": (
        lambda b, _: b.items.add_many([NEW_ITEM] * 100, owner_id=new_id()),
        NotFound,
        1,
        ["insert", "commitTransaction", "find", "delete", "commitTransaction"],
    ),
    "items.get of another": (
        lambda b, r: b.items.get(r.item.id, owner_id=r.other.id),
        NotOwner,
        1,
        ["find"],
    ),
    "items.update of another": (
        lambda b, r: b.items.update(r.item.id, TITLE, owner_id=r.other.id),
        NotOwner,
        2,
        ["findAndModify", "find"],
    ),
    "items.delete of another": (
        lambda b, r: b.items.delete(r.item.id, owner_id=r.other.id),
        NotOwner,
        2,
        ["delete", "find"],
    ),
    "users.update of another version": (
        lambda b, r: b.users.update(r.owner.id, UserChanges(full_name="A"), versions=[]),
        VersionMismatch,
        2,
        ["findAndModify", "find"],
    ),
    "users.delete of another version": (
        lambda b, r: b.users.delete(r.owner.id, versions=[]),
        VersionMismatch,
        4,
        ["delete", "commitTransaction", "find"],
    ),
    "items.update of another version": (
        lambda b, r: b.items.update(r.item.id, TITLE, versions=[]),
        VersionMismatch,
        2,
        ["findAndModify", "find"],
    ),
    "items.update of nothing of another version": (
        lambda b, r: b.items.update(r.item.id, ItemChanges(), versions=[]),
        VersionMismatch,
        1,
        ["find"],
    ),
    "items.delete of another version": (
        lambda b, r: b.items.delete(r.item.id, versions=[]),
        VersionMismatch,
        2,
        ["delete", "find"],
    ),
    "items.delete of an unknown": (lambda b, _: b.items.delete(new_id()), NotFound, 2, ["delete", "find"]),
    "users.delete of one with money": (
        lambda b, r: b.users.delete(r.other.id),
        AccountNotEmpty,
        5,
        ["delete", "find", "abortTransaction"],
    ),
    "accounts.add of nobody": (
        lambda b, _: b.accounts.add(NEW_ACCOUNT, owner_id=new_id()),
        NotFound,
        1,
        ["update", "abortTransaction"],
    ),
    "accounts.add with a used key": (
        lambda b, r: b.accounts.add(
            NEW_ACCOUNT, owner_id=r.other.id, idempotency=Idempotency("used", "1" * 64)
        ),
        IdempotencyKeyReused,
        4,
        ["update", "insert", "insert", "abortTransaction", "find"],
    ),
    "accounts.delete of another": (
        lambda b, r: b.accounts.delete(r.empty.id, owner_id=r.other.id),
        NotOwner,
        2,
        ["delete", "find"],
    ),
    "accounts.delete of one with money": (
        lambda b, r: b.accounts.delete(r.full.id, versions=VERSIONS),
        AccountNotEmpty,
        2,
        ["delete", "find"],
    ),
    "accounts.withdraw of too much": (
        lambda b, r: b.accounts.withdraw(r.empty.id, MONEY, ordered_by=r.owner.id),
        InsufficientFunds,
        (5, 3),
        ["findAndModify", "abortTransaction", "find", "find"],
    ),
    "accounts.withdraw of too much with a key": (
        lambda b, r: b.accounts.withdraw(r.empty.id, MONEY, ordered_by=r.owner.id, idempotency=NEW_KEY),
        InsufficientFunds,
        (6, 4),
        ["insert", "findAndModify", "abortTransaction", "find", "find", "insert"],
    ),
    "accounts.transfer of another's": (
        lambda b, r: b.accounts.transfer(
            _order(r.full, r.empty), ordered_by=r.owner.id, owner_id=r.owner.id
        ),
        NotOwner,
        (6, 3),
        ["findAndModify", "findAndModify", "abortTransaction", "find", "find"],
    ),
    "accounts.deposit with a used key": (
        lambda b, r: b.accounts.deposit(
            r.full.id, MONEY, ordered_by=r.other.id, idempotency=Idempotency("used", "1" * 64)
        ),
        IdempotencyKeyReused,
        (5, 2),
        ["insert", "abortTransaction", "find"],
    ),
    "accounts.statement of another": (
        lambda b, r: b.accounts.statement(r.full.id, owner_id=r.owner.id),
        NotOwner,
        1,
        ["find"],
    ),
}


async def add_rows(backend: Backend) -> Rows:
    """Store the rows for the methods. May be called again after a method has deleted some."""
    number = new_id()
    owner = await backend.users.add(NewUser(email=f"owner{number}@example.com", hashed_password="x"))
    other = await backend.users.add(NewUser(email=f"other{number}@example.com", hashed_password="x"))
    await backend.counters.add("running", 1, lasts_seconds=60)
    item = await backend.items.add(NewItem(title="old"), owner_id=owner.id)
    empty = await backend.accounts.add(NEW_ACCOUNT, owner_id=owner.id)
    full = await backend.accounts.add(NEW_ACCOUNT, owner_id=other.id)
    entry = await backend.accounts.deposit(
        full.id, NewEntry(amount_minor=100), ordered_by=other.id, idempotency=USED
    )
    return Rows(owner, other, item, empty, full, entry)


def _order(source: Account, target: Account, amount_minor: int = 1) -> NewTransfer:
    return NewTransfer(from_account_id=source.id, to_account_id=target.id, amount_minor=amount_minor)


async def _read_statement(backend: Backend, rows: Rows) -> None:
    statement = await backend.accounts.statement(rows.full.id)
    async for _ in statement.entries:
        pass
