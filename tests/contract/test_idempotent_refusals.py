"""Idempotency of refusals: an error is raised again after its cause is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest

from backends.errors import (
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    IdempotencyKeyReused,
    InsufficientFunds,
    NotFound,
    NotOwner,
)
from backends.models import MAX_MINOR, Idempotency, Transfer, User
from backends.protocols import Backend

from .conftest import ManualIds, Opener
from .expectations import facts, race, raises
from .money import (
    books,
    checked_books,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
    retry_conflicts,
)
from .samples import hex_id, malformed_ids

pytestmark = pytest.mark.rule("Idempotency")


@dataclass(frozen=True)
class RefusalSetup:
    """Two accounts with predefined ids and their owner. Each refusal prepares their state."""

    backend: Backend
    ids: ManualIds
    owner: User
    other_user: User
    source: str = hex_id(1)
    target: str = hex_id(2)

    async def create(
        self, id: str, *, balance: int = 0, currency: str = "EUR", of: User | None = None
    ) -> None:
        """Create an account with this id, in place of an existing one without entries."""
        owner = of or self.owner
        if any(account.id == id for account in (await self.backend.accounts.list()).data):
            await self.backend.accounts.delete(id)
        self.ids.upcoming = [id]
        await open_account(self.backend, owner, balance=balance, currency=currency)

    async def deposit(self, id: str, amount: int = MAX_MINOR) -> None:
        """Deposit money in an account."""
        await self.backend.accounts.deposit(id, money(amount), ordered_by=self.other_user.id)

    async def withdraw(self, id: str, amount: int = MAX_MINOR) -> None:
        """Withdraw money from an account."""
        await self.backend.accounts.withdraw(id, money(amount), ordered_by=self.other_user.id)


Step = Callable[[RefusalSetup], Awaitable[object]]
Call = Callable[[Backend, RefusalSetup, Idempotency | None], Awaitable[Transfer]]


def _deposit(b: Backend, t: RefusalSetup, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.deposit(t.target, money(5), ordered_by=t.owner.id, idempotency=k)


def _withdraw(b: Backend, t: RefusalSetup, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.withdraw(t.source, money(5), ordered_by=t.owner.id, idempotency=k)


def _transfer(b: Backend, t: RefusalSetup, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.transfer(
        order_of(t.source, t.target, 5), ordered_by=t.owner.id, owner_id=t.owner.id, idempotency=k
    )


def _steps(*steps: Step) -> list[Step]:
    return list(steps)


# The initial state, the call, its refusal, and the change that lets the call succeed.
REFUSALS: dict[str, tuple[list[Step], Call, Callable[[RefusalSetup], BackendError], list[Step]]] = {
    "deposit-to-nowhere": (
        _steps(),
        _deposit,
        lambda t: NotFound("account", t.target),
        _steps(lambda t: t.create(t.target)),
    ),
    "deposit-into-a-full-account": (
        _steps(lambda t: t.create(t.target, balance=MAX_MINOR - 4)),
        _deposit,
        lambda t: BalanceOverflow(t.target),
        _steps(lambda t: t.withdraw(t.target, 1)),
    ),
    "withdrawal-from-nowhere": (
        _steps(),
        _withdraw,
        lambda t: NotFound("account", t.source),
        _steps(lambda t: t.create(t.source, balance=5)),
    ),
    "withdrawal-of-too-much": (
        _steps(lambda t: t.create(t.source, balance=4)),
        _withdraw,
        lambda t: InsufficientFunds(t.source),
        _steps(lambda t: t.deposit(t.source, 1)),
    ),
    "transfer-from-nowhere": (
        _steps(lambda t: t.create(t.target)),
        _transfer,
        lambda t: NotFound("account", t.source),
        _steps(lambda t: t.create(t.source, balance=5)),
    ),
    "transfer-to-nowhere": (
        _steps(lambda t: t.create(t.source, balance=5)),
        _transfer,
        lambda t: NotFound("account", t.target),
        _steps(lambda t: t.create(t.target)),
    ),
    "transfer-of-another": (
        _steps(lambda t: t.create(t.source, of=t.other_user), lambda t: t.create(t.target)),
        _transfer,
        lambda t: NotOwner("account", t.source),
        _steps(lambda t: t.create(t.source, balance=5)),
    ),
    "transfer-into-another-currency": (
        _steps(lambda t: t.create(t.source, balance=5), lambda t: t.create(t.target, currency="USD")),
        _transfer,
        lambda _: CurrencyMismatch("EUR", "USD"),
        _steps(lambda t: t.create(t.target)),
    ),
    "transfer-of-too-much": (
        _steps(lambda t: t.create(t.source, balance=4), lambda t: t.create(t.target)),
        _transfer,
        lambda t: InsufficientFunds(t.source),
        _steps(lambda t: t.deposit(t.source, 1)),
    ),
    "transfer-into-a-full-account": (
        _steps(lambda t: t.create(t.source, balance=5), lambda t: t.create(t.target, balance=MAX_MINOR)),
        _transfer,
        lambda t: BalanceOverflow(t.target),
        _steps(lambda t: t.withdraw(t.target)),
    ),
}


@pytest.fixture
async def refusal_setup(given_ids: Backend, ids: ManualIds, owner: User, other_user: User) -> RefusalSetup:
    """Return the object that prepares the state for each refusal."""
    return RefusalSetup(given_ids, ids, owner, other_user)


@needs_transactions("accounts.deposit")
async def test_refusal_is_raised_again_after_its_cause_is_gone(
    backend: Backend, open_another: Opener, owner: User, refusal_setup: RefusalSetup
) -> None:
    """Each refusal stores only its key, and the same call with another key succeeds."""
    another = await open_another()
    await open_account(backend, owner, balance=1)
    for n, (name, (given, call, refusal, cure)) in enumerate(REFUSALS.items(), 1):
        refusal_setup = replace(refusal_setup, source=hex_id(n * 256), target=hex_id(n * 256 + 1))
        error = refusal(refusal_setup)
        for step in given:
            await step(refusal_setup)
        before = await checked_books(backend)
        for through in (backend, another):
            with raises(error):
                await call(through, refusal_setup, key(name))
            with raises(error):
                await call(through, refusal_setup, None)
        assert await books(backend) == before, name

        for step in cure:
            await step(refusal_setup)
        cured = await checked_books(backend)
        for through in (backend, another):
            with raises(error):
                await call(through, refusal_setup, key(name))
            with raises(IdempotencyKeyReused(name)):
                await call(through, refusal_setup, key(name, "another request"))
        assert await books(backend) == cured, name

        done = await call(backend, refusal_setup, key(f"{name}-again"))
        assert done.amount_minor == 5, name


@pytest.mark.rule("Identity")
@needs_transactions("accounts.deposit")
async def test_refusal_of_a_malformed_id_is_raised_again(backend: Backend, owner: User) -> None:
    """A repetition reports the malformed id that the first call was given."""
    account = await open_account(backend, owner, balance=1)
    for n, id_ in enumerate(id_ for id_ in malformed_ids(account.id) if len(id_) <= 255):
        for _ in range(2):
            with raises(NotFound("account", id_)):
                await backend.accounts.deposit(id_, money(1), ordered_by=owner.id, idempotency=key(f"{n}"))
    assert len((await checked_books(backend))[1]) == 1


@needs_transactions("accounts.deposit")
async def test_concurrent_refusals_with_one_key_are_one(
    backend: Backend, open_another: Opener, owner: User, refusal_setup: RefusalSetup
) -> None:
    """Twenty concurrent calls through two backends raise one error, which is stored."""
    both = backend, await open_another()
    await open_account(backend, owner, balance=1)
    names = ("deposit-to-nowhere", "withdrawal-of-too-much", "transfer-of-too-much")
    for n, name in enumerate(names, 1):
        given, call, refusal, cure = REFUSALS[name]
        refusal_setup = replace(refusal_setup, source=hex_id(n * 256), target=hex_id(n * 256 + 1))
        error = refusal(refusal_setup)
        for step in given:
            await step(refusal_setup)
        before = await checked_books(backend)

        results, errors = await race(
            retry_conflicts(partial(call, both[n % 2], refusal_setup, key(name))) for n in range(20)
        )

        assert (results, errors) == ([], [facts(error)] * 20), name
        assert await books(backend) == before, name
        for step in cure:
            await step(refusal_setup)
        with raises(error):
            await call(backend, refusal_setup, key(name))
