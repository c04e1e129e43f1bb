"""Four anomalies, tried for real: in the server's own transactions, and in EitherDB's methods.

The first shows what the database would let happen to code that reads, thinks and writes; the second that
EitherDB's repositories let none of it through, because they decide in the write itself. The schedules are
those of Adya, Liskov and O'Neil, "Generalized Isolation Level Definitions" (ICDE 2000).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from backends.capabilities import Capability
from backends.errors import AccountNotEmpty, BackendError, InsufficientFunds, NotFound, VersionMismatch
from backends.models import ItemChanges, NewAccount, NewEntry, NewItem, NewTransfer, NewUser
from backends.protocols import Backend
from backends.scratch import Scratch, Transaction

WAIT_SECONDS = 0.3
"""A step that takes longer waits for the other transaction, which goes on meanwhile."""
END_SECONDS = 30
ROUNDS = 10
"""How often each race is run in EitherDB's methods."""
HASH = "no password has this hash"
NO_TRANSACTION = "there is no transaction that stays open between calls"


@dataclass(frozen=True, slots=True)
class Finding:
    """One anomaly.

    Attributes:
        anomaly: Its name.
        means: What it is, in one sentence.
        in_transactions: "possible" or "prevented" in the server's own transactions, "failed" if an error
            ended the trial; None where it has none.
        in_eitherdb: The same of EitherDB's methods; None where they are refused.
        seen_in_transactions: What was seen in the server's own transactions.
        seen_in_eitherdb: What was seen in EitherDB's methods.
    """

    anomaly: str
    means: str
    in_transactions: str | None
    seen_in_transactions: str
    in_eitherdb: str | None
    seen_in_eitherdb: str

    @property
    def conforms(self) -> bool:
        """Whether both trials came to their end, and EitherDB let nothing through."""
        return self.in_transactions != "failed" and self.in_eitherdb in {"prevented", None}


Seen: TypeAlias = tuple[str | None, str]
"""What becomes of a trial: as `Finding` names it, and in words."""

Step: TypeAlias = Callable[[Transaction], Awaitable[None]]
Begin: TypeAlias = Callable[[], Awaitable[Transaction]]


