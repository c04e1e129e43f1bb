"""Failures by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from __future__ import annotations

from backends.failures import COLLISION, Failure, ProductTerms

TERMS = ProductTerms(
    product="PostgreSQL",
    tls="sslmode=require",
    certificates="sslmode=verify-full&sslrootcert=/path/to/file, or sslrootcert=system for a public one",
    client_certificate="sslcert=/path/to/file&sslkey=/path/to/file",
)

_GRANT = (
    "let its owner GRANT USAGE, CREATE ON SCHEMA and SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN "
    "SCHEMA to the user of DATABASE_URL"
)
_POOLER = Failure(
    "failed",
    "a connection pooler shares sessions, and prepared statements with them",
    "add pgbouncer=true to DATABASE_URL",
)
_ANOTHER_PLACE = "give EitherDB a database, or a schema with ?search_path=, of its own"
_MIGRATE = "run `eitherdb migrate upgrade`, and check search_path in DATABASE_URL"
_RECONNECT = "EitherDB reconnects when the server is back"
LOST = Failure("lost", "the connection to the server was lost", _RECONNECT)
"""It is unknown whether a write took effect."""
_DAMAGED = Failure(
    "failed", "the server found damaged data", "look at its log, and restore a backup or run REINDEX"
)
_ENCODING = Failure(
    "failed", "the database's encoding can't hold the text", "use a database with ENCODING 'UTF8'"
)
_ITS_OWN = Failure(
    "failed",
    "the server reported an internal error",
    "check its log and its disk space; update it",
)
_BY_HAND = "`eitherdb migrate check` shows what was changed by hand"

FAILURES: dict[str, Failure] = {
    # Conflicts
    "40001": COLLISION,  # serialization_failure
    "40P01": COLLISION,  # deadlock_detected
    "55P03": COLLISION,  # lock_not_available
    # Who may connect
    "28000": Failure(
        "unavailable",
        "the server refuses this user from this machine",
        "check the user in DATABASE_URL and the server's pg_hba.conf; if it says `no encryption`, add "
        "sslmode=require",
    ),
    "28P01": Failure(
        "unavailable",
        "the password is wrong or the user unknown",
        "check both in DATABASE_URL; characters such as @ : / ? # % must be percent-encoded there",
    ),
    "3D000": Failure(
        "unavailable",
        "the database does not exist",
        "run CREATE DATABASE, or check the name in DATABASE_URL",
    ),
    "3F000": Failure(
        "failed",
        "the schema does not exist",
        "run CREATE SCHEMA for the schema of `?search_path=`",
    ),
    "42501": Failure("denied", "the user of the database may not do this", _GRANT),
    # The schema
    "42P01": Failure(
        "unavailable", "a table is missing, or the user may not use its schema any more", _MIGRATE
    ),
    "42703": Failure("failed", "a column is missing", _MIGRATE),
    "42883": Failure("failed", "a function is missing", _MIGRATE),
    "42704": Failure("failed", "the server does not know this", "check the options in DATABASE_URL"),
    "42P07": Failure("failed", "a table or index of this name already exists", _ANOTHER_PLACE),
    "42710": Failure("failed", "an object of this name already exists", _ANOTHER_PLACE),
    "42701": Failure("failed", "a column of this name already exists", _ANOTHER_PLACE),
    "42P06": Failure("failed", "a schema of this name already exists", _ANOTHER_PLACE),
    "2BP01": Failure("failed", "something else depends on it", "drop that first, or leave it as it is"),
    "42601": Failure(
        "failed", "the server does not understand this", "check its version, and options in DATABASE_URL"
    ),
    "22023": Failure("failed", "the server refused a value", "check the options in DATABASE_URL"),
    "22021": _ENCODING,  # character_not_in_repertoire
    "22P05": _ENCODING,  # untranslatable_character
    # Connection poolers
    "26000": _POOLER,  # invalid_sql_statement_name
    "42P05": _POOLER,  # duplicate_prepared_statement
    "08P01": Failure(
        "lost",
        "the other end refuses this, or does not speak PostgreSQL's protocol",
        "check host and port; if a pooler names a startup parameter, leave it out of DATABASE_URL and use "
        "ALTER ROLE name SET parameter = value; pool_mode must be transaction or session",
    ),
    # Resources
    "53100": Failure("unavailable", "the server's disk is full", "free space on it"),
    "53200": Failure("unavailable", "the server is out of memory", "give it more, or lower its settings"),
    "53300": Failure(
        "unavailable",
        "the server has no connection left",
        "lower DB_POOL_SIZE (each process has a pool), or raise max_connections or the CONNECTION LIMIT",
    ),
    "57014": Failure(
        "unavailable",
        "a statement took too long",
        "raise DB_COMMAND_TIMEOUT_SECONDS or statement_timeout, or see pg_stat_activity for what blocks",
    ),
    # The server comes and goes
    "25006": Failure(
        "unavailable",
        "the server is read-only: it is a standby, or was set to read-only",
        "give the primary's address, or all hosts: postgresql://…@a:5432,b:5432/name",
    ),
    "25P03": LOST,  # idle_in_transaction_session_timeout
    "25P04": LOST,  # transaction_timeout
    "40003": LOST,  # statement_completion_unknown
    "57P01": Failure("lost", "the server is shutting down", _RECONNECT),
    "57P02": Failure("lost", "the server crashed", _RECONNECT),
    "57P03": Failure("lost", "the server is starting up or shutting down", _RECONNECT),
    "57P04": Failure("lost", "the database was dropped", "create it again, or check DATABASE_URL"),
    "57P05": LOST,  # idle_session_timeout
    # Damage
    "XX001": _DAMAGED,  # data_corrupted
    "XX002": _DAMAGED,  # index_corrupted
    "XX000": _ITS_OWN,
}
"""Failures by SQLSTATE."""

CLASSES: dict[str, Failure] = {
    "08": LOST,
    "0A": Failure("failed", "the server can't do this", "check its version"),
    "22": Failure("failed", "the server refused a value", "its log shows which"),
    "23": Failure("failed", "the schema refused a row", _BY_HAND),
    "25": Failure(
        "failed",
        "the transaction is not in the required state",
        "check the configuration of pooler and server",
    ),
    "28": Failure("unavailable", "the server refuses the user", "check user and password in DATABASE_URL"),
    "42": Failure("failed", "the schema is not what EitherDB expects", _BY_HAND),
    "53": Failure("unavailable", "the server lacks a resource", "look at its log, and give it more"),
    "54": Failure("failed", "the server's limits don't allow this", "raise the limit that it names"),
    "55": Failure("unavailable", "the server is not in the required state", "look at its log"),
    "57": Failure("unavailable", "the server ended the operation", "look at its log"),
    "58": Failure("unavailable", "the server's system failed", "look at its log, and check its disk"),
    "F0": Failure("unavailable", "the server's configuration is wrong", "look at its log"),
    "P0": Failure("failed", "a trigger refused it", _BY_HAND),
    "XX": _ITS_OWN,
}
"""Failures by the class of a SQLSTATE, its first two characters, for codes not in `FAILURES`."""

QUOTES_VALUES = ("22", "P0")
"""Classes whose messages may contain users' data."""
