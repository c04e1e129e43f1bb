"""Why a posting is refused, and which reason comes first: decided in one place for every backend."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from backends.errors import (
    BackendError,
    BalanceOverflow,
    CurrencyMismatch,
    InsufficientFunds,
    NotFound,
    NotOwner,
)
from backends.ids import utc_now
from backends.ledger import Posting, refusal_of
from backends.models import MAX_MINOR, Account

SOURCE, TARGET, OWNER, STRANGER = ("1" * 24, "2" * 24, "3" * 24, "4" * 24)
NOW = utc_now()


def account(id: str, *, balance: int = 0, currency: str = "EUR") -> Account:
    """Return an account of the owner."""
    return Account(
        id=id,
        owner_id=OWNER,
        name="account",
        currency=currency,
        balance_minor=balance,
        created_at=NOW,
        version=1,
    )


def refusal(
    amount: int,
    source: Account | None = None,
    target: Account | None = None,
    *,
    of: tuple[str | None, str | None] = (SOURCE, TARGET),
    owner: str | None = None,
) -> BackendError | None:
    """Return why the amount can't be moved between these accounts, which a posting has by these ids."""
    posting = Posting(
        id="5" * 24,
        ordered_by=STRANGER,
        owner_id=owner,
        from_account_id=of[0],
        to_account_id=of[1],
        amount_minor=amount,
        note=None,
        created_at=NOW,
        idempotency=None,
    )
    return refusal_of(posting, {each.id: each for each in (source, target) if each is not None})


def test_posting_to_the_limits_is_none() -> None:
    """All the money may go, and a balance may be as large as it can."""
    full, empty = account(SOURCE, balance=10), account(TARGET, balance=MAX_MINOR - 10)
    for owner in (None, OWNER):
        assert refusal(10, full, empty, owner=owner) is None
    assert refusal(10, full, of=(SOURCE, None)) is None
    assert refusal(10, None, empty, of=(None, TARGET)) is None


# What is wrong, in the order in which it is told.
REASONS: dict[str, BackendError] = {
    "no source": NotFound("account", SOURCE),
    "owner": NotOwner("account", SOURCE),
    "no target": NotFound("account", TARGET),
    "currency": CurrencyMismatch("EUR", "USD"),
    "funds": InsufficientFunds(SOURCE),
    "overflow": BalanceOverflow(TARGET),
}
EXCLUDE_EACH_OTHER = [
    *({"no source", other} for other in ("owner", "currency", "funds")),
    *({"no target", other} for other in ("currency", "overflow")),
]


@pytest.mark.parametrize(
    "reasons",
    [
        each
        for count in (1, 2, 3, 4)
        for each in combinations(REASONS, count)
        if not any(pair <= set(each) for pair in EXCLUDE_EACH_OTHER)
    ],
    ids="+".join,
)
def test_first_of_several_reasons_is_told(reasons: tuple[str, ...]) -> None:
    """With its facts."""
    source = account(SOURCE, balance=9 if "funds" in reasons else 10)
    target = account(
        TARGET,
        balance=MAX_MINOR - (9 if "overflow" in reasons else 10),
        currency="USD" if "currency" in reasons else "EUR",
    )
    found = refusal(
        10,
        None if "no source" in reasons else source,
        None if "no target" in reasons else target,
        owner=STRANGER if "owner" in reasons else None,
    )
    expected = REASONS[reasons[0]]
    assert (type(found), vars(found)) == (type(expected), vars(expected))


def test_side_that_a_posting_does_not_have_is_no_reason() -> None:
    """A deposit takes from nobody, and a withdrawal gives to nobody."""
    poor, full = account(SOURCE), account(TARGET, balance=MAX_MINOR)
    found = refusal(1, None, full, of=(None, TARGET), owner=STRANGER)
    assert isinstance(found, BalanceOverflow)
    assert isinstance(refusal(1, poor, of=(SOURCE, None), owner=OWNER), InsufficientFunds)
    assert refusal(1, replace(poor, balance_minor=1), of=(SOURCE, None), owner=OWNER) is None