class _Side:
    """One of two transactions. Its steps follow each other; a step that waits lets the other side go on."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._transaction: Transaction | None = None
        self._last: asyncio.Task[None] | None = None
        self.waited = False
        self.refused: Exception | None = None

    async def step(self, work: Step) -> None:
        """Do a step, unless the side was refused before; leave it behind if it waits."""
        self._last = asyncio.create_task(self._after(self._last, work))
        done, _ = await asyncio.wait({self._last}, timeout=WAIT_SECONDS)
        self.waited = self.waited or not done

    async def _after(self, before: asyncio.Task[None] | None, work: Step) -> None:
        if before is not None:
            await before
        if self.refused is not None:
            return
        try:
            if self._transaction is None:
                self._transaction = await self._begin()
            await work(self._transaction)
        except Exception as exc:  # noqa: BLE001 - a driver's, of whichever kind: that is the finding
            self.refused = exc
            if self._transaction is not None:
                await self._transaction.roll_back()

    async def end(self) -> None:
        """Wait for the last step."""
        if self._last is not None:
            done, _ = await asyncio.wait({self._last}, timeout=END_SECONDS)
            if not done:
                raise TimeoutError(f"a transaction waited for more than {END_SECONDS} seconds")
            self._last.result()

    async def close(self) -> None:
        """Undo behind the last step what was not committed: an open transaction keeps its locks."""
        try:
            await self.end()
        finally:
            if self._transaction is not None:
                await self._transaction.roll_back()


Schedule: TypeAlias = Callable[[_Side, _Side, Begin], Coroutine[Any, Any, bool]]
"""Returns whether the anomaly happened."""


async def _lost_update(one: _Side, two: _Side, begin: Begin) -> bool:
    """Both read 10 and write what they read and 1 more."""
    seen: dict[_Side, int] = {}

    def read(side: _Side) -> Step:
        async def work(transaction: Transaction) -> None:
            seen[side] = await transaction.read(1)

        return work

    def write(side: _Side) -> Step:
        return lambda transaction: transaction.write(1, seen[side] + 1)

    for side in (one, two):
        await side.step(read(side))
    for side in (one, two):
        await side.step(write(side))
    await _commit(one, two)
    committed = sum(side.refused is None for side in (one, two))
    return await _numbers(begin, 1) != [10 + committed]


async def _write_skew(one: _Side, two: _Side, begin: Begin) -> bool:
    """Each takes 15 from its own number if both together have 20, which leaves enough once."""
    funds: dict[_Side, int] = {}

    def read(side: _Side) -> Step:
        async def work(transaction: Transaction) -> None:
            funds[side] = await transaction.read(1) + await transaction.read(2)

        return work

    def take(side: _Side, key: int) -> Step:
        async def work(transaction: Transaction) -> None:
            if funds[side] >= 15:
                await transaction.write(key, await transaction.read(key) - 15)

        return work

    for side in (one, two):
        await side.step(read(side))
    for key, side in ((1, one), (2, two)):
        await side.step(take(side, key))
    await _commit(one, two)
    return sum(await _numbers(begin, 1, 2)) < 0


async def _dirty_read(one: _Side, two: _Side, begin: Begin) -> bool:  # noqa: ARG001 - a schedule
    """One writes 99 and takes it back; two reads in between."""
    seen = []

    async def read(transaction: Transaction) -> None:
        seen.append(await transaction.read(1))

    await one.step(lambda transaction: transaction.write(1, 99))
    await two.step(read)
    await one.step(lambda transaction: transaction.roll_back())
    await _commit(two)
    return 99 in seen


async def _phantom(one: _Side, two: _Side, begin: Begin) -> bool:  # noqa: ARG001 - a schedule
    """One reads all numbers twice; two adds one in between."""
    seen = []

    async def read(transaction: Transaction) -> None:
        seen.append(await transaction.read_all())

    await one.step(read)
    await two.step(lambda transaction: transaction.add(3, 10))
    await two.step(lambda transaction: transaction.commit())
    await one.step(read)
    await _commit(one)
    return len(seen) == 2 and seen[0] != seen[1]


async def _commit(*sides: _Side) -> None:
    """Commit one after the other; wait for all."""
    for side in sides:
        await side.step(lambda transaction: transaction.commit())
    for side in sides:
        await side.end()


async def _numbers(begin: Begin, *keys: int) -> list[int]:
    transaction = await begin()
    try:
        return [await transaction.read(key) for key in keys]
    finally:
        await transaction.roll_back()


async def _try_schedule(scratch: Scratch, schedule: Schedule) -> Seen:
    first = await scratch.begin()
    if first is None:
        return None, NO_TRANSACTION
    await first.roll_back()
    begin = cast("Begin", scratch.begin)  # what began one begins others
    await scratch.set_numbers({1: 10, 2: 10})
    one, two = _Side(begin), _Side(begin)
    try:
        has_happened = await schedule(one, two, begin)
    finally:
        await asyncio.gather(one.close(), two.close())
    refused = [type(side.refused).__name__ for side in (one, two) if side.refused is not None]
    if has_happened:
        return "possible", "it happened" + (f", though one was refused ({refused[0]})" if refused else "")
    if refused:
        return "prevented", f"one transaction was refused ({refused[0]})"
    if one.waited or two.waited:
        return "prevented", "one transaction waited for the other"
    return "prevented", "neither waited, and each saw what it should"


async def _updates_of_one_version(backend: Backend) -> str | None:
    """Change an item twice at once, each on the version that was read."""
    owner = await _add_user(backend)
    item = await backend.items.add(NewItem(title="0"), owner_id=owner)
    for number in range(ROUNDS):
        outcomes = await asyncio.gather(
            *(
                backend.items.update(
                    item.id, ItemChanges(title=f"{number} {side}"), versions={item.version}
                )
                for side in ("one", "two")
            ),
            return_exceptions=True,
        )
        _only(VersionMismatch, outcomes)
        stored = await backend.items.get(item.id)
        if [outcome for outcome in outcomes if not isinstance(outcome, BaseException)] != [stored]:
            return f"of two changes of version {item.version} not exactly one was made: {outcomes}"
        item = stored
    return None


async def _owner_goes_while_money_comes(backend: Backend) -> str | None:
    """Delete a user whose account is empty, and bring money into the account at the same time.

    Every other time the money is first, for databases that take turns.
    """
    clerk = await _add_user(backend)
    for number in range(ROUNDS):
        owner = await _add_user(backend, f"owner{number}@example.com")
        account = (await backend.accounts.add(NewAccount(name="a", currency="EUR"), owner_id=owner)).id
        deletion = backend.users.delete(owner)
        deposit = backend.accounts.deposit(account, NewEntry(amount_minor=1), ordered_by=clerk)
        if number % 2:
            paid, gone = await asyncio.gather(deposit, deletion, return_exceptions=True)
        else:
            gone, paid = await asyncio.gather(deletion, deposit, return_exceptions=True)
        _only((AccountNotEmpty, NotFound), (gone, paid))
        if isinstance(gone, BaseException) == isinstance(paid, BaseException):
            return f"not exactly one was done: the deletion gave {gone!r}, the deposit {paid!r}"
    return None


async def _balances_while_money_moves(backend: Backend) -> str | None:
    """Read all balances while money moves between them; every third transfer is refused."""
    owner = await _add_user(backend)
    ids = [
        (await backend.accounts.add(NewAccount(name=name, currency="EUR"), owner_id=owner)).id
        for name in ("a", "b")
    ]
    await backend.accounts.deposit(ids[0], NewEntry(amount_minor=100), ordered_by=owner)

    async def move() -> None:
        for number in range(3 * ROUNDS):
            source, target = ids if number % 2 else ids[::-1]
            amount = 10**6 if number % 3 == 0 else 1
            new = NewTransfer(from_account_id=source, to_account_id=target, amount_minor=amount)
            try:
                await backend.accounts.transfer(new, ordered_by=owner)
            except InsufficientFunds:
                continue

    moving = asyncio.create_task(move())
    try:
        while not moving.done():
            page = await backend.accounts.list(owner_id=owner)
            total = sum(account.balance_minor for account in page.data)
            if total != 100:
                return f"the balances were read as {total} in all, and are 100 at every moment"
            await asyncio.sleep(0)  # calls that never wait leave the other no turn
        await moving
    finally:
        moving.cancel()
        await asyncio.wait({moving})
    return None


async def _statement_while_entries_come(backend: Backend) -> str | None:
    """Take a statement, add an entry, and only then read the statement."""
    owner = await _add_user(backend)
    account = (await backend.accounts.add(NewAccount(name="a", currency="EUR"), owner_id=owner)).id
    for number in range(ROUNDS):
        statement = await backend.accounts.statement(account)
        await backend.accounts.deposit(account, NewEntry(amount_minor=1), ordered_by=owner)
        entries = [entry async for part in statement.entries for entry in part]
        if len(entries) != number:
            return f"a statement of {number} entries had {len(entries)} when it was read after one more"
    return None


async def _add_user(backend: Backend, email: str = "one@example.com") -> str:
    return (await backend.users.add(NewUser(email=email, hashed_password=HASH))).id


def _only(expected: type[BackendError] | tuple[type[BackendError], ...], outcomes: Any) -> None:
    """Raise what is no refusal of the expected kind."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, expected):
            raise outcome


