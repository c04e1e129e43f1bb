"""Idempotency of refusals: an error that was raised once is raised again, though the way is free now."""

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
    in_the_end,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
)
from .samples import hex_id, malformed_ids

pytestmark = pytest.mark.rule("Idempotency")


@dataclass(frozen=True)
class Teller:
    """Two accounts of given ids and their owner; what there is of them, each refusal makes itself."""

    backend: Backend
    ids: ManualIds
    owner: User
    stranger: User
    source: str = hex_id(1)
    target: str = hex_id(2)

    async def have(
        self, id: str, *, balance: int = 0, currency: str = "EUR", of: User | None = None
    ) -> None:
        """Put an account of this id there, in the place of one that was there without an entry."""
        owner = of or self.owner
        if any(account.id == id for account in (await self.backend.accounts.list()).data):
            await self.backend.accounts.delete(id)
        self.ids.upcoming = [id]
        await open_account(self.backend, owner, balance=balance, currency=currency)

    async def fill(self, id: str, amount: int = MAX_MINOR) -> None:
        """Bring money into an account."""
        await self.backend.accounts.deposit(id, money(amount), ordered_by=self.stranger.id)

    async def drain(self, id: str, amount: int = MAX_MINOR) -> None:
        """Take money out of an account."""
        await self.backend.accounts.withdraw(id, money(amount), ordered_by=self.stranger.id)


Step = Callable[[Teller], Awaitable[object]]
Call = Callable[[Backend, Teller, Idempotency | None], Awaitable[Transfer]]


