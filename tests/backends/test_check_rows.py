"""The walk through all rows: it finds what nobody could serve, names it, and finds nothing else."""

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
from tests.backends.planted import PLANTS, Plant, Sound, plant, writing
from tests.backends.raw import opened
from tests.provision import Provision


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once: nobody changes rows meanwhile, but for the test that says so."""
    monkeypatch.setattr(walk, "SECOND_LOOK_SECONDS", 0)


async def some_rows(sound: Sound, n: int) -> tuple[list[User], list[Account]]:
    """Add users with items and accounts between which money moved to and fro."""
    users = [await sound.user(1000 + k) for k in range(n)]
    accounts = [await sound.account(1000 + k, user) for k, user in enumerate(users)]
    for k, user in enumerate(users):
        await sound.item(k, user)
        await sound.transfer(accounts[k], accounts[k - 1], 3)
        await sound.transfer(accounts[k], accounts[k - 2], 1)
    # An account that is gone, whose entries stay.
    await sound.transfer(accounts[0], accounts[1], 10 - 3 - 1 + 3 + 1)
    await sound.backend.accounts.delete(accounts[0].id)
    return users, accounts


async def test_sound_database_of_thousands_of_rows_has_no_fault(migrated: Provision) -> None:
    """Every row is counted, over several batches, and so are both sides of all entries."""
    await migrated.clean()
    async with opened(migrated.open()) as backend:
        sound = Sound(backend)
        users, _ = await some_rows(sound, 5)
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
    """By kind, id and field, each once, among sound rows; what a repository can't read it names too."""
    kind = migrated.settings.db_backend
    plants = [each for each in PLANTS if kind in each.on]
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            sound = Sound(backend)
            await some_rows(sound, 3)
            lists = (backend.users, backend.items, backend.accounts)
            sound_ids = {row["id"] for rows in lists for row in (await rows.list()).rows}
            sound_ids |= {row["id"] for row in (await backend.accounts.transfers()).rows}
            planted = [(each, await plant(sound, writer, each, n)) for n, each in enumerate(plants)]

            report = await RowWalk(backend, limit=1000).run()

            for each, (name, _) in planted:
                assert any(is_told(each, name, fault) for fault in report.faults), (
                    each,
                    [fault for fault in report.faults if fault.id == name],
                )
            assert sound_ids & {fault.id for fault in report.faults} == set()
            await assert_named(backend, [(each, name) for each, (name, _) in planted if each.fails])


def is_told(planted: Plant, name: str, fault: Fault) -> bool:
    """Tell whether this is the fault; a gap in the ledger is one of the account, not of an entry."""
    is_of_row = fault.id == name or planted.field == "version"
    what = fault.problem.what.startswith(planted.problem)
    return is_of_row and what and fault.problem.field == (planted.field or planted.name)


async def assert_named(backend: Any, failing: list[tuple[Plant, str]]) -> None:
    """Read the rows by their ids, alone and many at once, and in a list."""
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


async def test_deleted_entry_is_missed_by_both_accounts(migrated: Provision) -> None:
    """And an account that was deleted with money is told of by its entries."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            sound = Sound(backend)
            _, accounts = await some_rows(sound, 4)
            entry = next(
                each
                for each in (await backend.accounts.transfers()).data
                if each.from_account_id == accounts[2].id and each.to_account_id == accounts[1].id
            )
            await writer.delete("transfers", {"id": ObjectId(entry.id)})
            await writer.delete("accounts", {"id": ObjectId(accounts[3].id)})

            faults = (await RowWalk(backend).run()).faults

            told = {(fault.kind, fault.id, fault.problem.field) for fault in faults}
            assert told == {
                ("accounts", accounts[1].id, "version"),
                ("accounts", accounts[2].id, "version"),
                ("accounts", accounts[3].id, "id"),
            }


async def test_duplicates_are_found_where_no_index_forbids_them(migrated: Provision) -> None:
    """Somebody dropped the unique index: the schema's check says so, and the rows are named."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            sound = Sound(backend)
            first, second = [await sound.user(n) for n in range(2)]
            await writer.allow_duplicates()
            await writer.set("users", {"id": ObjectId(second.id)}, "email", first.email)

            (fault,) = (await RowWalk(backend).run()).faults

            assert (fault.kind, fault.problem.field) == ("users", "email")
            assert fault.id in {first.id, second.id}


async def test_database_in_use_is_not_blamed(migrated: Provision, monkeypatch: pytest.MonkeyPatch) -> None:
    """While money moves, and users come and go with their items, nothing is reported."""
    monkeypatch.setattr(walk, "SECOND_LOOK_SECONDS", 0.2)
    monkeypatch.setattr("backends.rows.batches.BATCH", 7)  # many batches, between which rows change
    await migrated.clean()
    async with opened(migrated.open()) as backend:
        sound = Sound(backend)
        _, accounts = await some_rows(sound, 8)
        walked = asyncio.Event()

        async def move_money() -> None:
            n = 0
            while not walked.is_set():
                n += 1
                source, target = accounts[1 + n % 7], accounts[1 + (n + 3) % 7]
                if (await backend.accounts.get(source.id)).balance_minor:
                    await sound.transfer(source, target, 1)

        async def come_and_go() -> None:
            n = 0
            while not walked.is_set():
                n += 1
                user = await sound.user(5000 + n)
                await sound.item(n, user)
                await backend.users.delete(user.id)

        busy = [asyncio.create_task(work()) for work in (move_money, come_and_go)]
        reports = [await RowWalk(backend).run() for _ in range(3)]
        walked.set()
        await asyncio.gather(*busy)
        assert [report.faults for report in reports] == [[], [], []]


async def test_faults_are_counted_and_the_first_are_kept(migrated: Provision) -> None:
    """However many there are, the report stays short."""
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with opened(migrated.open(settings)) as backend, writing(settings) as writer:
            sound = Sound(backend)
            wrong = Plant("items", "version", 0, "")
            for n in range(7):
                await plant(sound, writer, wrong, n)

            report = await RowWalk(backend, limit=3).run()

            assert report.faulty["items"] == 7
            assert len(report.faults) == 3


async def test_get_of_an_unknown_row_is_no_unreadable_one(migrated: Provision) -> None:
    """What is not there is not found, as ever."""
    async with opened(migrated.open()) as backend:
        with pytest.raises(NotFound):
            await backend.items.get("00112233445566778899aabb")


def test_rules_know_every_column() -> None:
    """A field that is stored and has no rule would never be checked."""
    for kind, model in STORED_MODELS.items():
        assert list(model.model_fields) == METADATA.tables[kind].columns.keys(), kind
