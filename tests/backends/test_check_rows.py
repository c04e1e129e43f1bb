"""The check of all rows: it reports every unreadable or inconsistent row, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from backends.errors import NotFound, UnreadableRow
from backends.models import Account, NewItem, User
from backends.rows import walk
from backends.rows.ledger import Fault
from backends.rows.rules import STORED_MODELS
from backends.rows.walk import RowWalk
from backends.sql.schema import METADATA
from migrations import open_migrator
from tests.backends.planted import PLANTED_FAULTS, PlantedFault, ValidRows, plant, writing
from tests.backends.raw import opened
from tests.provision import Provision


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirm findings without a delay. Only the test of concurrent changes needs the delay."""
    monkeypatch.setattr(walk, "SECOND_LOOK_SECONDS", 0)


async def some_rows(valid: ValidRows, n: int) -> tuple[list[User], list[Account]]:
    """Add users with items, and accounts with transfers between them."""
    users = [await valid.user(1000 + k) for k in range(n)]
    accounts = [await valid.account(1000 + k, user) for k, user in enumerate(users)]
    for k, user in enumerate(users):
        await valid.item(k, user)
        await valid.transfer(accounts[k], accounts[k - 1], 3)
        await valid.transfer(accounts[k], accounts[k - 2], 1)
    # A deleted account, whose entries stay.
    await valid.transfer(accounts[0], accounts[1], 10 - 3 - 1 + 3 + 1)
    await valid.backend.accounts.delete(accounts[0].id)
    return users, accounts


async def test_valid_database_of_thousands_of_rows_has_no_fault(migrated: Provision) -> None:
    """A valid database has no violation. Every row and both sides of every entry are counted."""
    await migrated.clean()
    async with opened(migrated.open()) as backend:
        valid = ValidRows(backend)
        users, _ = await some_rows(valid, 5)
        for n in range(3):
            await backend.items.add_many(
                [NewItem(title=f"Ⅸ {n} {k}") for k in range(1000)], owner_id=users[n].id
            )
        await backend.counters.add("a", 1, lasts_seconds=60)
        read: dict[str, int] = {}

        def on_progress(phase: str, rows: int) -> None:
            read[phase] = read.get(phase, 0) + rows

        report = await RowWalk(backend, on_progress=on_progress).run()

        entries = 5 + 10 + 1
        assert report.faults == []
        assert report.rows == {
            "users": 5,
            "items": 3005,
            "accounts": 4,
            "transfers": entries,
            "idempotency_keys": 10,
            "counters": 1,
        }
        again = {"duplicates": 5 + 5 + 10, "ledger": entries + (entries - 5)}
        assert read == {**{str(kind): rows for kind, rows in report.rows.items()}, **again}


async def test_every_planted_fault_is_named_and_no_other(migrated: Provision) -> None:
    """Every planted fault is reported once by kind, id and field, also in the error of a failed read."""
    kind = migrated.settings.db_backend
    plants = [each for each in PLANTED_FAULTS if kind in each.on]
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            valid = ValidRows(backend)
            await some_rows(valid, 3)
            lists = (backend.users, backend.items, backend.accounts)
            sound_ids = {row["id"] for rows in lists for row in (await rows.list()).rows}
            sound_ids |= {row["id"] for row in (await backend.accounts.transfers()).rows}
            planted = [(each, await plant(valid, writer, each, n)) for n, each in enumerate(plants)]

            report = await RowWalk(backend, limit=1000).run()

            for each, (name, _) in planted:
                assert any(matches(each, name, fault) for fault in report.faults), (
                    each,
                    [fault for fault in report.faults if fault.id == name],
                )
            assert sound_ids & {fault.id for fault in report.faults} == set()
            await assert_named(backend, [(each, name) for each, (name, _) in planted if each.fails])


def matches(planted: PlantedFault, name: str, fault: Fault) -> bool:
    """Return whether this is the fault.

    A gap in the ledger is reported for the account, not for an entry.
    """
    is_of_row = fault.id == name or planted.field == "version"
    what = fault.problem.what.startswith(planted.problem)
    return is_of_row and what and fault.problem.field == (planted.field or planted.name)


