"""Query plans of declared resources: a list by a field that may be null walks its index both ways."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import pytest
from sqlalchemy import text

from backends import open_backend
from backends.models import NewUser, Position
from config import Settings
from eitherdb import Resource, Sortable
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.raw import mongo_database, opened, sql_connection
from tests.backends.record import connections_of, recorded, statements
from tests.backends.test_query_plans import explain_commands, scans, sorts
from tests.provision import Provision

ROWS = 4_000
OWNERS = 10
FIRST = date(2026, 1, 1)


class Reading(Resource, path="readings"):
    """A third of the rows has nulls."""

    value: Annotated[int | None, Sortable()] = None
    taken_on: Annotated[date | None, Sortable()] = None


@dataclass(frozen=True)
class Readings:
    """A database with readings of ten owners."""

    settings: Settings
    owner_id: str


async def _filled(provision: Provision) -> AsyncIterator[Readings]:
    async with provision.empty_database() as settings:
        await open_migrator(settings, [history_of("plans", [Reading.__resource__])]).upgrade()
        async with opened(open_backend(settings, resources=[Reading])) as backend:
            users = [NewUser(email=f"u{n}@example.com", hashed_password="x") for n in range(OWNERS)]
            owners = [await backend.users.add(user) for user in users]
            for n, owner in enumerate(owners):
                numbers = range(n, ROWS, OWNERS)
                await backend.resources["readings"].add_many(
                    [
                        Reading(value=k, taken_on=FIRST + timedelta(days=k)) if k % 3 else Reading()
                        for k in numbers
                    ],
                    owner_id=owner.id,
                )
        if settings.db_backend == "postgres":
            async with sql_connection(settings) as connection:
                await connection.execute(text("VACUUM ANALYZE readings"))
        yield Readings(settings, owners[0].id)


@pytest.fixture(scope="session")
async def sql_readings(sql: Provision) -> AsyncIterator[Readings]:
    """Fill a SQL database."""
    async for readings in _filled(sql):
        yield readings


@pytest.fixture(scope="session")
async def mongo_readings(mongo: Provision) -> AsyncIterator[Readings]:
    """Fill a MongoDB."""
    async for readings in _filled(mongo):
        yield readings


def ranges(lines: list[str]) -> list[str]:
    """Return the lines that seek to a place of the sorted field in the index."""
    return [
        line
        for line in lines
        if re.search(r"SEARCH .*\((owner_id=\? AND )?(\(?(value|taken_on))", line)
        or re.search(r"Index Cond:.*(value|taken_on)", line)
    ]


BY = pytest.mark.parametrize("sort", ["value", "-value", "taken_on", "-taken_on"])
VALUES = {"value": 2_000, "taken_on": FIRST + timedelta(days=2_000)}


def positions(sort: str) -> list[Position | None]:
    """Return the places of a first page, of one in the middle of the values, and of one among the nulls."""
    middle = Position(VALUES[sort.removeprefix("-")], "8" * 24)
    return [None, middle, Position(None, "8" * 24)]


@BY
async def test_list_by_a_nullable_field_walks_its_index(sort: str, sql_readings: Readings) -> None:
    """Nothing is sorted, for an owner and for all; for each kind of position."""
    async with opened(open_backend(sql_readings.settings, resources=[Reading])) as backend:
        on_sqlite = sql_readings.settings.db_backend == "sqlite"
        for owner_id in (None, sql_readings.owner_id):
            for after in positions(sort):
                async with statements(backend) as ran:
                    await backend.resources["readings"].list(
                        owner_id=owner_id, sort=sort, after=after, limit=10, count=False
                    )
                ((statement, arguments),) = ran
                words = f"EXPLAIN {'QUERY PLAN ' if on_sqlite else ''}{statement}"
                plan = await connections_of(backend)._fetch(words, list(arguments))
                lines = [str(list(row)[-1]) for row in plan]
                index = "ix_readings_owner_id_" if owner_id else "ix_readings_"
                assert f"{index}{sort.removeprefix('-')}_id" in " ".join(lines)
                assert scans(lines) == []
                # The page of an ascending list goes on from the nulls to the values, or ends with nulls:
                # two ranges of the index, of which each has a page at most.
                is_merged = after is not None and (after.key is None) is not sort.startswith("-")
                assert bool(sorts(lines)) is is_merged, lines
                if after is not None and on_sqlite:
                    assert len(ranges(lines)) == 1 + is_merged, lines
                elif after is not None:  # PostgreSQL finds the few nulls by any index
                    assert ranges(lines), lines


@BY
async def test_list_of_documents_by_a_nullable_field_walks_its_index(
    sort: str, mongo: Provision, mongo_readings: Readings
) -> None:
    """As on SQL."""
    mongo.resources = [Reading]
    try:
        async with (
            recorded(mongo, mongo_readings.settings) as (backend, commands),
            mongo_database(mongo_readings.settings) as database,
        ):
            for owner_id in (None, mongo_readings.owner_id):
                for after in positions(sort):
                    commands.clear()
                    await backend.resources["readings"].list(
                        owner_id=owner_id, sort=sort, after=after, limit=10, count=False
                    )
                    stages = await explain_commands(database, commands)
                    index = "ix_owner_id_" if owner_id else "ix_"
                    walked = rf"IXSCAN {index}{sort.removeprefix('-')}__id"
                    assert [each for each in stages if re.fullmatch(walked, each)], stages
                    assert not [each for each in stages if "COLLSCAN" in each or each.startswith("SORT ")]
    finally:
        mongo.resources = ()