@dataclass(frozen=True, slots=True)
class _Anomaly:
    name: str
    means: str
    schedule: Schedule
    in_eitherdb: Callable[[Backend], Coroutine[Any, Any, str | None]]
    seen: str
    needs: Capability | None = Capability.TRANSACTIONS


ANOMALIES = (
    _Anomaly(
        "lost update",
        "Two read one row, both change it, and the first change is overwritten.",
        _lost_update,
        _updates_of_one_version,
        f"of two changes of one version exactly one was made, {ROUNDS} times",
        needs=None,
    ),
    _Anomaly(
        "write skew",
        "Two read the same rows, each changes another, and together they break what held for each.",
        _write_skew,
        _owner_goes_while_money_comes,
        f"an account went with its owner or took the money, never both, {ROUNDS} times",
    ),
    _Anomaly(
        "dirty read",
        "One reads what another wrote and then takes back.",
        _dirty_read,
        _balances_while_money_moves,
        "the balances added up at every read, while transfers were made and refused",
    ),
    _Anomaly(
        "phantom",
        "One reads twice by a condition, and the second time a row is there that another added.",
        _phantom,
        _statement_while_entries_come,
        f"a statement had the entries of its moment, whatever came later, {ROUNDS} times",
    ),
)


async def _try_methods(scratch: Scratch, backend: Backend, anomaly: _Anomaly) -> Seen:
    await scratch.clean()
    fault = await anomaly.in_eitherdb(backend)
    return ("possible", fault) if fault else ("prevented", anomaly.seen)


async def _to_its_end(trial: Coroutine[Any, Any, Seen]) -> Seen:
    try:
        return await trial
    except Exception as exc:  # noqa: BLE001 - of a driver or a backend, of whichever kind
        return "failed", f"the trial ended with {type(exc).__name__}: {exc}"


async def measure(scratch: Scratch, backend: Backend) -> list[Finding]:
    """Try each anomaly on an empty, migrated scratch place and a backend that is open on it."""
    found = []
    for anomaly in ANOMALIES:
        raw: Seen = None, NO_TRANSACTION
        if Capability.TRANSACTIONS in backend.capabilities:
            raw = await _to_its_end(_try_schedule(scratch, anomaly.schedule))
        if anomaly.needs is None or anomaly.needs in backend.capabilities:
            ours = await _to_its_end(_try_methods(scratch, backend, anomaly))
        else:
            ours = None, f"refused: the capability {anomaly.needs} is absent"
        found.append(Finding(anomaly.name, anomaly.means, *raw, *ours))
    await scratch.clean()
    return found
