"""Faults of migrations: another application's database, and the lock."""

from __future__ import annotations

from tests.faults.fault import Fault

_FOREIGN, _SQL_LOCK = "tests/migrations/test_foreign.py", "tests/migrations/test_sql_lock.py"
_MONGO_LOCK = "tests/migrations/test_mongo_lock.py"
_SQL_OWNERSHIP, _MONGO_OWNERSHIP = "backends/sql/ownership.py", "backends/mongo/ownership.py"
_SQL, _MONGO = "migrations/sql/migrator.py", "migrations/mongo/migrator.py"

_MONGO_CHANGES = "tests/migrations/test_mongo_changes.py"
_MONGO_MEANWHILE = "tests/migrations/test_mongo_meanwhile.py"
_SQL_CHANGES = "tests/migrations/test_resource_changes.py"
_PREPARED = "tests/migrations/test_prepared_tables.py"
_CHANGES, _FILLS = "migrations/mongo/collection_changes.py", "migrations/mongo/fills.py"

_BOUND = "tests/migrations/test_amounts_within_json.py"
_SQL_BOUND = "migrations/sql/versions/0004_amounts_within_json.py"
_MONGO_BOUND = "migrations/mongo/steps/m0004_amounts_within_json.py"


def _fault(file: str, what: str, *edits: tuple[str, str], first: str, backends: str) -> Fault:
    return Fault(f"migrations: {what}", file, edits, first, backends)


