"""Query plans: every query of the repositories uses an index in its order, as the servers' EXPLAIN shows.

With ten thousand rows a planner prefers an index where one exists. Only the count of a whole table scans
it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from sqlalchemy import text

from backends.models import (
    ItemChanges,
    ItemFilter,
    Position,
    UserChanges,
    UserFilter,
    UserSort,
)
from backends.protocols import Backend
from tests.backends.fill import ROWS, START, Filled, Row
from tests.backends.raw import MongoDatabase, mongo_database, opened, sql_connection
from tests.backends.record import Command, connections_of, recorded, statements
from tests.contract.list_kinds import ALL_SORTS, Kind
from tests.provision import Provision

Call = Callable[[Backend, Filled], Awaitable[object]]
Index = tuple[str, str, str]
"""The index's name in the plans of SQLite, PostgreSQL and MongoDB."""

USERS_ID = ("users USING INDEX sqlite_autoindex_users_1", "pk_users", "IDHACK")
USERS_EMAIL = ("users USING INDEX sqlite_autoindex_users_2", "uq_users_email", "uq_email")
USERS_NEWEST = ("users USING INDEX ix_users_created_at_id", "ix_users_created_at_id", "ix_created_at__id")
ITEMS_ID = ("items USING INDEX sqlite_autoindex_items_1", "pk_items", "IDHACK")
ITEMS_NEWEST = ("items USING INDEX ix_items_created_at_id", "ix_items_created_at_id", "ix_created_at__id")
ITEMS_OWNER = (
    "INDEX ix_items_owner_id_created_at_id (owner_id=?",
    "ix_items_owner_id_created_at_id",
    "ix_owner_id_created_at__id",
)
ITEMS_TITLE = ("items USING INDEX ix_items_title_id", "ix_items_title_id", "ix_title__id")
ITEMS_OWNER_TITLE = (
    "INDEX ix_items_owner_id_title_id (owner_id=?",
    "ix_items_owner_id_title_id",
    "ix_owner_id_title__id",
)

SERVED_BY: dict[tuple[Kind, str], Index] = {
    ("users", "created_at"): USERS_NEWEST,
    ("users", "email"): USERS_EMAIL,
    ("items", "created_at"): ITEMS_NEWEST,
    ("items", "title"): ITEMS_TITLE,
    ("items of an owner", "created_at"): ITEMS_OWNER,
    ("items of an owner", "title"): ITEMS_OWNER_TITLE,
}
"""The index that serves a list, by its sort field."""


def position(row: Row, sort: str = "-created_at") -> Position:
    """Return the position just after a row."""
    return Position(row[sort.removeprefix("-")], row["id"])


# Without a count a list is an index scan. The tests of counts are below.
READS: dict[str, tuple[Call, Index]] = {
    "users.get": (lambda b, f: b.users.get(f.users[700]["id"]), USERS_ID),
    "users.find_by_email": (lambda b, f: b.users.find_by_email(f.users[700]["email"]), USERS_EMAIL),
    "users.list": (lambda b, _: b.users.list(count=False), USERS_NEWEST),
    "users.list after": (
        lambda b, f: b.users.list(after=position(f.users[700]), count=False),
        USERS_NEWEST,
    ),
    "items.get": (lambda b, f: b.items.get(f.items[700]["id"]), ITEMS_ID),
    "items.get of several at once": (
        lambda b, f: asyncio.gather(*(b.items.get(item["id"]) for item in f.items[700:800])),
        (*ITEMS_ID[:2], "IXSCAN _id_"),
    ),
    "items.list of all": (lambda b, _: b.items.list(count=False), ITEMS_NEWEST),
    "items.list of all after": (
        lambda b, f: b.items.list(after=position(f.items[700]), count=False),
        ITEMS_NEWEST,
    ),
    "items.list of an owner": (
        lambda b, f: b.items.list(owner_id=f.users[7]["id"], limit=10, count=False),
        ITEMS_OWNER,
    ),
    "items.list of an owner after": (
        lambda b, f: b.items.list(
            owner_id=f.users[7]["id"], limit=10, after=position(f.items[1507]), count=False
        ),
        ITEMS_OWNER,
    ),
}
WRITES: dict[str, tuple[Call, Index]] = {
    "users.update of a version": (
        lambda b, f: b.users.update(f.users[701]["id"], UserChanges(full_name="A"), versions=[1, 2]),
        (*USERS_ID[:2], "IXSCAN _id_"),
    ),
    "items.delete of a version": (
        lambda b, f: b.items.delete(f.items[702]["id"], owner_id=f.users[2]["id"], versions=range(3)),
        (*ITEMS_ID[:2], "IXSCAN _id_"),
    ),
    "users.update": (
        lambda b, f: b.users.update(f.users[700]["id"], UserChanges(full_name="A")),
        USERS_ID,
    ),
    "items.update": (
        lambda b, f: b.items.update(f.items[700]["id"], ItemChanges(title="A"), owner_id=f.users[0]["id"]),
        (*ITEMS_ID[:2], "IXSCAN _id_"),
    ),
    "items.delete": (lambda b, f: b.items.delete(f.items[701]["id"]), ITEMS_ID),
    "users.delete": (lambda b, f: b.users.delete(f.users[999]["id"]), USERS_ID),
}
METHODS: dict[str, tuple[Call, Index]] = READS | WRITES
AFTER = [name for name in READS if name.endswith("after")]
COUNT_OF_AN_OWNER: tuple[Call, Index] = (
    lambda b, f: b.items.list(owner_id=f.users[7]["id"], limit=10),
    ITEMS_OWNER,
)

