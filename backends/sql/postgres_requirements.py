"""What PostgreSQL must be, and what its user must be allowed: one query, one table of requirements.

https://www.postgresql.org/docs/current/functions-info.html has the functions that the query calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backends.requirements import Purpose, Subject, UnmetRequirement
from backends.sql.ownership import REVISIONS

MIN_VERSION = 130000
"""`server_version_num`. PostgreSQL 13 is the oldest that the suite was run on."""

_EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "users": _EVERYTHING,
    "items": _EVERYTHING,
    "accounts": _EVERYTHING,
    "counters": _EVERYTHING,
    # What is written there never changes.
    "transfers": ("SELECT", "INSERT"),
    "idempotency_keys": ("SELECT", "INSERT"),
    REVISIONS: ("SELECT",),
}
"""What the repositories do with each table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting that must have one value.

    Attributes:
        name: As `current_setting` takes it.
        right: The value.
        needed: Why, as `UnmetRequirement.needed`.
        remedy: A format of `database` and `user`; None for the statement that sets it for this user.
        subject: As `UnmetRequirement.subject`.
        is_fatal: As `UnmetRequirement.is_fatal`.
    """

    name: str
    right: str
    needed: str
    remedy: str | None = None
    subject: Subject = "server"
    is_fatal: bool = True


_NEW_DATABASE = (
    "make another database with CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0, "
    "and let DATABASE_URL name it"
)
_OF_THE_SERVER = "set it in postgresql.conf, or with ALTER SYSTEM SET {name} = on, and reload the server"

SETTINGS = (
    Setting(
        name="server_encoding",
        right="UTF8",
        needed="UTF8 is needed, which holds all text",
        remedy=_NEW_DATABASE,
    ),
    Setting(name="client_encoding", right="UTF8", needed="UTF8 is needed, which holds all text"),
    Setting(
        name="standard_conforming_strings",
        right="on",
        needed="on is needed, or a backslash in a text means something else",
    ),
    Setting(
        name="integer_datetimes",
        right="on",
        needed="on is needed, or times are not exact",
        remedy="use a PostgreSQL that is built with 64-bit integer times, as all are from 10 on",
    ),
    Setting(
        name="session_replication_role",
        right="origin",
        needed="origin is needed, or no foreign key is checked",
    ),
    Setting(
        name="synchronous_commit",
        right="on",
        needed="while it is off, a crash of the server may take back writes that were answered",
        subject="durability",
        is_fatal=False,
    ),
    Setting(
        name="fsync",
        right="on",
        needed="while it is off, a crash of the machine may destroy the database",
        remedy=_OF_THE_SERVER,
        subject="durability",
        is_fatal=False,
    ),
    Setting(
        name="full_page_writes",
        right="on",
        needed="while it is off, a crash of the machine may destroy the database",
        remedy=_OF_THE_SERVER,
        subject="durability",
        is_fatal=False,
    ),
)

# Also these values of `synchronous_commit` wait for the server's own disk.
_DURABLE = {"on", "local", "remote_write", "remote_apply"}

TIME_LIMITS = ("statement_timeout", "transaction_timeout")

QUERY = r"""
WITH path AS (
    SELECT CASE WHEN part LIKE '"%' THEN btrim(part, '"') ELSE lower(part) END AS name
    FROM (
        SELECT btrim(replace(part, '$user', CAST(current_user AS text))) AS part
        FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part
    ) AS parts
), needed AS (
    SELECT name, verb, CAST(to_regclass(quote_ident(current_schema()) || '.' || name) AS oid) AS id
    FROM unnest(string_to_array($2, ','), string_to_array($3, ',')) AS needed (name, verb)
    WHERE to_regclass(quote_ident(current_schema()) || '.' || $4) IS NOT NULL
), tables AS (
    SELECT DISTINCT name, id FROM needed WHERE id IS NOT NULL
)
SELECT
    current_setting('server_version') AS version,
    CAST(current_setting('server_version_num') AS integer) AS version_number,
    (
        SELECT string_agg(coalesce(current_setting(name, true), 'missing'), ',' ORDER BY place)
        FROM unnest(string_to_array($1, ',')) WITH ORDINALITY AS asked (name, place)
    ) AS settings,
    (
        SELECT string_agg(CAST(seconds AS text), ',' ORDER BY place)
        FROM unnest(string_to_array($5, ',')) WITH ORDINALITY AS asked (name, place),
            extract(epoch FROM CAST(coalesce(current_setting(name, true), '0') AS interval)) AS seconds
    ) AS time_limits,
    EXISTS (
        SELECT FROM pg_catalog.pg_collation
        WHERE collname = 'C' AND collnamespace = CAST('pg_catalog' AS regnamespace)
    ) AS has_collation,
    pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    quote_ident(current_user) AS user,
    quote_ident(current_database()) AS database,
    current_setting('search_path') AS search_path,
    quote_ident(current_schema()) AS schema,
    has_schema_privilege(current_schema(), 'CREATE') AS may_create,
    (
        SELECT string_agg(quote_ident(nspname), ', ') FROM pg_catalog.pg_namespace
        WHERE nspname IN (SELECT name FROM path) AND NOT has_schema_privilege(oid, 'USAGE')
    ) AS closed_schemas,
    to_regclass(quote_ident(current_schema()) || '.' || $4) IS NOT NULL AS is_migrated,
    (
        SELECT string_agg(name || ' ' || verb, ',') FROM needed
        WHERE NOT has_table_privilege(id, verb) AND (verb = 'DELETE' OR EXISTS (
            SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = id AND attnum > 0 AND NOT attisdropped
                AND NOT has_column_privilege(id, attnum, verb)
        ))
    ) AS missing,
    (SELECT string_agg(name, ',' ORDER BY name) FROM tables WHERE row_security_active(id)) AS row_security,
    (
        SELECT string_agg(name, ',' ORDER BY name) FROM tables JOIN pg_catalog.pg_class ON oid = id
        WHERE NOT pg_has_role(relowner, 'USAGE')
    ) AS of_others