FAULTS = [
    _fault(
        _SQL_OWNERSHIP,
        "a table that is recognised by its name",
        ('return found.kind == "table" and is_named and', 'return found.kind == "table" or is_named and'),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        _SQL_OWNERSHIP,
        "a history that is recognised by its number",
        ("self.recognised & METADATA.tables.keys()", "self._revisions"),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        _SQL_OWNERSHIP,
        "indexes of others that nobody looks for",
        ("names = [name for name in owners if", "names = [name for name in tables if"),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        _SQL,
        "a downgrade that drops what took the place of ours",
        ("found.refuse_foreign(made=made, among=made or METADATA.tables)", "pass"),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        _SQL,
        "a downgrade that is refused for what it does not touch",
        ("among=made or METADATA.tables", "among=METADATA.tables"),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        "backends/sql/engine.py",
        "a journal mode that is written into the file of another application",
        (" and not belongs_to_another(cursor)", ""),
        first=_FOREIGN,
        backends="sqlite",
    ),
    _fault(
        "migrations/sql/lock.py",
        "a lock that a session keeps",
        ("pg_try_advisory_xact_lock(", "pg_try_advisory_lock("),
        first=_SQL_LOCK,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/env.py",
        "a table of revisions anywhere in the search path",
        ("connection.scalar(sa.func.current_schema()) if on_postgres else None", "None"),
        first="tests/migrations/test_search_path.py",
        backends="postgres",
    ),
    _fault(
        _MONGO_OWNERSHIP,
        "a collection that is recognised by its name",
        ("        if keys and all(keys):", "        if True:"),
        first=_FOREIGN,
        backends="mongo-motor",
    ),
    _fault(
        _MONGO_OWNERSHIP,
        "a history that is recognised by its numbers on MongoDB",
        ("is_known = bool(self.recognised & NAMES) or any(", "is_known = bool(self._records) or any("),
        first=_FOREIGN,
        backends="mongo-motor",
    ),
    _fault(
        _MONGO,
        "a lock that is written before the database was looked at",
        ("            await check_names()\n            async with", "            async with"),
        first=_FOREIGN,
        backends="mongo-motor",
    ),
    _fault(
        _MONGO,
        "a downgrade that does not say that it has begun",
        ('await database[MIGRATIONS].update_one({"_id": step}, {"$set": {UNDOING: True}})', "pass"),
        first=_FOREIGN,
        backends="mongo-motor",
    ),
    _fault(
        "migrations/mongo/lock.py",
        "a dead holder whose lease ends by the clock alone",
        ("await self._locks.delete_one(found)", "pass"),
        first=_MONGO_LOCK,
        backends="mongo-motor",
    ),
    _fault(
        "migrations/waiting.py",
        "a lock that is waited for in silence",
        ("if waited >= ANNOUNCE_AFTER_SECONDS and not is_announced:", "if False:"),
        first=_SQL_LOCK,
        backends="sqlite",
    ),
    _fault(
        _SQL_BOUND,
        "a bound that is checked while others write",
        ('op.execute("LOCK TABLE accounts, transfers IN SHARE ROW EXCLUSIVE MODE")', "pass"),
        first=_BOUND,
        backends="postgres",
    ),
    _fault(
        _SQL_BOUND,
        "a bound that entries may exceed",
        ('"amount_minor", "from_balance_minor", "to_balance_minor"', '"amount_minor"'),
        first=_BOUND,
        backends="sqlite",
    ),
    _fault(
        _MONGO_BOUND,
        "mongo: a bound that is checked before it is demanded, and not afterwards",
        ("    try:\n", "    return\n    try:\n"),
        first=_BOUND,
        backends="mongo-motor",
    ),
    _fault(
        _MONGO_BOUND,
        "mongo: a refusal that leaves the new validators",
        ("        await downgrade(database)\n        raise", "        raise"),
        first=_BOUND,
        backends="mongo-motor",
    ),
    _fault(
        _CHANGES,
        "mongo: documents that are added before the validator is strict, and stay as they are",
        ("        while await run_all(", "        while False and await run_all("),
        first=_MONGO_MEANWHILE,
        backends="mongo-motor",
    ),
    _fault(
        _CHANGES,
        "mongo: no loose validator, so that a server of before is refused from the start",
        ("validator=loose_validator(before, after)", "validator=after.validator"),
        first=_MONGO_MEANWHILE,
        backends="mongo-motor",
    ),
    _fault(
        _CHANGES,
        "mongo: rules that are not checked again under the strict validator",
        ("            await self._check_again(step, before)\n", ""),
        first=_MONGO_MEANWHILE,
        backends="mongo-motor",
    ),
    _fault(
        _FILLS,
        "mongo: folded forms that are written once, however the text changes",
        (" or document[name] != value for name", " for name"),
        first=_MONGO_MEANWHILE,
        backends="mongo-motor",
    ),
    _fault(
        "backends/mongo/resource_collections.py",
        "mongo: a document of a server of before that lacks a null, and is refused",
        ("if field.nullable and may_lack_fields(spec)]", "if field.nullable and not spec.name]"),
        first="tests/migrations/test_servers_meanwhile.py",
        backends="mongo-motor",
    ),
    _fault(
        _FILLS,
        "mongo: search forms that are missing when they become required",
        ("        settled -= set(optional_columns(before)) - set(optional_columns(after))\n", ""),
        first="tests/migrations/test_servers_meanwhile.py",
        backends="mongo-motor",
    ),
    _fault(
        _CHANGES,
        "mongo: rows that belong to a user who was deleted meanwhile",
        ("        await self._check_targets(fills, before, after)\n", ""),
        first="tests/migrations/test_mongo_targets.py",
        backends="mongo-motor",
    ),
    _fault(
        "migrations/mongo/operations.py",
        "mongo: writes that wait as long as a validator can't be changed",
        (', "maxTimeMS": LOCK_MILLISECONDS}', "}"),
        first="tests/migrations/test_mongo_targets.py",
        backends="mongo-motor",
    ),
    _fault(
        "migrations/mongo/operations.py",
        "mongo: a unique index that is replaced without a stand-in",
        ("            await ensure_index(database, collection, stand_in)\n", ""),
        first=_MONGO_MEANWHILE,
        backends="mongo-motor",
    ),
    _fault(
        "migrations/mongo/resources.py",
        "mongo: steps that all run again after an interruption",
        ("done = int(found.get(STEPS_DONE, 0)) if found else 0", "done = 0"),
        first=_MONGO_CHANGES,
        backends="mongo-motor",
    ),
    _fault(
        "migrations/resources/changes.py",
        "a field that is renamed before the one with its new name is dropped",
        ("        yield from (each for each in drops if each.field in taken)\n", ""),
        first="tests/unit/test_resource_operations.py",
        backends="sqlite",
    ),
    _fault(
        "migrations/resources/changes.py",
        "a value that rows get and no client could give",
        (
            "    if name in given.values:\n        return _canonical(name, added, given.values[name])\n",
            "    if name in given.values:\n        return given.values[name]\n",
        ),
        first="tests/unit/test_resource_refusals.py",
        backends="sqlite",
    ),
    _fault(
        "migrations/resources/plan.py",
        "another revision that has the number of a recorded one",
        ("if expected[:MAX_SUMMARY] != summary[:MAX_SUMMARY]:", "if not summary:"),
        first="tests/migrations/test_resources.py",
        backends="sqlite",
    ),
    _fault(
        "migrations/resources/plan.py",
        "an upgrade that drops data unasked",
        ("if lost := history.revision(number).loses:", "if lost := list[str]():"),
        first="tests/cli/test_resource_revisions.py",
        backends="sqlite",
    ),
    _fault(
        "backends/mongo/violations.py",
        "a unique group that is named by the age of its index",
        ("if len(self._groups) > 1 and", "if len(self._groups) > 9 and"),
        first="tests/migrations/test_resources.py",
        backends="mongo-motor",
    ),
    _fault(
        "migrations/sql/table_changes.py",
        "a default of a column that a revision leaves",
        ("        if default is not None:\n", "        if default is None:\n"),
        first=_SQL_CHANGES,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/table_changes.py",
        "a constraint that is compared by its name",
        ("if name not in new or new[name][1] != ddl]", "if name not in new]"),
        first=_SQL_CHANGES,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/fills.py",
        "texts that are folded in one batch only",
        ("rest = batch.where(key > rows[-1][0])", "rest = batch.where(key < rows[0][0])"),
        first=_SQL_CHANGES,
        backends="sqlite",
    ),
    _fault(
        "migrations/sql/rules.py",
        "two rows with the same values that are not found",
        ("rows.c.count_of_same > 1", "rows.c.count_of_same > 2"),
        first=_SQL_CHANGES,
        backends="sqlite",
    ),
    _fault(
        "migrations/sql/prepared.py",
        "a folded text that stays when a server of before changes the text",
        ("THEN NEW.{name} := NULL; END IF;", "THEN NULL; END IF;"),
        first=_PREPARED,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/fills.py",
        "a folded text of a text that has changed since it was read",
        (" AND changed.{of} = given.was", ""),
        first=_PREPARED,
        backends="postgres",
    ),
    _fault(
        _SQL,
        "a revision that is prepared while the one before keeps its locks",
        ("if self._applied and steps.plans:", "if False:"),
        first=_PREPARED,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/preparing.py",
        "rows that a prepared CHECK refuses, and nobody names",
        ("                    self._drop_checks(second, plan)\n", "                    raise\n"),
        first=_PREPARED,
        backends="postgres",
    ),
    _fault(
        "migrations/sql/steps.py",
        "what an abandoned revision has prepared, in the way of another one",
        ("        drop_prepared(self._connection, wanted=wanted)\n", ""),
        first="tests/migrations/test_prepared_interruption.py",
        backends="postgres",
    ),
    _fault(
        "migrations/sql/finishing.py",
        "an invalid index that is taken for one",
        ("if index in left.invalid:", "if index not in left.missing:"),
        first="tests/migrations/test_large_tables.py",
        backends="postgres",
    ),
]
