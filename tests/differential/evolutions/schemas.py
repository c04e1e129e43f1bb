"""What a database says of its tables or collections, in its own words.

The order of columns is left out: a column that a revision adds is the last one. So are the records of
migrations on MongoDB, and its lock. All names are compared: a renamed field keeps its column, and with it
the names of its constraints and indexes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import text

from backends.mongo.schema import COLLECTIONS, MIGRATIONS, MIGRATIONS_LOCK
from backends.sql.schema import METADATA
from config import Settings
from tests.backends.raw import mongo_database, sql_connection

Definitions: TypeAlias = dict[str, Any]
"""The definitions by table or collection, and by kind and name within it."""

_POSTGRES = text("""
SELECT c.relname, 'column ' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attgenerated, l.collname, pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT c.relname, 'constraint ' || k.conname, pg_get_constraintdef(k.oid) || ' ' || k.convalidated
FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT c.relname, 'index ' || x.relname, pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid
FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT relname, 'kind', relkind::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i')
""")
_OWN = {*METADATA.tables, "alembic_version"}
_RECORDS = {MIGRATIONS, MIGRATIONS_LOCK, "resource_migrations"}
_DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}
"""The options that `collMod` also writes."""


async def definitions_in(settings: Settings) -> Definitions:
    """Return the definitions of all tables or collections."""
    if settings.db_backend == "mongo":
        return await _in_mongo(settings)
    async with sql_connection(settings) as connection:
        if settings.db_backend == "postgres":
            rows = [tuple(row) for row in await connection.execute(_POSTGRES)]
        else:
            query = "SELECT tbl_name, type || ' ' || name, sql FROM sqlite_schema"
            rows = [
                (table, name, _lines(sql or ""))
                for table, name, sql in await connection.execute(text(query))
            ]
    found: Definitions = {}
    for table, name, definition in rows:
        found.setdefault(str(table), {})[str(name)] = definition
    return found


def _lines(statement: str) -> list[str]:
    """Return the lines of a statement in an order without meaning: columns come as they were added."""
    lines = statement.replace('"', "").splitlines()
    return sorted(line.strip().rstrip(",").rstrip() for line in lines if line.strip())


async def _in_mongo(settings: Settings) -> Definitions:
    async with mongo_database(settings) as database:
        reply = await database.command({"listCollections": 1})
        found: Definitions = {
            each["name"]: {"options": {**_DEFAULTS, **each["options"]}}
            for each in reply["cursor"]["firstBatch"]
            if each["name"] not in _RECORDS
        }
        for name in found:
            async for index in await database[name].list_indexes():
                # The order of keys has a meaning, that of the other attributes has none.
                found[name][f"index {index['name']}"] = {**index, "key": [*index["key"].items()]}
    return found


async def drop_declared(settings: Settings) -> None:
    """Drop all tables or collections but EitherDB's own, also after an error halfway."""
    if settings.db_backend == "mongo":
        await _drop_in_mongo(settings)
        return
    async with sql_connection(settings) as connection:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if settings.db_backend == "postgres":
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        names = set((await connection.execute(text(query))).scalars()) - _OWN
        for name in sorted(names):
            cascade = " CASCADE" if settings.db_backend == "postgres" else ""
            await connection.exec_driver_sql(f'DROP TABLE "{name}"{cascade}')


async def _drop_in_mongo(settings: Settings) -> None:
    async with mongo_database(settings) as database:
        own = {spec.name: spec for spec in COLLECTIONS}
        for name in await database.list_collection_names():
            if name not in {*own, MIGRATIONS, MIGRATIONS_LOCK}:
                await database.drop_collection(name)
        # A resource that refers to items adds a field to their validator.
        await database.command({"collMod": "items", "validator": own["items"].validator})
        await database[MIGRATIONS_LOCK].delete_many({})