"""

# Texts with commas and no arrays: asyncpg would ask the server what an array is, which takes a while.
_VERBS = [(table, verb) for table, verbs in PRIVILEGES.items() for verb in verbs]

ARGUMENTS = (
    ",".join(setting.name for setting in SETTINGS),
    ",".join(table for table, _ in _VERBS),
    ",".join(verb for _, verb in _VERBS),
    REVISIONS,
    ",".join(TIME_LIMITS),
)


def unmet(
    facts: Mapping[str, Any], purpose: Purpose, *, time_limit_seconds: float
) -> Iterator[UnmetRequirement]:
    """Compare the row that `QUERY` gives with what the purpose needs.

    Args:
        facts: The row.
        purpose: What the database is opened for.
        time_limit_seconds: How long a statement may take by EitherDB's own settings.
    """
    yield from _unfit_server(facts)
    if purpose is Purpose.READ:
        return
    yield from _read_only(facts)
    yield from _unfit_schema(facts)
    if purpose is Purpose.SERVE:
        yield from _denied_rows(facts)
        yield from _short_time_limits(facts, time_limit_seconds)
    else:
        yield from _denied_changes(facts)


def _unfit_server(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    if facts["version_number"] < MIN_VERSION:
        yield UnmetRequirement(
            subject="server",
            found=f"the server is PostgreSQL {facts['version']}",
            needed=f"{MIN_VERSION // 10000} or newer is needed",
            remedy="upgrade the server",
        )
    if not facts["has_collation"]:
        yield UnmetRequirement(
            subject="server",
            found='the server has no collation "C"',
            needed="it is needed to order text by code point",
            remedy="use a PostgreSQL server; those that only speak its protocol may lack it",
        )
    for setting, value in zip(SETTINGS, facts["settings"].split(","), strict=True):
        if value == setting.right or (setting.name == "synchronous_commit" and value in _DURABLE):
            continue
        remedy = setting.remedy or "ALTER ROLE {user} IN DATABASE {database} SET {name} = {right}"
        yield UnmetRequirement(
            subject=setting.subject,
            found=f"{setting.name} is {value}",
            needed=setting.needed,
            remedy=remedy.format(
                user=facts["user"], database=facts["database"], name=setting.name, right=setting.right
            ),
            is_fatal=setting.is_fatal,
        )


def _read_only(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    if facts["is_standby"]:
        yield UnmetRequirement(
            subject="server",
            found="the server is a standby, which can't be written (it is in recovery)",
            needed="the primary is needed",
            remedy="let DATABASE_URL name the primary, or promote this one",
        )
    elif facts["is_read_only"]:
        yield UnmetRequirement(
            subject="server",
            found="default_transaction_read_only is on, so that nothing can be written",
            needed="off is needed",
            remedy="SET default_transaction_read_only = off, and then "
            f"ALTER ROLE {facts['user']} IN DATABASE {facts['database']} "
            "SET default_transaction_read_only = off; a provider may have set it because the disk is full",
        )


def _unfit_schema(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    # A schema of the path that the user may not use is passed over, as if it were not there.
    if closed := None if facts["is_migrated"] else facts["closed_schemas"]:
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} may not use the schema {closed}",
            needed="USAGE is needed",
            remedy=f"GRANT USAGE ON SCHEMA {closed} TO {facts['user']}",
        )
    elif facts["schema"] is None:
        yield UnmetRequirement(
            subject="server",
            found=f"there is no schema to work in (search_path is {facts['search_path']})",
            needed="one is needed",
            remedy="CREATE SCHEMA what `?search_path=` in DATABASE_URL names, or mend the name",
        )


def _denied_rows(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    tables: dict[str, list[str]] = {}
    for table, verb in (entry.split() for entry in _listed(facts["missing"])):
        tables.setdefault(table, []).append(verb)
    by_verbs: dict[str, list[str]] = {}
    for table, verbs in tables.items():
        by_verbs.setdefault(", ".join(verbs), []).append(table)
    if by_verbs:
        grants = [
            f"GRANT {verbs} ON {', '.join(_qualified(facts, names))} TO {facts['user']}"
            for verbs, names in by_verbs.items()
        ]
        denied = [f"{verbs} on {', '.join(names)}" for verbs, names in by_verbs.items()]
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} lacks privileges: {'; '.join(denied)}",
            needed="they are needed to serve",
            remedy="; ".join(grants),
        )
    if protected := _listed(facts["row_security"]):
        yield UnmetRequirement(
            subject="privileges",
            found=f"row-level security hides rows of {', '.join(protected)} from the user {facts['user']}",
            needed="every row is needed",
            remedy=f"ALTER ROLE {facts['user']} BYPASSRLS, or "
            + "; ".join(
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in _qualified(facts, protected)
            ),
        )


def _short_time_limits(facts: Mapping[str, Any], seconds: float) -> Iterator[UnmetRequirement]:
    for name, limit in zip(TIME_LIMITS, map(float, facts["time_limits"].split(",")), strict=True):
        if limit and limit < seconds:
            yield UnmetRequirement(
                subject="server",
                found=f"{name} is {limit:g} seconds",
                needed=f"it ends statements before DB_COMMAND_TIMEOUT_SECONDS ({seconds:g}) does",
                remedy=f"set DB_COMMAND_TIMEOUT_SECONDS to less, or ALTER ROLE {facts['user']} "
                f"IN DATABASE {facts['database']} SET {name} = 0",
                is_fatal=False,
            )


def _denied_changes(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    if facts["schema"] is not None and not facts["may_create"]:
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} may not create tables in the schema {facts['schema']}",
            needed="CREATE is needed to migrate",
            remedy=f"GRANT CREATE ON SCHEMA {facts['schema']} TO {facts['user']}, "
            "or migrate as a user who has it: to serve it is not needed",
        )
    if of_others := _listed(facts["of_others"]):
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} does not own {', '.join(of_others)}",
            needed="only the owner may change a table",
            remedy="migrate as the user who made them, or "
            + "; ".join(
                f"ALTER TABLE {table} OWNER TO {facts['user']}" for table in _qualified(facts, of_others)
            ),
        )


def _qualified(facts: Mapping[str, Any], tables: Iterable[str]) -> list[str]:
    return [f"{facts['schema']}.{table}" for table in tables]


def _listed(text: str | None) -> list[str]:
    return text.split(",") if text else []
