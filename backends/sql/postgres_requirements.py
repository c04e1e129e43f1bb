"""The requirements for a PostgreSQL server and its user.

`postgres_facts` has the query for all facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.requirements import Purpose, Subject, UnmetRequirement
from backends.sql.ownership import REVISIONS
from backends.sql.postgres_privileges import denied_changes, denied_rows, hidden_rows, needed_privileges

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec

MIN_VERSION = 13
"""Older versions lack CREATE DATABASE with LOCALE, which a remedy needs."""

TESTED_VERSION = 15
"""The oldest version that the contract suite runs on, and that the PostgreSQL project maintains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A server setting that must have a certain value.

    Attributes:
        name: The name for `current_setting`.
        right: The required value.
        needed: See `UnmetRequirement`.
        remedy: A format string with `database` and `user`; None for an ALTER ROLE statement.
        subject: See `UnmetRequirement`.
        is_fatal: See `UnmetRequirement`.
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

# The values of `synchronous_commit` that wait for the server's own disk.
_DURABLE = {"on", "local", "remote_write", "remote_apply"}

TIME_LIMITS = ("statement_timeout", "transaction_timeout")


def arguments(resources: Collection[ResourceSpec]) -> tuple[str, ...]:
    """Return the arguments of `postgres_facts.QUERY` for a database with these resources."""
    needed = list(needed_privileges(resources))
    return (
        ",".join(setting.name for setting in SETTINGS),
        ",".join(table for table, _ in needed),
        ",".join(verb for _, verb in needed),
        REVISIONS,
        ",".join(TIME_LIMITS),
    )


def unmet(
    facts: Mapping[str, Any], purpose: Purpose, *, time_limit_seconds: float
) -> Iterator[UnmetRequirement]:
    """Compare the facts with the requirements of the purpose.

    Args:
        facts: The row of `postgres_facts.QUERY`.
        purpose: The purpose for which the database is opened.
        time_limit_seconds: EitherDB's own command timeout.
    """
    yield from _unfit_server(facts)
    if purpose is Purpose.READ:
        return
    yield from _read_only(facts)
    yield from _unfit_schema(facts)
    if purpose is Purpose.SERVE:
        yield from denied_rows(facts)
        yield from hidden_rows(facts)
        yield from _short_time_limits(facts, time_limit_seconds)
    else:
        yield from denied_changes(facts)


def _unfit_server(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    major = facts["version_number"] // 10_000
    if major < TESTED_VERSION:
        is_fatal = major < MIN_VERSION
        yield UnmetRequirement(
            subject="server",
            found=f"the server is PostgreSQL {facts['version']}",
            needed=f"{MIN_VERSION} or newer is needed" if is_fatal else "the contract is not tested on it",
            remedy=f"upgrade the server to {TESTED_VERSION} or newer",
            is_fatal=is_fatal,
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
    # PostgreSQL ignores schemas of the search path for which the user lacks USAGE.
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
            found=f"the schema does not exist (search_path is {facts['search_path']})",
            needed="one is needed",
            remedy="CREATE SCHEMA what `?search_path=` in DATABASE_URL names, or mend the name",
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
