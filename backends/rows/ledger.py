"""Consistency of the ledger: an account's entries lead from 0 to its balance, without a gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from backends.ids import is_id
from backends.rows.stored import Fields, Place, Problem, RowKind, StoredRow

Side = Literal["from", "to"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that violates a rule."""

    kind: RowKind
    id: str
    problem: Problem
    value: Any = None


@dataclass(frozen=True, slots=True)
class Step:
    """One side of an entry.

    Attributes:
        place: The place of the account.
    """

    place: Place
    transfer_id: str
    side: Side
    account_id: str
    owner_id: str
    version: int
    balance_minor: int
    change_minor: int

    @classmethod
    def of(cls, row: StoredRow, side: Side) -> Step | None:
        """Return one side of an entry, or None if it is invalid; other rules report that."""
        fields = row.fields
        ids = [fields.get(name) for name in ("id", f"{side}_account_id", f"{side}_owner_id")]
        numbers = [
            fields.get(name) for name in (f"{side}_version", f"{side}_balance_minor", "amount_minor")
        ]
        if not all(isinstance(id_, str) and is_id(id_) for id_ in ids):
            return None
        if not all(isinstance(number, int) for number in numbers):
            return None
        transfer_id, account_id, owner_id = map(str, ids)
        version, balance, amount = (int(number or 0) for number in numbers)
        change = -amount if side == "from" else amount
        return cls(row.place[:1], transfer_id, side, account_id, owner_id, version, balance, change)


@dataclass(slots=True)
class Chain:
    """The entries of one account, in the order of their versions.

    Attributes:
        account_id: The account.
        account: The stored row; None if the account was deleted.
        faults: The violations.
    """

    account_id: str
    account: Fields | None
    faults: list[Fault] = field(default_factory=list)
    _version: int = 1
    _balance: int = 0

    def add(self, step: Step) -> None:
        """Add the next entry. Entries newer than the row of the account are ignored."""
        if self._known("version") is not None and step.version > self._known("version", 0):
            return
        if step.version <= self._version:
            self._blame(step, "version", "is another entry's of the account, too", step.version)
            return
        if step.version > self._version + 1:
            self._blame_gap(step.version - 1)
        elif step.balance_minor != self._balance + step.change_minor:
            expected = self._balance + step.change_minor
            self._blame(step, "balance_minor", f"should be {expected}", step.balance_minor)
        if self.account is not None and step.owner_id != self.account.get("owner_id"):
            self._blame(step, "owner_id", "is not the owner of the account", step.owner_id)
        self._version, self._balance = step.version, step.balance_minor

    def finish(self) -> list[Fault]:
        """Compare the last entry with the account; return all violations."""
        if self.account is None:
            if self._balance:
                self._blame_account(
                    "id", f"is in no row, but its entries end with a balance of {self._balance}"
                )
            return self.faults
        version, balance = self._known("version"), self._known("balance_minor")
        if version is not None and version > self._version:
            self._blame_gap(version)
        elif balance is not None and balance != self._balance:
            what = f"should be {self._balance}, the balance after its last entry"
            self._blame_account("balance_minor", what, balance)
        return self.faults

    def _known(self, name: str, default: Any = None) -> Any:
        value = self.account.get(name) if self.account else None
        return value if isinstance(value, int) else default

    def _blame_gap(self, last: int) -> None:
        first = self._version + 1
        versions = f"version {first}" if first == last else f"versions {first} to {last}"
        self._blame_account("version", f"counts entries that are not there: {versions}")

    def _blame_account(self, name: str, what: str, value: Any = None) -> None:
        self.faults.append(Fault("accounts", self.account_id, Problem(name, what), value))

    def _blame(self, step: Step, name: str, what: str, value: Any) -> None:
        problem = Problem(f"{step.side}_{name}", what)
        self.faults.append(Fault("transfers", step.transfer_id, problem, value))
