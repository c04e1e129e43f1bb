"""Rules that deposits, withdrawals and transfers share: consecutive versions and required transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from backends.capabilities import Capability
from backends.errors import AlreadyExists, InsufficientFunds, NotFound
from backends.models import Account, Transfer, User
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .conftest import ManualIds
from .expectations import raises, refused_without
from .money import (
    after,
    books,
    checked_books,
    key,
    money,
    needs_transactions,
    open_account,
    order_of,
    side,
)
from .samples import UNKNOWN_ID, hex_id

pytestmark = pytest.mark.rule("Money")

Move = Callable[[Backend, Account, Account, User], Awaitable[Transfer]]
# Each withdraws 3 from the first account or deposits them in the second, as a call of the user.
MOVES: dict[str, Move] = {
    "deposit": lambda b, _, target, user: b.accounts.deposit(target.id, money(3), ordered_by=user.id),
    "withdraw": lambda b, source, _, user: b.accounts.withdraw(source.id, money(3), ordered_by=user.id),
    "transfer": lambda b, source, target, user: b.accounts.transfer(
        order_of(source, target, 3), ordered_by=user.id
    ),
}


@needs_transactions("accounts.deposit")
async def test_versions_and_balances_of_an_account_have_no_gap(
    backend: Backend, owner: User, other_user: User
) -> None:
    """Each entry increments the version of each of its accounts, for every operation; a refusal doesn't."""
    source = await open_account(backend, owner, balance=100)
    target = await open_account(backend, owner, balance=50)
    for n, (name, move) in enumerate(list(MOVES.items()) * 5):
        moved = await move(backend, source, target, other_user)
        with raises(InsufficientFunds(source.id)):
            await backend.accounts.withdraw(source.id, money(1_000), ordered_by=owner.id)

        assert moved.source == (None if name == "deposit" else side(source, -3)), n
        assert moved.target == (None if name == "withdraw" else side(target, 3)), n
        source = after(source, moved) if moved.source else source
        target = after(target, moved) if moved.target else target
        assert (await books(backend))[0] == [target, source], n
    assert (source.version, target.version) == (12, 12)
    await checked_books(backend)


@pytest.mark.rule("Atomicity")
@pytest.mark.parametrize("name", MOVES)
async def test_move_without_transactions_is_refused_before_anything_else(
    backend: Backend, owner: User, name: str
) -> None:
    """Without transactions an operation is refused before any other check."""
    source, target = [await open_account(backend, owner, name=name) for name in ("source", "target")]
    nowhere = [replace(source, id=id_) for id_ in (UNKNOWN_ID, "")]
    can = Capability.TRANSACTIONS in backend.capabilities

    for first, second in ((source, target), nowhere, nowhere[::-1]):
        refusal = {
            "deposit": NotFound("account", second.id),
            "withdraw": NotFound("account", first.id)
            if first is not source
            else InsufficientFunds(first.id),
            "transfer": NotFound("account", first.id)
            if first is not source
            else InsufficientFunds(first.id),
        }[name]
        with refused_without(backend, Capability.TRANSACTIONS, f"accounts.{name}"):
            if name == "deposit" and second is target:
                assert (await MOVES[name](backend, first, second, owner)).target == side(target, 3)
            else:
                with raises(refusal):
                    await MOVES[name](backend, first, second, owner)

    deposited = 3 if can and name == "deposit" else 0
    accounts, entries = await checked_books(backend)
    assert sum(account.balance_minor for account in accounts) == deposited
    assert len(entries) == deposited // 3


# Each differs in this field from a deposit of 3 in the owner's first account, whose id it is given.
OTHERS: dict[str, Callable[[Backend, Sequence[Account], User, User], Awaitable[Transfer]]] = {
    "orderer": lambda b, mine, _, other: b.accounts.deposit(mine[0].id, money(3), ordered_by=other.id),
    "amount": lambda b, mine, me, _: b.accounts.deposit(mine[0].id, money(4), ordered_by=me.id),
    "note": lambda b, mine, me, _: b.accounts.deposit(mine[0].id, money(3, "rent"), ordered_by=me.id),
    "key": lambda b, mine, me, _: b.accounts.deposit(
        mine[0].id, money(3), ordered_by=me.id, idempotency=key()
    ),
    "account": lambda b, mine, me, _: b.accounts.deposit(mine[1].id, money(3), ordered_by=me.id),
    "direction": lambda b, mine, me, _: b.accounts.withdraw(mine[0].id, money(3), ordered_by=me.id),
    "side": lambda b, mine, me, _: b.accounts.transfer(order_of(mine[0], mine[1], 3), ordered_by=me.id),
    "funds": lambda b, mine, me, _: b.accounts.withdraw(mine[1].id, money(3), ordered_by=me.id),
    "funds and key": lambda b, mine, me, _: b.accounts.withdraw(
        mine[1].id, money(3), ordered_by=me.id, idempotency=key()
    ),
    "existence": lambda b, _, me, __: b.accounts.deposit(UNKNOWN_ID, money(3), ordered_by=me.id),
}


@pytest.mark.rule("Uniqueness")
@pytest.mark.parametrize("difference", [*OTHERS, "time"])
@needs_transactions("accounts.deposit")
async def test_move_refuses_the_id_of_another_entry(
    backend: Backend,
    given_ids: Backend,
    ids: ManualIds,
    clock: ManualClock,
    owner: User,
    other_user: User,
    difference: str,
) -> None:
    """A duplicate id is refused, however similar the entries are, and no other error hides it."""
    mine = [await open_account(given_ids, owner) for _ in range(2)]
    clock.stop()
    ids.upcoming = [hex_id(1), hex_id(1)]
    await given_ids.accounts.deposit(mine[0].id, money(3), ordered_by=owner.id)
    before = await checked_books(backend)

    if difference == "time":
        clock.pass_by(seconds=0.001)
    with raises(AlreadyExists("transfer", "id")):
        if difference == "time":
            await given_ids.accounts.deposit(mine[0].id, money(3), ordered_by=owner.id)
        else:
            await OTHERS[difference](given_ids, mine, owner, other_user)

    assert await checked_books(backend) == before
    # The key is still unused.
    again = await given_ids.accounts.deposit(mine[0].id, money(3), ordered_by=owner.id, idempotency=key())
    assert again.target == side(after(mine[0], before[1][0]), 3)