LATE, EARLY = START + timedelta(milliseconds=ROWS // 4), START + timedelta(milliseconds=ROWS * 3 // 4)
TIMES: list[dict[str, Any]] = [
    {"created_after": LATE},
    {"created_before": EARLY},
    {"created_after": LATE, "created_before": EARLY},
]
USER_FILTERS = [{"is_active": True}, {"is_active": False}, *TIMES, {"is_active": True, **TIMES[2]}]
ITEM_FILTERS = [{"title": "Item 49"}, {"q": "oDD"}, *TIMES, {"title": "Item 49", "q": "oDD", **TIMES[2]}]


def pages(kind: Kind, sort: str, where: dict[str, Any]) -> dict[str, Call]:
    """Return calls for the first page of a list with this sort, and for one from its middle."""

    def page(backend: Backend, filled: Filled, *, from_middle: bool) -> Awaitable[object]:
        # In the middle of both orders; the item belongs to the owner.
        row = (filled.users if kind == "users" else filled.items)[5007]
        after = position(row, sort) if from_middle else None
        if kind == "users":
            return backend.users.list(
                where=UserFilter(**where), sort=cast("UserSort", sort), after=after, limit=10, count=False
            )
        return backend.items.list(
            owner_id=filled.users[7]["id"] if kind == "items of an owner" else None,
            where=ItemFilter(**where),
            sort=sort,
            after=after,
            limit=10,
            count=False,
        )

    return {"first": partial(page, from_middle=False), "after": partial(page, from_middle=True)}


def filtered_pages(kind: Kind, sort: str) -> dict[str, Call]:
    """Return the same pages with each filter."""
    filters = USER_FILTERS if kind == "users" else ITEM_FILTERS
    return {
        f"{place} where {where}": call
        for where in filters
        for place, call in pages(kind, sort, where).items()
    }


all_sorts = pytest.mark.parametrize(
    ("kind", "sort"),
    [(kind, sort) for kind, sort in ALL_SORTS if (kind, sort.removeprefix("-")) in SERVED_BY],
)


# -- SQL -----------------------------------------------------------------------------------------


@pytest.fixture
async def sql_backend(sql: Provision, filled_sql: Filled) -> AsyncIterator[Backend]:
    """Return an open backend on the filled database."""
    async with opened(sql.open(filled_sql.settings)) as backend:
        yield backend


async def explain(backend: Backend, filled: Filled, call: Call) -> list[str]:
    """Run the call. Return the plan's lines of every statement that it sent."""
    async with statements(backend) as ran:
        await call(backend, filled)
    on_sqlite = filled.settings.db_backend == "sqlite"
    lines: list[str] = []
    for statement, arguments in ran:
        if statement.startswith(("BEGIN", "COMMIT")):
            continue
        words = f"EXPLAIN {'QUERY PLAN ' if on_sqlite else ''}{statement}"
        plan = await connections_of(backend)._fetch(words, list(arguments))
        lines += [str(list(row)[-1]) for row in plan]
    return lines


def scans(lines: list[str]) -> list[str]:
    """Return the lines that scan a whole table without an index."""
    return [
        line
        for line in lines
        if "Seq Scan" in line
        or (re.match(r"SCAN (users|items|accounts|transfers)\b", line) and "USING" not in line)
    ]


def sorts(lines: list[str]) -> list[str]:
    """Return the lines that sort rows."""
    return [line for line in lines if "Sort" in line or "TEMP B-TREE" in line]


@pytest.mark.parametrize("name", METHODS)
async def test_statement_walks_an_index(name: str, sql_backend: Backend, filled_sql: Filled) -> None:
    """No table is scanned and nothing is sorted."""
    call, index = METHODS[name]
    lines = await explain(sql_backend, filled_sql, call)
    assert index[filled_sql.settings.db_backend == "postgres"] in " ".join(lines)
    assert scans(lines) == []
    assert sorts(lines) == []


@pytest.mark.parametrize("name", AFTER)
async def test_later_page_begins_at_its_position(
    name: str, sql_backend: Backend, filled_sql: Filled
) -> None:
    """The index scan starts at the position: a late page costs as much as the first."""
    lines = await explain(sql_backend, filled_sql, READS[name][0])
    (entered,) = [line for line in lines if "INDEX" in line or "Index Cond" in line]
    assert re.search(r"\(created_at, ?id\) ?< ?(ROW)?\(", entered)


@all_sorts
async def test_page_in_any_order_walks_its_index(
    kind: Kind, sort: str, sql_backend: Backend, filled_sql: Filled
) -> None:
    """Nothing is sorted in either direction; a later page starts at its position."""
    column = sort.removeprefix("-")
    index = SERVED_BY[kind, column][filled_sql.settings.db_backend == "postgres"]
    for place, call in pages(kind, sort, {}).items():
        lines = await explain(sql_backend, filled_sql, call)
        assert index in " ".join(lines), lines
        assert scans(lines) + sorts(lines) == []
        entered = re.search(rf"\b{column}\)?(::text)?(, ?id)?\)* ?[<>]", " ".join(lines))
        assert (entered is not None) is (place == "after"), lines


@all_sorts
async def test_filtered_page_scans_no_table(
    kind: Kind, sort: str, sql_backend: Backend, filled_sql: Filled
) -> None:
    """Every filter uses an index in every order."""
    for name, call in filtered_pages(kind, sort).items():
        assert scans(await explain(sql_backend, filled_sql, call)) == [], name


async def test_count_of_an_owner_walks_its_index(sql_backend: Backend, filled_sql: Filled) -> None:
    """Page and count in one statement both stay within the owner's index range; nothing is sorted."""
    call, index = COUNT_OF_AN_OWNER
    lines = await explain(sql_backend, filled_sql, call)
    assert index[filled_sql.settings.db_backend == "postgres"] in " ".join(lines)
    # Any index that starts with the owner can count.
    assert " ".join(lines).count("ix_items_owner_id_") == 2
    assert scans(lines) == []
    assert sorts(lines) == []
    assert not [line for line in lines if "Materialize" in line]


@pytest.mark.parametrize("count", [True, False])
async def test_skipped_rows_are_not_read(sql_backend: Backend, filled_sql: Filled, *, count: bool) -> None:
    """An index alone finds the ids of the page. Only its own rows are read and sorted."""
    lines = await explain(sql_backend, filled_sql, lambda b, _: b.items.list(skip=700, count=count))
    plan = " ".join(lines)
    if filled_sql.settings.db_backend == "sqlite":
        assert "SCAN items USING COVERING INDEX ix_items_created_at_id" in plan
        assert ITEMS_ID[0] in plan
    else:
        assert "Index Only Scan Backward using ix_items_created_at_id" in plan
    assert len(sorts(lines)) <= 2  # PostgreSQL names the sort and its key


async def test_cascade_finds_the_items_by_index(sql_backend: Backend, filled_sql: Filled) -> None:
    """Deleting a user doesn't scan the items, by the server's own counters."""
    user = filled_sql.users[6]["id"]
    if filled_sql.settings.db_backend == "sqlite":
        lines = await explain(sql_backend, filled_sql, lambda b, _: b.users.delete(user))
        (cascade,) = [line for line in lines if line.startswith("SEARCH items USING")]
        assert ITEMS_OWNER[0] in cascade
        return
    looked = text(
        "SELECT seq_scan, idx_scan, n_tup_del FROM pg_stat_xact_user_tables WHERE relname = 'items'"
    )
    async with sql_connection(filled_sql.settings) as connection:
        await connection.exec_driver_sql("BEGIN")
        deleted = text("DELETE FROM users WHERE id = :id")
        await connection.execute(deleted, {"id": bytes.fromhex(user)})
        assert (await connection.execute(looked)).one() == (0, 1, 100)
        await connection.exec_driver_sql("ROLLBACK")


# -- MongoDB -------------------------------------------------------------------------------------


EXPLAINED = {"find", "aggregate", "findAndModify", "update", "delete"}
PLAN_FIELDS = {
    *EXPLAINED,
    *("filter", "sort", "skip", "limit", "projection", "singleBatch", "pipeline", "cursor", "query"),
    *("new", "updates", "deletes", "ordered"),
}


async def explain_commands(database: MongoDatabase, commands: list[Command]) -> list[str]:
    """Return the plan's stages of every command that has a plan, as `STAGE index`."""
    stages: list[str] = []
    for command in commands:
        if next(iter(command)) in EXPLAINED:
            asked = {name: value for name, value in command.items() if name in PLAN_FIELDS}
            plan = await database.command({"explain": asked, "verbosity": "queryPlanner"})
            stages += _stages(plan)
    return stages


def _stages(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if "stage" in plan:
            yield f"{plan['stage']} {plan.get('indexName', '')}"
        for name, value in plan.items():
            if name != "rejectedPlans":
                yield from _stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from _stages(value)


@pytest.mark.parametrize("name", METHODS)
async def test_command_walks_an_index(name: str, mongo: Provision, filled_mongo: Filled) -> None:
    """No collection is scanned and nothing is sorted."""
    call, index = METHODS[name]
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        await call(backend, filled_mongo)
        stages = await explain_commands(database, commands)
    assert index[2] in " ".join(stages)
    assert not [stage for stage in stages if "COLLSCAN" in stage or "SORT" in stage]


@pytest.mark.parametrize("name", AFTER)
async def test_later_page_of_documents_begins_at_its_position(
    name: str, mongo: Provision, filled_mongo: Filled
) -> None:
    """The index scan starts at the position's time."""
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        await READS[name][0](backend, filled_mongo)
        (find,) = commands
        asked = {key: value for key, value in find.items() if key in PLAN_FIELDS}
        plan = await database.command({"explain": asked, "verbosity": "queryPlanner"})
    # Without a bound it would start at MaxKey.
    assert re.search(r"'created_at': \['\[new Date\(\d+\), ", str(plan["queryPlanner"]["winningPlan"]))


@all_sorts
async def test_page_of_documents_in_any_order_walks_its_index(
    kind: Kind, sort: str, mongo: Provision, filled_mongo: Filled
) -> None:
    """Nothing is sorted in either direction; a later page starts at its position."""
    field = sort.removeprefix("-")
    index = SERVED_BY[kind, field][2]
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        for place, call in pages(kind, sort, {}).items():
            await call(backend, filled_mongo)
            stages = await explain_commands(database, commands)
            assert [stage for stage in stages if "IXSCAN" in stage] == [f"IXSCAN {index}"], stages
            assert not [stage for stage in stages if "COLLSCAN" in stage or "SORT" in stage]
            asked = {key: value for key, value in commands.pop().items() if key in PLAN_FIELDS}
            plan = await database.command({"explain": asked, "verbosity": "queryPlanner"})
            bounds = rf"'{field}': \['[\[(](new Date\(\d|\")"
            entered = re.search(bounds, str(plan["queryPlanner"]["winningPlan"]))
            assert (entered is not None) is (place == "after"), plan


@all_sorts
async def test_filtered_page_scans_no_collection(
    kind: Kind, sort: str, mongo: Provision, filled_mongo: Filled
) -> None:
    """Every filter uses an index in every order."""
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        for name, call in filtered_pages(kind, sort).items():
            await call(backend, filled_mongo)
            stages = await explain_commands(database, commands)
            assert [stage for stage in stages if "IXSCAN" in stage], name
            assert not [stage for stage in stages if "COLLSCAN" in stage], name
            commands.clear()


async def test_count_of_an_owner_scans_its_index_alone(mongo: Provision, filled_mongo: Filled) -> None:
    """The count reads no document; the page uses the same index."""
    call, index = COUNT_OF_AN_OWNER
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        await call(backend, filled_mongo)
        stages = await explain_commands(database, commands)
    assert f"COUNT_SCAN {index[2]}" in stages
    assert f"IXSCAN {index[2]}" in stages
    assert not [stage for stage in stages if "COLLSCAN" in stage or "SORT" in stage]


async def test_delete_of_a_user_finds_the_items_by_index(mongo: Provision, filled_mongo: Filled) -> None:
    """The transaction and the sweep after it use indexes, also for accounts with and without money."""
    async with (
        recorded(mongo, filled_mongo.settings) as (backend, commands),
        mongo_database(filled_mongo.settings) as database,
    ):
        await backend.users.delete(filled_mongo.users[6]["id"])
        stages = await explain_commands(database, commands)
    assert stages.count(f"IXSCAN {ITEMS_OWNER[2]}") == 4
    assert not [stage for stage in stages if "COLLSCAN" in stage]
