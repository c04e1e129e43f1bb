"""`check` on MongoDB reports each manual change of the schema in one sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.mongo.collections import CollectionSpec
from backends.mongo.schema import DELETED_USERS, ITEMS, USERS
from migrations import open_migrator
from tests.backends.raw import MongoDatabase, mongo_database
from tests.provision import Provision

Change = Callable[[MongoDatabase], Awaitable[Any]]

EMAIL = [("email", 1)]
NEWEST = [("created_at", -1), ("_id", -1)]


def modify(spec: CollectionSpec, **options: Any) -> Change:
    """Return a change that modifies the collection's options."""
    return lambda database: database.command({"collMod": spec.name, **options})


def replace(spec: CollectionSpec, name: str, keys: list[tuple[str, int]], **options: Any) -> Change:
    """Return a change that replaces the index of this name."""

    async def change(database: MongoDatabase) -> None:
        collection = database[spec.name]
        await collection.drop_index(name)
        await collection.create_index(keys, name=name, **options)

    return change


LOOSE = {"$jsonSchema": {"bsonType": "object"}}

CHANGES: dict[str, tuple[Change, str]] = {
    "an index dropped": (
        lambda database: database.users.drop_index("uq_email"),
        "the index uq_email of users is missing",
    ),
    "a unique index made plain": (
        replace(USERS, "uq_email", EMAIL),
        "the index uq_email of users differs",
    ),
    "a unique index made partial": (
        replace(USERS, "uq_email", EMAIL, unique=True, partialFilterExpression={"is_active": True}),
        "the index uq_email of users differs",
    ),
    "a unique index made to ignore case": (
        replace(USERS, "uq_email", EMAIL, unique=True, collation={"locale": "en", "strength": 2}),
        "the index uq_email of users differs",
    ),
    "an index with other keys": (
        replace(ITEMS, "ix_created_at__id", [("created_at", 1), ("_id", -1)]),
        "the index ix_created_at__id of items differs",
    ),
    "an index hidden from queries": (
        modify(ITEMS, index={"name": "ix_created_at__id", "hidden": True}),
        "the index ix_created_at__id of items differs",
    ),
    "records kept for another time": (
        modify(DELETED_USERS, index={"name": "ix_deleted_at", "expireAfterSeconds": 1}),
        "the index ix_deleted_at of deleted_users differs",
    ),
    "an index added": (
        lambda database: database["items"].create_index("title", name="ix_title"),
        "the index ix_title of items is not declared",
    ),
    "a looser validator": (
        modify(ITEMS, validator=LOOSE),
        "the validator of items differs from the declared one",
    ),
    "no validator": (
        modify(USERS, validator={}),
        "the validator of users differs from the declared one",
    ),
    "a validator that only warns": (
        modify(USERS, validationAction="warn"),
        "the validator of users does not refuse every bad document",
    ),
    "a validator that spares old documents": (
        modify(ITEMS, validationLevel="moderate"),
        "the validator of items does not refuse every bad document",
    ),
    "a collection dropped": (
        lambda database: database.drop_collection("deleted_users"),
        "the collection deleted_users is missing",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_check_sees_a_change_by_hand(name: str, mongo: Provision) -> None:
    """Each difference is one sentence that names the collection or index."""
    change, expected = CHANGES[name]
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await change(database)
        (difference,) = await migrator.check()
        assert difference.startswith(expected)


async def test_check_sees_a_collection_with_another_order_of_text(mongo: Provision) -> None:
    """A manually recreated collection with a collation, which would apply to emails, is reported."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await database.drop_collection("users")
        await database.create_collection(
            "users", validator=USERS.validator, collation={"locale": "en", "strength": 2}
        )
        for index in USERS.indexes:
            await database.users.create_index(index.keys, **index.options)
        differences = await migrator.check()
        assert differences
        assert all(difference.startswith("the index ") for difference in differences)


async def test_check_ignores_what_others_keep_in_the_database(mongo: Provision) -> None:
    """Another application's collection is not reported."""
    async with mongo.empty_database() as settings, mongo_database(settings) as database:
        migrator = open_migrator(settings)
        await migrator.upgrade()
        await database.other_app.insert_one({})
        assert await migrator.check() == []
