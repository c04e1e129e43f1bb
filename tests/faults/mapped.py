"""Faults of mapped classes and their sessions."""

from __future__ import annotations

from tests.faults.fault import Fault

_READS, _ON_POSTGRES = "tests/backends/test_mapped.py", "tests/backends/test_mapped_postgres.py"
_WRITES = "tests/backends/test_mapped_writes.py"
_CLASSES = "tests/unit/test_mapped_classes.py"


def _in(
    name: str, what: str, old: str, new: str, *, first: str = _READS, backends: str = "sqlite"
) -> Fault:
    return Fault(f"mapped: {what}", f"backends/sql/mapped/{name}.py", ((old, new),), first, backends)


FAULTS = [
    _in(
        "engines",
        "queries of one report see different rows on PostgreSQL",
        '"isolation_level": "REPEATABLE READ"',
        '"isolation_level": "READ COMMITTED"',
        backends="postgres",
    ),
    _in(
        "engines",
        "queries of one report see different rows on SQLite",
        'exec_driver_sql("BEGIN")',
        'exec_driver_sql("SELECT 1")',
    ),
    _in(
        "engines",
        "connections that could write on SQLite",
        "query_only=ON",
        "query_only=OFF",
        first=_WRITES,
    ),
    _in(
        "engines",
        "transactions that could write behind a pooler",
        '{"postgresql_readonly": True}',
        "{}",
        first=_ON_POSTGRES,
        backends="postgres",
    ),
    _in(
        "engines",
        "times in the zone of the server",
        "set_config('TimeZone', 'UTC', true), set_config('search_path'",
        "set_config('search_path'",
        first=_ON_POSTGRES,
        backends="postgres",
    ),
    _in(
        "asyncpg_connect",
        "asynchronous sessions that could write after a COMMIT",
        '{**arguments["server_settings"], READ_ONLY: "on"}',
        'arguments["server_settings"]',
        first=_WRITES,
        backends="postgres",
    ),
    _in(
        "psycopg_connect",
        "synchronous sessions that could write after a COMMIT",
        "session_option(READ_ONLY, 'on')",
        "session_option(READ_ONLY, 'off')",
        first=_WRITES,
        backends="postgres",
    ),
    _in(
        "refusals",
        "sessions in autocommit",
        'if is_autocommit or not options.get("postgresql_readonly", True):',
        'if not options.get("postgresql_readonly", True):',
        first=_WRITES,
    ),
    _in(
        "refusals", "a refused write that names no method", "if found is None:", "if found:", first=_WRITES
    ),
    _in(
        "refusals",
        "a flush that is not refused",
        '@event.listens_for(ReadSession, "before_flush")\n',
        "",
        first=_WRITES,
    ),
    _in(
        "models",
        "password hashes in reports",
        '["hashed_password", "session_version"]',
        '["session_version"]',
        first=_CLASSES,
    ),
    _in(
        "types",
        "an integer that is compared with a scaled decimal",
        "type_coerce(value, BigInteger()) * 10**kind.places",
        "type_coerce(value, BigInteger())",
    ),
    _in(
        "types",
        "a comparison with a truncated decimal",
        "if scaled != scaled.to_integral_value():",
        "if False:",
    ),
    _in(
        "types",
        "an average in the unit of the column",
        "kind if isinstance(kind, MappedDecimal) else NullType()",
        "NullType()",
    ),
    _in(
        "resources",
        "a tree whose children have the name of the resource",
        "targets.count(target) > 1 or target == spec.name",
        "targets.count(target) > 1",
        first=_CLASSES,
    ),
]
