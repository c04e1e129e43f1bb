"""Revisions that change collections, stopped before each write of the migrator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from eitherdb.migrations import (
    AddResource,
    Run,
)
from migrations import MigrationError
from migrations.mongo import fills
from tests.backends.raw import mongo_database
from tests.migrations.mongo_books import (
    CHANGES,
    Book,
    count_change,
    documents,
    no_sql,
    prepare,
    stored,
)
from tests.migrations.mongo_writes import StoppedError, before_writes, stop_before
from tests.migrations.shop import history_with
from tests.provision import Provision


@pytest.mark.parametrize("name", CHANGES)
async def test_a_revision_stopped_before_any_write_is_finished_or_undone(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the next run does, the collections and documents are those of an undisturbed run.

    A run up is stopped before each write in turn. If the next run finishes it, a run down is stopped too.
    """
    monkeypatch.setattr(fills, "BATCH", 2)
    history = history_with([AddResource(Book.__resource__)], CHANGES[name])
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = await prepare(settings, database, history)

        async def stop(number: int, change: Callable[[], Awaitable[object]]) -> bool:
            with before_writes(stop_before(number), monkeypatch):
                try:
                    await change()
                except StoppedError:
                    return True
            return False

        def downgrade() -> Awaitable[object]:
            return migrator.downgrade("shop:0001")

        start, records, _ = await stored(database)
        await migrator.upgrade()
        assert await migrator.check() == []
        after = await stored(database)
        await downgrade()
        before = await stored(database)
        assert before[:2] == (start, records)
        number = 0
        while await stop(number, migrator.upgrade):
            assert await migrator.applied() == {"shop": "0001"}
            assert (await migrator.check())[0].endswith("run `eitherdb migrate upgrade`")
            if number % 3 == 1:
                await migrator.upgrade()
                assert await stored(database) == after
                if await stop(number // 3, downgrade):
                    assert await migrator.applied() == {"shop": "0001" if number // 3 else "0002"}
                if number % 2:
                    await migrator.upgrade()
                    assert await stored(database) == after
            await downgrade()
            assert await stored(database) == before
            number += 1
        assert number > 8


async def test_an_operation_of_its_own_is_not_repeated_after_a_later_one(
    mongo: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of finished steps is recorded, so only the step that was stopped runs again."""
    again = [Run(sql=no_sql, mongo=count_change), *CHANGES["required"]]
    for number in range(3, 10, 2):
        async with mongo.empty_database() as settings, mongo_database(settings) as database:
            migrator = await prepare(
                settings, database, history_with([AddResource(Book.__resource__)], again)
            )
            with (
                before_writes(stop_before(number), monkeypatch),
                pytest.raises(StoppedError),
            ):
                await migrator.upgrade()
            await migrator.upgrade()
            assert {each["version"] for each in (await documents(database)).values()} == {2}
            with pytest.raises(MigrationError, match="can't be undone: an operation of its own"):
                await migrator.downgrade("shop:0001")
