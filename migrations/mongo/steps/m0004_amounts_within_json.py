"""amounts and balances that JSON carries unchanged."""

from __future__ import annotations

from typing import Any

from bson import Int64

from backends.mongo.driver import Database
from migrations import OutOfBounds
from migrations.mongo.operations import document_validator, ensure_collection
from migrations.mongo.steps import m0003_accounts_and_the_ledger as before

BOUND = 2**53 - 1
LOOKED_FOR = OutOfBounds.NAMED + 1

BOUNDED = {
    "accounts": ("balance_minor",),
    "transfers": ("amount_minor", "from_balance_minor", "to_balance_minor"),
}


def _bounded(collection: str) -> dict[str, Any]:
    fields = before.FIELDS[collection]
    return {
        **fields,
        **{name: {**fields[name], "maximum": Int64(BOUND)} for name in BOUNDED[collection]},
    }


FIELDS: dict[str, dict[str, Any]] = {**before.FIELDS, **{name: _bounded(name) for name in BOUNDED}}


async def upgrade(database: Database) -> None:
    """Bound the numbers; raise OutOfBounds if a document exceeds the bound."""
    await _refuse_beyond(database)
    await _demand(database, FIELDS)
    try:
        # A validator checks new writes only: a document may have been written since the first check.
        await _refuse_beyond(database)
    except OutOfBounds:
        await downgrade(database)
        raise


async def downgrade(database: Database) -> None:
    """Restore the bound of 64 bits; no data is lost."""
    await _demand(database, before.FIELDS)


async def _demand(database: Database, fields: dict[str, dict[str, Any]]) -> None:
    for name in BOUNDED:
        await ensure_collection(database, name, validator=document_validator(fields[name]))


async def _refuse_beyond(database: Database) -> None:
    beyond = {}
    for collection, names in BOUNDED.items():
        either = [{name: {"$gt": Int64(BOUND)}} for name in names]
        found = database[collection].find({"$or": either}, {"_id": 1}).limit(LOOKED_FOR)
        beyond[collection] = [str(document["_id"]) for document in await found.to_list(LOOKED_FOR)]
    if any(beyond.values()):
        raise OutOfBounds("0004", BOUND, beyond)
