"""Query plans of accounts and the ledger: lists, later pages and statements use an index."""

from __future__ import annotations

import pytest

from backends.models import AccountFilter, AccountSort, Position, TransferFilter
from backends.protocols import Backend
from tests.backends.fill import OWNERS, Filled
from tests.backends.raw import mongo_database
from tests.backends.record import recorded
from tests.backends.test_query_plans import (
    TIMES,
    Call,
    explain,
    explain_commands,
    scans,
    sorts,
    sql_backend,
)
from tests.provision import Provision

__all__ = ["sql_backend"]

OWNER = OWNERS + 7
"""The number of a user with accounts. Its accounts have the numbers 7, 107 and so on."""

ACCOUNT_SORTS: tuple[AccountSort, ...] = ("created_at", "-created_at", "name", "-name")


def accounts(sort: AccountSort, *, of_owner: bool, after: bool, **where: object) -> Call:
    """Return a call for a page of accounts, the first one or one from the middle."""

    async def call(backend: Backend, filled: Filled) -> object:
        row = filled.accounts[5007]
        return await backend.accounts.list(
            owner_id=filled.users[OWNER]["id"] if of_owner else None,
            where=AccountFilter(**where),
            sort=sort,
            after=Position(row[sort.removeprefix("-")], row["id"]) if after else None,
            limit=10,
            count=False,
        )

    return call


def transfers(*, descending: bool, of_owner: bool, after: bool, **where: object) -> Call:
    """Return a call for a page of the ledger."""

    async def call(backend: Backend, filled: Filled) -> object:
        row = filled.transfers[5007]
        return await backend.accounts.transfers(
            owner_id=filled.users[OWNER]["id"] if of_owner else None,
            where=TransferFilter(**where),
            sort="-created_at" if descending else "created_at",
            after=Position(row["created_at"], row["id"]) if after else None,
            limit=10,
            count=False,
        )

    return call


async def statement(backend: Backend, filled: Filled) -> object:
    """Read a statement of an account with a hundred entries in each direction."""
    repository = backend.accounts
    account = await repository.get(filled.accounts[7]["id"])
    read = await repository.statement(account.id)
    return [entries async for entries in read.entries]


EITHER = (False, True)
PAGES: dict[str, Call] = {
    **{
        f"accounts {sort}, of_owner={of_owner}, after={after}": accounts(
            sort, of_owner=of_owner, after=after
        )
        for sort in ACCOUNT_SORTS
        for of_owner in EITHER
        for after in EITHER
    },
    **{
        f"transfers descending={descending}, of_owner={of_owner}, after={after}": transfers(
            descending=descending, of_owner=of_owner, after=after
        )
        for descending in EITHER
        for of_owner in EITHER
        for after in EITHER
    },
}
FILTERED: dict[str, Call] = {
    f"{name} where {where}": call
    for where in TIMES
    for of_owner in EITHER
    for name, call in (
        ("accounts", accounts("name", of_owner=of_owner, after=True, currency="EUR", **where)),
        ("transfers", transfers(descending=True, of_owner=of_owner, after=True, **where)),
    )
}


async def test_pages_walk_an_index(sql_backend: Backend, filled_sql: Filled) -> None:
    """No table is scanned. At most the few rows of two half-pages are sorted."""
    for name, call in PAGES.items():
        lines = await explain(sql_backend, filled_sql, call)
        assert scans(lines) == [], name
        merged = name.startswith("transfers") and "of_owner=True" in name
        assert len(sorts(lines)) <= 2 * merged, (name, lines)


async def test_filtered_pages_and_statements_scan_no_table(
    sql_backend: Backend, filled_sql: Filled
) -> None:
    """Every filter uses an index."""
    for name, call in {**FILTERED, "statement": statement}.items():
        assert scans(await explain(sql_backend, filled_sql, call)) == [], name


@pytest.mark.parametrize("merging", [False, True])
async def test_pages_of_documents_walk_an_index(
    merging: bool,  # noqa: FBT001 - a parameter
    mongo: Provision,
    filled_mongo: Filled,
) -> None:
    """No collection is scanned and nothing is sorted; an owner's two halves are merged."""
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        for name, call in PAGES.items():
            if (name.startswith("transfers") and "of_owner=True" in name) is not merging:
                continue
            await call(backend, filled_mongo)
            stages = await explain_commands(database, commands)
            commands.clear()
            assert not [stage for stage in stages if stage.startswith(("COLLSCAN", "SORT "))], (
                name,
                stages,
            )
            assert (len([stage for stage in stages if stage.startswith("IXSCAN")]) == 2) is merging, name


async def test_filtered_pages_and_statements_scan_no_collection(
    mongo: Provision, filled_mongo: Filled
) -> None:
    """Every filter uses an index."""
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        for name, call in {**FILTERED, "statement": statement}.items():
            await call(backend, filled_mongo)
            stages = await explain_commands(database, commands)
            commands.clear()
            assert not [stage for stage in stages if "COLLSCAN" in stage], (name, stages)
