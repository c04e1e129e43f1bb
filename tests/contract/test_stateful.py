"""Property-based tests of generated histories: each step is compared with the model, failures are shrunk.

Every run generates the same histories. See https://hypothesis.readthedocs.io/en/latest/stateful.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import integers, none, sampled_from

from backends.capabilities import Capability
from backends.errors import BackendError
from backends.models import MAX_MINOR, Account, AccountFilter, Idempotency, NewAccount, Transfer, User
from backends.protocols import Backend

from .expectations import facts
from .model import Addition, Call, Model, Move, Outcome, blank
from .money import entries_of, key, money, order_of
from .samples import new_user

pytestmark = pytest.mark.rule("Atomicity", "Money")

T = TypeVar("T")

PROFILE = settings(
    max_examples=12,
    stateful_step_count=15,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
USERS = integers(0, 1)
KEYS = none() | sampled_from(["a", "b"])
AMOUNTS = integers(1, 4) | sampled_from([MAX_MINOR, MAX_MINOR - 3])


@dataclass(frozen=True)
class SharedState:
    """Data that all histories of a test share: the backend, its event loop, and the callers."""

    backend: Backend
    loop: asyncio.AbstractEventLoop
    callers: list[User]
    numbers: count[int]

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the backend's event loop. Block the calling thread, which is Hypothesis's."""
        return asyncio.run_coroutine_threadsafe(body, self.loop).result()


