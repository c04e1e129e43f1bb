"""The history of a run: orders, responses, rows of the database. The checker finds contradictions.

The checker knows the rules of a ledger and not EitherDB. Invalid histories test it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.proof.load import Answer
from tests.proof.workload import Order


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an entry: the balance and the version of the account after it."""

    account: str
    balance: int
    version: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the ledger, read with the raw driver."""

    id: str
    key: str | None
    amount: int
    source: Side | None
    target: Side | None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, read with the raw driver."""

    balance: int
    version: int


class Line(NamedTuple):
    """A line of a statement in the API's response."""

    transfer_id: str
    other_account_id: str | None
    amount_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement in the API's response."""

    balance: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class History:
    """All data of a run."""

    orders: Sequence[Order]
    answers: Mapping[str, Sequence[Answer]]
    accounts: Mapping[str, AccountRow]
    entries: Sequence[Entry]
    statements: Mapping[str, Statement]

    def violations(self) -> list[str]:
        """Return one line per violation; none for a valid history."""
        return [*self._answers(), *self._entries(), *self._refusals(), *self._accounts(), *self._sum()]

    def _answers(self) -> Iterator[str]:
        """Each order has exactly one response, also after retries."""
        for order in self.orders:
            different = set(self.answers.get(order.key, ()))
            if len(different) != 1:
                yield f"{order} has {len(different)} different answers: {different}"

    def _entries(self) -> Iterator[str]:
        """An acknowledged order is in the ledger once and unchanged; the ledger has no other entries."""
        booked: dict[str | None, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            booked[entry.key].append(entry)
        for order in self.orders:
            entries = booked.pop(order.key, [])
            acknowledged = [answer for answer in self.answers.get(order.key, ()) if answer.status == 200]
            if len(entries) != (1 if acknowledged else 0):
                word = "acknowledged" if acknowledged else "refused"
                yield f"{order} was {word} and is {len(entries)} times in the ledger"
            for entry in entries:
                if _shape(entry) != (order.source, order.target, order.amount):
                    yield f"{order} is in the ledger as {entry}"
                yield from (
                    f"{order} was acknowledged as {answer.body!r} and booked as {entry}"
                    for answer in acknowledged
                    if not _matches(answer, entry)
                )
        yield from (f"nobody ordered {entry}" for entries in booked.values() for entry in entries)
        counted = Counter(entry.id for entry in self.entries)
        yield from (f"{count} entries have the id {id_}" for id_, count in counted.items() if count > 1)

    def _refusals(self) -> Iterator[str]:
        """No order was refused for insufficient funds if its account always had enough."""
        lowest: dict[str | None, int] = {}
        for entry in self.entries:
            for side in (entry.source, entry.target):
                if side is not None:
                    lowest[side.account] = min(side.balance, lowest.get(side.account, side.balance))
        for order in self.orders:
            for answer in self.answers.get(order.key, ()):
                if answer.status != 200 and order.amount <= lowest.get(order.source, 0):
                    yield f"{order} was refused: {answer.body!r}; it never had less than that"

    def _accounts(self) -> Iterator[str]:
        """The balance of each account is the sum of its entries, after each entry and in the statement."""
        lines = self._lines()
        for id_, account in self.accounts.items():
            balance, version = 0, 1
            for side_version, line in sorted(lines.pop(id_, [])):
                balance, version = balance + line.amount_minor, version + 1
                if (line.balance_minor, side_version) != (balance, version):
                    yield f"{id_}: {line} with version {side_version} should leave {balance}, {version}"
                if balance < 0:
                    yield f"{id_}: negative after {line}"
            if account != AccountRow(balance, version):
                yield f"{id_}: {account}, but its entries make {balance} and version {version}"
            if account.balance < 0:
                yield f"{id_}: negative"
        yield from (f"{id_}: has entries but does not exist" for id_ in lines)
        for id_, account in self.accounts.items():
            expected = tuple(line for _, line in sorted(self._lines().get(id_, [])))
            if self.statements.get(id_) != Statement(account.balance, expected):
                yield f"{id_}: its statement is not what the database holds"

    def _lines(self) -> dict[str, list[tuple[int, Line]]]:
        """Return the expected lines of each account's statement, with their versions."""
        lines: dict[str, list[tuple[int, Line]]] = defaultdict(list)
        for entry in self.entries:
            source, target, amount = _shape(entry)
            for side, other, change in ((entry.source, target, -amount), (entry.target, source, amount)):
                if side is not None:
                    line = Line(entry.id, other, change, side.balance)
                    lines[side.account].append((side.version, line))
        return lines

    def _sum(self) -> Iterator[str]:
        """The sum of all balances is the acknowledged deposits less the acknowledged withdrawals."""
        expected = sum(
            (order.amount if order.source is None else -order.amount)
            for order in self.orders
            if None in {order.source, order.target}
            and any(answer.status == 200 for answer in self.answers.get(order.key, ()))
        )
        found = sum(account.balance for account in self.accounts.values())
        if found != expected:
            yield f"there are {found} in all accounts, and {expected} were brought in"


def _shape(entry: Entry) -> tuple[str | None, str | None, int]:
    source, target = (None if side is None else side.account for side in (entry.source, entry.target))
    return source, target, entry.amount


def _matches(answer: Answer, entry: Entry) -> bool:
    """Tell whether a response describes this entry."""
    said = json.loads(answer.body)
    names = ("id", "idempotency_key", "from_account_id", "to_account_id", "amount_minor")
    return tuple(said.get(name) for name in names) == (entry.id, entry.key, *_shape(entry))