def _deposit(b: Backend, t: Teller, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.deposit(t.target, money(5), ordered_by=t.owner.id, idempotency=k)


def _withdraw(b: Backend, t: Teller, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.withdraw(t.source, money(5), ordered_by=t.owner.id, idempotency=k)


def _transfer(b: Backend, t: Teller, k: Idempotency | None) -> Awaitable[Transfer]:
    return b.accounts.transfer(
        order_of(t.source, t.target, 5), ordered_by=t.owner.id, owner_id=t.owner.id, idempotency=k
    )


def _steps(*steps: Step) -> list[Step]:
    return list(steps)


# What is there, the call, its refusal, and what lets it go the next time.
REFUSALS: dict[str, tuple[list[Step], Call, Callable[[Teller], BackendError], list[Step]]] = {
    "deposit-to-nowhere": (
        _steps(),
        _deposit,
        lambda t: NotFound("account", t.target),
        _steps(lambda t: t.have(t.target)),
    ),
    "deposit-into-a-full-account": (
        _steps(lambda t: t.have(t.target, balance=MAX_MINOR - 4)),
        _deposit,
        lambda t: BalanceOverflow(t.target),
        _steps(lambda t: t.drain(t.target, 1)),
    ),
    "withdrawal-from-nowhere": (
        _steps(),
        _withdraw,
        lambda t: NotFound("account", t.source),
        _steps(lambda t: t.have(t.source, balance=5)),
    ),
    "withdrawal-of-too-much": (
        _steps(lambda t: t.have(t.source, balance=4)),
        _withdraw,
        lambda t: InsufficientFunds(t.source),
        _steps(lambda t: t.fill(t.source, 1)),
    ),
    "transfer-from-nowhere": (
        _steps(lambda t: t.have(t.target)),
        _transfer,
        lambda t: NotFound("account", t.source),
        _steps(lambda t: t.have(t.source, balance=5)),
    ),
    "transfer-to-nowhere": (
        _steps(lambda t: t.have(t.source, balance=5)),
        _transfer,
        lambda t: NotFound("account", t.target),
        _steps(lambda t: t.have(t.target)),
    ),
    "transfer-of-another": (
        _steps(lambda t: t.have(t.source, of=t.stranger), lambda t: t.have(t.target)),
        _transfer,
        lambda t: NotOwner("account", t.source),
        _steps(lambda t: t.have(t.source, balance=5)),
    ),
    "transfer-into-another-currency": (
        _steps(lambda t: t.have(t.source, balance=5), lambda t: t.have(t.target, currency="USD")),
        _transfer,
        lambda _: CurrencyMismatch("EUR", "USD"),
        _steps(lambda t: t.have(t.target)),
    ),
    "transfer-of-too-much": (
        _steps(lambda t: t.have(t.source, balance=4), lambda t: t.have(t.target)),
        _transfer,
        lambda t: InsufficientFunds(t.source),
        _steps(lambda t: t.fill(t.source, 1)),
    ),
    "transfer-into-a-full-account": (
        _steps(lambda t: t.have(t.source, balance=5), lambda t: t.have(t.target, balance=MAX_MINOR)),
        _transfer,
        lambda t: BalanceOverflow(t.target),
        _steps(lambda t: t.drain(t.target)),
    ),
}


@pytest.fixture
async def teller(given_ids: Backend, ids: ManualIds, owner: User, stranger: User) -> Teller:
    """Return who sets up what a call is refused for."""
    return Teller(given_ids, ids, owner, stranger)


@needs_transactions("accounts.deposit")
async def test_refusal_is_raised_again_though_the_call_would_go_now(
    backend: Backend, open_another: Opener, owner: User, teller: Teller
) -> None:
    """Each kind of refusal: it leaves no trace but its key, and the same call under another key goes."""
    another = await open_another()
    await open_account(backend, owner, balance=1)
    for n, (name, (given, call, refusal, cure)) in enumerate(REFUSALS.items(), 1):
        teller = replace(teller, source=hex_id(n * 256), target=hex_id(n * 256 + 1))
        error = refusal(teller)
        for step in given:
            await step(teller)
        before = await checked_books(backend)
        for through in (backend, another):
            with raises(error):
                await call(through, teller, key(name))
            with raises(error):
                await call(through, teller, None)
        assert await books(backend) == before, name

        for step in cure:
            await step(teller)
        cured = await checked_books(backend)
        for through in (backend, another):
            with raises(error):
                await call(through, teller, key(name))
            with raises(IdempotencyKeyReused(name)):
                await call(through, teller, key(name, "another request"))
        assert await books(backend) == cured, name

        done = await call(backend, teller, key(f"{name}-again"))
        assert done.amount_minor == 5, name


@pytest.mark.rule("Identity")
@needs_transactions("accounts.deposit")
async def test_refusal_of_a_malformed_id_is_raised_again(backend: Backend, owner: User) -> None:
    """Whatever stood for the id, the repetition names it as the first call did."""
    account = await open_account(backend, owner, balance=1)
    for n, id_ in enumerate(id_ for id_ in malformed_ids(account.id) if len(id_) <= 255):
        for _ in range(2):
            with raises(NotFound("account", id_)):
                await backend.accounts.deposit(id_, money(1), ordered_by=owner.id, idempotency=key(f"{n}"))
    assert len((await checked_books(backend))[1]) == 1


@needs_transactions("accounts.deposit")
async def test_concurrent_refusals_with_one_key_are_one(
    backend: Backend, open_another: Opener, owner: User, teller: Teller
) -> None:
    """Twenty at once through two backends raise one error, which stays."""
    both = backend, await open_another()
    await open_account(backend, owner, balance=1)
    names = ("deposit-to-nowhere", "withdrawal-of-too-much", "transfer-of-too-much")
    for n, name in enumerate(names, 1):
        given, call, refusal, cure = REFUSALS[name]
        teller = replace(teller, source=hex_id(n * 256), target=hex_id(n * 256 + 1))
        error = refusal(teller)
        for step in given:
            await step(teller)
        before = await checked_books(backend)

        results, errors = await race(
            in_the_end(partial(call, both[n % 2], teller, key(name))) for n in range(20)
        )

        assert (results, errors) == ([], [facts(error)] * 20), name
        assert await books(backend) == before, name
        for step in cure:
            await step(teller)
        with raises(error):
            await call(backend, teller, key(name))