async def assert_named(backend: Any, failing: list[tuple[PlantedFault, str]]) -> None:
    """Read the rows by id, singly and in bulk, and in a list."""
    get = {
        "users": backend.users.get,
        "items": backend.items.get,
        "transfers": backend.accounts.get_transfer,
    }
    for each, name in failing:
        with pytest.raises(UnreadableRow) as caught:
            await get[each.kind](name)
        assert str(caught.value) == f'{each.kind} {name}: field "{each.name}" {each.problem}'
    many: list[Any] = await asyncio.gather(
        *(get[each.kind](name) for each, name in failing), return_exceptions=True
    )
    assert [(type(error), error.id) for error in many] == [(UnreadableRow, name) for _, name in failing]
    lists = {
        "users": backend.users.list,
        "items": backend.items.list,
        "transfers": backend.accounts.transfers,
    }
    for kind, list_ in lists.items():
        names = {name for each, name in failing if each.kind == kind}
        if names and backend.server.product != "SQLite":
            with pytest.raises(UnreadableRow) as caught:
                await list_(limit=1000)
            assert (caught.value.kind, caught.value.id in names) == (kind, True)


async def test_deleted_entry_is_reported_for_both_accounts(migrated: Provision) -> None:
    """A deleted entry is reported for both accounts, and a deleted account with money for its entries."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            valid = ValidRows(backend)
            _, accounts = await some_rows(valid, 4)
            entry = next(
                each
                for each in (await backend.accounts.transfers()).data
                if each.from_account_id == accounts[2].id and each.to_account_id == accounts[1].id
            )
            await writer.delete("transfers", {"id": ObjectId(entry.id)})
            await writer.delete("accounts", {"id": ObjectId(accounts[3].id)})

            faults = (await RowWalk(backend).run()).faults

            reported = {(fault.kind, fault.id, fault.problem.field) for fault in faults}
            assert reported == {
                ("accounts", accounts[1].id, "version"),
                ("accounts", accounts[2].id, "version"),
                ("accounts", accounts[3].id, "id"),
            }


async def test_duplicates_are_found_where_no_index_forbids_them(migrated: Provision) -> None:
    """Without the unique index, `check` reports the missing index and the duplicate rows."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            valid = ValidRows(backend)
            first, second = [await valid.user(n) for n in range(2)]
            await writer.allow_duplicates()
            await writer.set("users", {"id": ObjectId(second.id)}, "email", first.email)

            (fault,) = (await RowWalk(backend).run()).faults

            assert (fault.kind, fault.problem.field) == ("users", "email")
            assert fault.id in {first.id, second.id}


async def test_concurrent_changes_are_not_reported(
    migrated: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While money moves, and users and items are added and deleted, nothing is reported."""
    monkeypatch.setattr(walk, "SECOND_LOOK_SECONDS", 0.2)
    monkeypatch.setattr("backends.rows.batches.BATCH", 7)  # Many batches, between which rows change.
    await migrated.clean()
    async with opened(migrated.open()) as backend:
        valid = ValidRows(backend)
        _, accounts = await some_rows(valid, 8)
        walked = asyncio.Event()

        async def move_money() -> None:
            n = 0
            while not walked.is_set():
                n += 1
                source, target = accounts[1 + n % 7], accounts[1 + (n + 3) % 7]
                if (await backend.accounts.get(source.id)).balance_minor:
                    await valid.transfer(source, target, 1)

        async def come_and_go() -> None:
            n = 0
            while not walked.is_set():
                n += 1
                user = await valid.user(5000 + n)
                await valid.item(n, user)
                await backend.users.delete(user.id)

        busy = [asyncio.create_task(work()) for work in (move_money, come_and_go)]
        reports = [await RowWalk(backend).run() for _ in range(3)]
        walked.set()
        await asyncio.gather(*busy)
        assert [report.faults for report in reports] == [[], [], []]


async def test_faults_are_counted_and_the_first_are_kept(migrated: Provision) -> None:
    """All faults are counted, but only the first ones are reported."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            valid = ValidRows(backend)
            wrong = PlantedFault("items", "version", 0, "")
            for n in range(7):
                await plant(valid, writer, wrong, n)

            report = await RowWalk(backend, limit=3).run()

            assert report.faulty["items"] == 7
            assert len(report.faults) == 3


async def test_get_of_an_unknown_row_raises_not_found(migrated: Provision) -> None:
    """An unknown row raises NotFound, not an error about an unreadable row."""
    async with opened(migrated.open()) as backend:
        with pytest.raises(NotFound):
            await backend.items.get("00112233445566778899aabb")


def test_rules_know_every_column() -> None:
    """Every stored field has a rule."""
    for kind, model in STORED_MODELS.items():
        assert list(model.model_fields) == METADATA.tables[kind].columns.keys(), kind
