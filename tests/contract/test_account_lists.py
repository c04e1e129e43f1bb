"""Lists of accounts: filters in every sort, names by code point, and pages."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from backends.models import Account, AccountFilter, AccountSort, NewAccount, Page, User
from backends.protocols import MAX_LIMIT, Backend
from eitherdb_contract.clock import ManualClock

from .expectations import race
from .list_kinds import order, position, sorted_by
from .samples import UNKNOWN_ID, new_account
from .test_sorts import TEXTS

pytestmark = pytest.mark.rule("Order", "Pages")

MILLISECOND = timedelta(milliseconds=1)
SORTS: list[AccountSort] = ["-created_at", "created_at", "name", "-name"]
NOTHING: Page[Account] = Page.of([], count=0, next=None)


@pytest.mark.rule("Counts")
async def test_list_fits_all_conditions(
    backend: Backend, clock: ManualClock, owner: User, other_user: User
) -> None:
    """Filters and owner combine in every sort and with pages; the count is of the whole list."""
    start = clock.now
    accounts = [
        await backend.accounts.add(
            NewAccount(name="bca"[n % 3], currency=("EUR", "USD", "JPY")[n // 2 % 3]),
            owner_id=(owner, other_user)[n % 5 % 2].id,
        )
        for n in range(14)
    ]
    for currency, after, before, owner_id in product(
        (None, "EUR"), (None, start + MILLISECOND), (None, start + 12 * MILLISECOND), (None, owner.id)
    ):
        where = AccountFilter(currency=currency, created_after=after, created_before=before)
        fitting = [
            account
            for account in accounts
            if currency in (None, account.currency)
            and (after is None or account.created_at > after)
            and (before is None or account.created_at < before)
            and owner_id in (None, account.owner_id)
        ]
        for sort in SORTS:
            rows = sorted_by(sort, list(fitting))
            page = await backend.accounts.list(where=where, owner_id=owner_id, sort=sort)
            assert page == Page.of(rows, count=len(rows), next=None), (where, owner_id, sort)
            behind = await backend.accounts.list(
                where=where, owner_id=owner_id, sort=sort, skip=1, limit=1, after=position(rows[0], sort)
            )
            more = position(rows[2], sort) if len(rows) > 3 else None
            assert behind == Page.of(rows[2:3], count=len(rows), next=more), (where, owner_id, sort)


async def test_list_by_currency_takes_the_code_exactly(backend: Backend, owner: User) -> None:
    """A currency matches exactly, without case folding or patterns. An unused code gives an empty list."""
    euros = await backend.accounts.add(NewAccount(name="a", currency="EUR"), owner_id=owner.id)
    await backend.accounts.add(NewAccount(name="a", currency="USD"), owner_id=owner.id)

    page = await backend.accounts.list(where=AccountFilter(currency="EUR"))
    assert page == Page.of([euros], count=1, next=None)
    for text in ("", "eur", "EU", "EUR ", "E%", "E__", "$ne", "null", "XXX", "\N{EURO SIGN}" * 255):
        for owner_id in (None, owner.id):
            page = await backend.accounts.list(where=AccountFilter(currency=text), owner_id=owner_id)
            assert page == NOTHING, (text, owner_id)
    for owner_id in (UNKNOWN_ID, ""):
        page = await backend.accounts.list(where=AccountFilter(currency="EUR"), owner_id=owner_id)
        assert page == NOTHING, owner_id


async def test_list_orders_names_by_code_point(backend: Backend, owner: User) -> None:
    """Names are sorted by code point, in the order of the table."""
    names = sorted(set(TEXTS), key=lambda text: [ord(character) for character in text])
    _, errors = await race(
        backend.accounts.add(NewAccount(name=name, currency="EUR"), owner_id=owner.id)
        for name in names[::-1]
    )
    assert errors == []

    ascending = await backend.accounts.list(sort="name")
    descending = await backend.accounts.list(sort="-name", owner_id=owner.id)

    assert [account.name for account in ascending.data] == names
    assert [account.name for account in descending.data] == names[::-1]


async def test_list_limits_to_a_hundred_by_default(backend: Backend, owner: User) -> None:
    """The default limit is 100 rows; the maximum limit returns all."""
    accounts, errors = await race(
        backend.accounts.add(new_account(n), owner_id=owner.id) for n in range(101)
    )
    assert errors == []
    newest_first = sorted(accounts, key=order, reverse=True)

    page = await backend.accounts.list()
    assert page == Page.of(newest_first[:100], count=101, next=position(newest_first[99]))
    whole = await backend.accounts.list(limit=MAX_LIMIT)
    assert whole == Page.of(newest_first, count=101, next=None)
