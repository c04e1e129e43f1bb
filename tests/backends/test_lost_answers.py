"""A posting is done and its answer gets lost: the call finds it, and does not do it again."""

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
class Scene:
    """Two accounts, with money in one of them."""

    backend: Backend
    source: Account
    target: Account
    meanwhile: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    """What happens before the call tries again."""

    async def move(self, operation: str, idempotency: Idempotency | None) -> Transfer:
        """Move all the money, or bring as much in."""
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
        """Return how many entries there are, and the balances of the accounts."""
        page = await self.backend.accounts.list()
        entries = await self.backend.accounts.transfers()
        return len(entries.data), {account.balance_minor for account in page.data}


def lose_answers(scene: Scene, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Let so many postings be done without the ledger hearing of it."""
    ledger = scene.backend.accounts
    assert isinstance(ledger, Ledger)
    post = ledger._post
    lost = 0

    async def post_and_lose(posting: Posting) -> Transfer:
        nonlocal lost
        made = await post(posting)
        if lost < times:
            lost += 1
            for happen in scene.meanwhile:
                await happen()
            raise ConnectionLost("as planned")
        return made

    monkeypatch.setattr(ledger, "_post", post_and_lose)


@pytest.fixture
async def scene(provision: Provision) -> AsyncIterator[Scene]:
    """Make the accounts in an empty database."""
    await provision.clean()
    async with opened(provision.open()) as backend:
        user = await backend.users.add(NewUser(email="owner@example.com", hashed_password="x"))
        new = NewAccount(name="account", currency="EUR")
        source, target = [await backend.accounts.add(new, owner_id=user.id) for _ in range(2)]
        if Capability.TRANSACTIONS in backend.capabilities:
            await backend.accounts.deposit(source.id, NewEntry(amount_minor=DEPOSITED), ordered_by=user.id)
        yield Scene(backend, source, target)


MOVES = pytest.mark.parametrize("operation", ["deposit", "withdraw", "transfer"])
KEYS = pytest.mark.parametrize("idempotency", [None, KEY], ids=["no key", "key"])
EXPECTED = {"deposit": (2, {DEPOSITED}), "withdraw": (2, {0}), "transfer": (2, {0, DEPOSITED})}


@MOVES
@KEYS
async def test_posting_whose_answer_is_lost_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, operation: str, idempotency: Idempotency | None
) -> None:
    """Also where the accounts would refuse it a second time, because the money is gone."""
    lose_answers(scene, monkeypatch, times=1)
    if Capability.TRANSACTIONS not in scene.backend.capabilities:
        with pytest.raises(NotSupported):
            await scene.move(operation, idempotency)
        return
    moved = await scene.move(operation, idempotency)
    assert moved == await scene.backend.accounts.get_transfer(moved.id)
    assert await scene.state() == EXPECTED[operation]
    if idempotency is not None:
        assert await scene.move(operation, idempotency) == moved
        assert await scene.state() == EXPECTED[operation]


@KEYS
async def test_withdrawal_whose_account_is_deleted_before_the_next_try_is_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, idempotency: Idempotency | None
) -> None:
    """The account is gone, and the entry is not."""
    scene.meanwhile.append(lambda: scene.backend.accounts.delete(scene.source.id))
    lose_answers(scene, monkeypatch, times=1)
    if Capability.TRANSACTIONS not in scene.backend.capabilities:
        with pytest.raises(NotSupported):
            await scene.move("withdraw", idempotency)
        return
    moved = await scene.move("withdraw", idempotency)
    assert moved == await scene.backend.accounts.get_transfer(moved.id)
    assert await scene.state() == (2, {0})


def test_entry_is_of_the_posting_that_made_it_and_of_no_other() -> None:
    """All that a posting decides counts; what its accounts decide does not."""
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
