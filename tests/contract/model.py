"""An in-memory model of accounts: the contract of `AccountRepository` without a database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backends.capabilities import Capability
from backends.errors import (
    AccountNotEmpty,
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
    NotSupported,
    VersionMismatch,
)
from backends.models import MAX_MINOR, Account, Side, Transfer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Addition:
    """A call of `add`."""

    owner_id: str
    currency: str


@dataclass(frozen=True)
class Move:
    """A call of `deposit` (no source), `withdraw` (no target) or `transfer`."""

    source: str | None
    target: str | None
    amount: int
    owner_id: str | None = None

    @property
    def operation(self) -> str:
        """The method's name, as the error for a missing capability reports it."""
        if self.source is None:
            return "accounts.deposit"
        return "accounts.withdraw" if self.target is None else "accounts.transfer"


@dataclass(frozen=True)
class Call:
    """A call by a user, with or without an idempotency key."""

    by: str
    key: str | None
    wanted: Addition | Move


Outcome = Account | Transfer | BackendError


def blank(row: Account | Transfer) -> Account | Transfer:
    """Return the row without the fields that the repository generates: id and time."""
    return replace(row, id="", created_at=EPOCH)


@dataclass
class Model:
    """The model's state. Ids are the real ones: the caller reports the id of an added row."""

    has_transactions: bool
    owners: set[str]
    accounts: dict[str, Account] = field(default_factory=dict)
    ledger: list[Transfer] = field(default_factory=list)
    kept: dict[tuple[str, str], tuple[Addition | Move, Outcome]] = field(default_factory=dict)

    def expect(self, call: Call) -> tuple[Outcome, bool]:
        """Return the expected outcome with blank rows, and whether an earlier call had it."""
        if not self.has_transactions and (operation := _that_needs_transactions(call)):
            return NotSupported(operation, Capability.TRANSACTIONS), False
        earlier = self.kept.get((call.by, call.key or ""))
        if earlier:
            same = earlier[0] == call.wanted
            return (earlier[1] if same else IdempotencyKeyReused(call.key or "")), True
        if isinstance(call.wanted, Move):
            return self._refusal(call.wanted) or self._entry(call, call.wanted), False
        if call.wanted.owner_id not in self.owners:
            return NotFound("user", call.wanted.owner_id), False
        return Account(
            id="",
            name="account",
            balance_minor=0,
            version=1,
            created_at=EPOCH,
            owner_id=call.wanted.owner_id,
            currency=call.wanted.currency,
        ), False

    def note(self, call: Call, outcome: Outcome) -> None:
        """Apply a call with its outcome, which matched the expectation, to the state."""
        lasting = isinstance(call.wanted, Move) or not isinstance(outcome, BackendError)
        if call.key and lasting and not isinstance(outcome, NotSupported):
            self.kept[call.by, call.key] = (call.wanted, outcome)
        if isinstance(outcome, Account):
            self.accounts[outcome.id] = outcome
        if isinstance(outcome, Transfer):
            self.ledger.append(outcome)
            for side in (outcome.source, outcome.target):
                if side:
                    self.accounts[side.account_id] = replace(
                        self.accounts[side.account_id],
                        balance_minor=side.balance_minor,
                        version=side.version,
                    )

    def delete(self, id: str, *, owner_id: str | None, versions: set[int] | None) -> BackendError | None:
        """Delete an account, or return the error that prevents it."""
        account = self.accounts.get(id)
        if account is None:
            return NotFound("account", id)
        if owner_id not in {None, account.owner_id}:
            return NotOwner("account", id)
        if versions is not None and account.version not in versions:
            return VersionMismatch("account", id)
        if account.balance_minor:
            return AccountNotEmpty("account", id)
        del self.accounts[id]
        return None

    def delete_owner(self, id: str) -> BackendError | None:
        """Delete an owner with all accounts, or return the error that prevents it."""
        if not self.has_transactions:
            return NotSupported("users.delete", Capability.TRANSACTIONS)
        if id not in self.owners:
            return NotFound("user", id)
        mine = [account for account in self.accounts.values() if account.owner_id == id]
        if any(account.balance_minor for account in mine):
            return AccountNotEmpty("user", id)
        self.owners.remove(id)
        for account in mine:
            del self.accounts[account.id]
        return None

    def _refusal(self, move: Move) -> BackendError | None:
        source, target = (self.accounts.get(id_ or "") for id_ in (move.source, move.target))
        refusals: list[tuple[bool, BackendError]] = []
        if move.source is not None:
            refusals += [(source is None, NotFound("account", move.source))]
            is_others = source is not None and move.owner_id not in {None, source.owner_id}
            refusals += [(is_others, NotOwner("account", move.source))]
        if move.target is not None:
            refusals += [(target is None, NotFound("account", move.target))]
        if source and target:
            differ = source.currency != target.currency
            refusals += [(differ, CurrencyMismatch(source.currency, target.currency))]
        if source:
            refusals += [(source.balance_minor < move.amount, InsufficientFunds(source.id))]
        if target:
            refusals += [(target.balance_minor + move.amount > MAX_MINOR, BalanceOverflow(target.id))]
        return next((error for is_so, error in refusals if is_so), None)

    def _entry(self, call: Call, move: Move) -> Transfer:
        return Transfer(
            id="",
            ordered_by=call.by,
            source=self._side(move.source, -move.amount),
            target=self._side(move.target, move.amount),
            amount_minor=move.amount,
            note=None,
            created_at=EPOCH,
            idempotency_key=call.key,
        )

    def _side(self, id: str | None, change: int) -> Side | None:
        if id is None:
            return None
        account = self.accounts[id]
        return Side(
            account_id=id,
            owner_id=account.owner_id,
            balance_minor=account.balance_minor + change,
            version=account.version + 1,
        )


def _that_needs_transactions(call: Call) -> str | None:
    if isinstance(call.wanted, Move):
        return call.wanted.operation
    return "accounts.add with an idempotency key" if call.key else None
