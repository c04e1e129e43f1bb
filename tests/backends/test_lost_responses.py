"""The server's response to a posting is lost: a retry finds the posting and doesn't repeat it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from backends.capabilities import Capability
from backends.errors import ConnectionLost, NotSupported
from backends.ids import new_id, utc_now
from backends.ledger import Ledger, Posting
from backends.models import Account, Idempotency, NewAccount, NewEntry, NewTransfer, NewUser, Side, Transfer
from backends.protocols import Backend
from tests.backends.raw import opened
from tests.provision import Provision

DEPOSITED = 100
KEY = Idempotency("once", "f" * 64)


@dataclass
class Scenario:
    """Two accounts, one of them with money."""

    backend: Backend
    source: Account
    target: Account
    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    """Called before each retry."""

    async def move(self, operation: str, idempotency: Idempotency | None) -> Transfer:
        """Transfer or withdraw the whole balance, or deposit the same amount."""
        accounts, user = self.backend.accounts, self.source.owner_id
        money = NewEntry(amount_minor=DEPOSITED)
        if operation == "deposit":
            return await accounts.deposit(self.target.id, money, ordered_by=user, idempotency=idempotency)
        if operation == "withdraw":
            return await accounts.withdraw(self.source.id, money, ordered_by=user, idempotency=idempotency)
        new = NewTransfer(
            from_account_id=self.source.id, to_account_id=self.target.id, amount_minor=DEPOSITED
        )
        return await accounts.transfer(new, ordered_by=user, idempotency=idempotency)

    async def state(self) -> tuple[int, set[int]]:
        """Return the number of entries, and the balances of the accounts."""
        page = await self.backend.accounts.list()
        entries = await self.backend.accounts.transfers()
        return len(entries.data), {account.balance_minor for account in page.data}


def lose_responses(scenario: Scenario, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Lose the responses of this number of postings."""
    ledger = scenario.backend.accounts
    assert isinstance(ledger, Ledger)
    post = ledger._post
    lost = 0

    async def post_and_lose(posting: Posting) -> Transfer:
        nonlocal lost
        made = await post(posting)
        if lost < times:
            lost += 1
            for happen in scenario.meanwhile:
                await happen()
            raise ConnectionLost("as planned")
        return made

    monkeypatch.setattr(ledger, "_post", post_and_lose)


@pytest.fixture
async def scenario(provision: Provision) -> AsyncIterator[Scenario]:
    """Create the accounts in an empty database."""
    await provision.clean()
    async with opened(provision.open()) as backend:
        user = await backend.users.add(NewUser(email="owner@example.com", hashed_password="x"))
        new = NewAccount(name="account", currency="EUR")
        source, target = [await backend.accounts.add(new, owner_id=user.id) for _ in range(2)]
        if Capability.TRANSACTIONS in backend.capabilities:
            await backend.accounts.deposit(source.id, NewEntry(amount_minor=DEPOSITED), ordered_by=user.id)
        yield Scenario(backend, source, target)


MOVES = pytest.mark.parametrize("operation", ["deposit", "withdraw", "transfer"])
KEYS = pytest.mark.parametrize("idempotency", [None, KEY], ids=["no key", "key"])
EXPECTED = {"deposit": (2, {DEPOSITED}), "withdraw": (2, {0}), "transfer": (2, {0, DEPOSITED})}


@MOVES
@KEYS
async def test_posting_whose_response_is_lost_is_found(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, operation: str, idempotency: Idempotency | None
) -> None:
    """The posting is also found if the accounts would refuse it a second time for lack of money."""
    lose_responses(scenario, monkeypatch, times=1)
    if Capability.TRANSACTIONS not in scenario.backend.capabilities:
        with pytest.raises(NotSupported):
            await scenario.move(operation, idempotency)
        return
    moved = await scenario.move(operation, idempotency)
    assert moved == await scenario.backend.accounts.get_transfer(moved.id)
    assert await scenario.state() == EXPECTED[operation]
    if idempotency is not None:
        assert await scenario.move(operation, idempotency) == moved
        assert await scenario.state() == EXPECTED[operation]


@KEYS
async def test_withdrawal_whose_account_is_deleted_before_the_next_try_is_found(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, idempotency: Idempotency | None
) -> None:
    """The account is deleted, but its entry stays."""
    scenario.meanwhile.append(lambda: scenario.backend.accounts.delete(scenario.source.id))
    lose_responses(scenario, monkeypatch, times=1)
    if Capability.TRANSACTIONS not in scenario.backend.capabilities:
        with pytest.raises(NotSupported):
            await scenario.move("withdraw", idempotency)
        return
    moved = await scenario.move("withdraw", idempotency)
    assert moved == await scenario.backend.accounts.get_transfer(moved.id)
    assert await scenario.state() == (2, {0})


def test_entry_is_of_the_posting_that_made_it_and_of_no_other() -> None:
    """All inputs of a posting are compared; the values that depend on its accounts are not."""
    source, target, other = new_id(), new_id(), new_id()
    sides = {
        id_: Side(account_id=id_, owner_id=new_id(), balance_minor=0, version=2)
        for id_ in (source, target, other)
    }
    posting = Posting(
        id=new_id(),
        ordered_by=new_id(),
        owner_id=None,
        from_account_id=source,
        to_account_id=target,
        amount_minor=1,
        note="note",
        created_at=utc_now(),
        idempotency=KEY,
    )
    for each in (
        posting,
        replace(posting, from_account_id=None),
        replace(posting, to_account_id=None),
        replace(posting, note=None, idempotency=None),
    ):
        entry = each.entry(sides.get(each.from_account_id or ""), sides.get(each.to_account_id or ""))
        assert each.is_of(entry)
        assert replace(each, owner_id=new_id()).is_of(entry)
        for changed in (
            replace(each, id=new_id()),
            replace(each, ordered_by=new_id()),
            replace(each, from_account_id=other),
            replace(each, to_account_id=other),
            replace(each, amount_minor=2),
            replace(each, note="another"),
            replace(each, created_at=utc_now().replace(year=2000)),
            replace(each, idempotency=Idempotency("another", KEY.fingerprint)),
        ):
            assert not changed.is_of(entry)