class History(RuleBasedStateMachine):
    """Calls of two callers on the accounts of two owners."""

    accounts: Bundle[str] = Bundle("accounts")

    def __init__(self, shared: SharedState) -> None:
        """Create new owners for this history, so that it needs no clean-up."""
        super().__init__()
        self._run, self._backend, self._callers = shared.run, shared.backend, shared.callers
        numbers = [next(shared.numbers) for _ in range(2)]
        users = [self._run(self._backend.users.add(new_user(number))) for number in numbers]
        self._prefix = f"{numbers[0]}-"
        self._owners = [user.id for user in users]
        self._mine = AccountFilter(created_after=users[1].created_at)
        self._model = Model(
            has_transactions=Capability.TRANSACTIONS in self._backend.capabilities,
            owners=set(self._owners),
        )
        self._keyed: list[Call] = []
        self._touched: set[str] = set()

    @rule(target=accounts, who=USERS, currency=sampled_from(["EUR", "EUR", "USD"]), name=KEYS)
    def add(self, who: int, currency: str, name: str | None) -> str | MultipleResults[str]:
        """Add an account. A key belongs to the owner, so it needs an existing owner."""
        owner_id = self._owners[who]
        if owner_id not in self._model.owners:
            name = None
        before = set(self._model.accounts)
        self._call(Call(owner_id, name and self._prefix + name, Addition(owner_id, currency)))
        return multiple(*(set(self._model.accounts) - before))

    @rule(who=USERS, target_=accounts, amount=AMOUNTS, name=KEYS)
    def deposit(self, who: int, target_: str, amount: int, name: str | None) -> None:
        """Deposit money."""
        self._order(who, name, Move(None, target_, amount))

    @rule(who=USERS, source=accounts, amount=AMOUNTS, name=KEYS)
    def withdraw(self, who: int, source: str, amount: int, name: str | None) -> None:
        """Withdraw money."""
        self._order(who, name, Move(source, None, amount))

    @rule(who=USERS, source=accounts, target_=accounts, amount=AMOUNTS, owner=none() | USERS, name=KEYS)
    def transfer(
        self, who: int, source: str, target_: str, amount: int, owner: int | None, name: str | None
    ) -> None:
        """Transfer money between two different accounts."""
        if source != target_:
            owner_id = None if owner is None else self._owners[owner]
            self._order(who, name, Move(source, target_, amount, owner_id))

    @rule(account=accounts, owner=none() | USERS, version=none() | integers(1, 3))
    def delete(self, account: str, owner: int | None, version: int | None) -> None:
        """Delete an account of any owner, with any version."""
        owner_id = None if owner is None else self._owners[owner]
        versions = None if version is None else {version}
        self._compare(
            self._model.delete(account, owner_id=owner_id, versions=versions),
            self._outcome(self._backend.accounts.delete(account, owner_id=owner_id, versions=versions)),
        )

    @rule(who=USERS, account=consumes(accounts))
    def delete_owner(self, who: int, account: str) -> None:
        """Delete an owner.

        This step is rare, because a history has only two owners and each deletion uses one up.
        """
        assert account not in self._owners
        owner_id = self._owners[who]
        self._compare(
            self._model.delete_owner(owner_id), self._outcome(self._backend.users.delete(owner_id))
        )

    @precondition(lambda self: self._keyed)
    @rule(number=integers(0, 20))
    def repeat(self, number: int) -> None:
        """Repeat a call that had a key."""
        self._call(self._keyed[number % len(self._keyed)])

    @invariant()
    def accounts_are_the_models(self) -> None:
        """Compare all accounts, the entries of the accounts of this step, and the total with the model."""
        stored = self._run(self._backend.accounts.list(where=self._mine)).data
        assert {account.id: account for account in stored} == self._model.accounts
        self._assert_statements(self._touched)
        self._touched.clear()
        moved = sum(
            entry.amount_minor * ((entry.source is None) - (entry.target is None))
            for entry in self._model.ledger
        )
        assert sum(account.balance_minor for account in stored) == moved

    def teardown(self) -> None:
        """Compare the whole ledger once, at the end."""
        self._assert_statements(set(self._model.accounts))
        for owner_id in self._owners:
            mine = [
                entry
                for entry in self._model.ledger
                if any(side and side.owner_id == owner_id for side in (entry.source, entry.target))
            ]
            page = self._run(
                self._backend.accounts.transfers(owner_id=owner_id, sort="created_at", limit=1000)
            )
            assert (page.data, page.count) == (mine, len(mine))

    def _assert_statements(self, ids: set[str]) -> None:
        """Compare each account's entries, with the balances after them, with the model's ledger."""
        for id_ in ids & set(self._model.accounts):
            entries = self._run(entries_of(self._backend, id_))
            mine = [e for e in self._model.ledger if id_ in (e.from_account_id, e.to_account_id)]
            assert [entry.transfer for entry in entries] == mine
            balances = [sum(e.amount_minor for e in entries[: n + 1]) for n in range(len(entries))]
            assert [entry.balance_minor for entry in entries] == balances
            assert [entry.version for entry in entries] == list(range(2, len(entries) + 2))

    def _order(self, who: int, name: str | None, move: Move) -> None:
        self._call(Call(self._callers[who].id, name and self._prefix + name, move))

    def _call(self, call: Call) -> None:
        """Make the call, compare its outcome with the model's, and apply it to the model."""
        expected, is_repeated = self._model.expect(call)
        outcome = self._outcome(self._make(call))
        if isinstance(outcome, (Account, Transfer)) and not is_repeated:
            self._compare(expected, blank(outcome))
        else:
            self._compare(expected, outcome)
        if not is_repeated and outcome is not None:
            self._model.note(call, outcome)
            if call.key:
                self._keyed.append(call)
        if isinstance(call.wanted, Move):
            self._touched |= {id_ for id_ in (call.wanted.source, call.wanted.target) if id_}

    def _make(self, call: Call) -> Coroutine[Any, Any, Account | Transfer]:
        accounts, wanted, by = self._backend.accounts, call.wanted, call.by
        once: Idempotency | None = key(call.key, repr(wanted)) if call.key else None
        if isinstance(wanted, Addition):
            new = NewAccount(name="account", currency=wanted.currency)
            return accounts.add(new, owner_id=by, idempotency=once)
        if wanted.source and wanted.target:
            form = order_of(wanted.source, wanted.target, wanted.amount)
            return accounts.transfer(form, ordered_by=by, owner_id=wanted.owner_id, idempotency=once)
        operation = accounts.deposit if wanted.target else accounts.withdraw
        id_ = wanted.target or wanted.source or ""
        return operation(id_, money(wanted.amount), ordered_by=by, idempotency=once)

    def _outcome(self, body: Coroutine[Any, Any, Outcome | None]) -> Outcome | None:
        try:
            return self._run(body)
        except BackendError as exc:
            return exc

    def _compare(self, expected: Outcome | None, outcome: Outcome | None) -> None:
        if isinstance(expected, BackendError) and isinstance(outcome, BackendError):
            assert facts(outcome) == facts(expected)
        else:
            assert outcome == expected


@pytest.mark.timeout(600)  # Shrinking takes up to five minutes.
async def test_generated_histories_match_the_model(backend: Backend) -> None:
    """Outcomes, balances and the ledger equal the model's for every generated history."""
    callers = [await backend.users.add(new_user(number)) for number in range(2)]
    shared = SharedState(backend, asyncio.get_running_loop(), callers, count(len(callers)))
    history: Callable[[], RuleBasedStateMachine] = lambda: History(shared)  # noqa: E731 - of this type

    await asyncio.to_thread(run_state_machine_as_test, history, settings=PROFILE)  # type: ignore[arg-type]  # makes one
