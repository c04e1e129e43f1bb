"""Schema migrations: one set of commands for every backend, one history a kind of database.

`sql/` holds Alembic revisions, which serve PostgreSQL and SQLite; `mongo/` holds numbered steps. Both
number their revisions 0001, 0002, … so that older and newer can be told by looking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from config.installed import load_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from config import Settings

_MODULES = {
    "sqlite": "migrations.sql.migrator",
    "postgres": "migrations.sql.migrator",
    "mongo": "migrations.mongo.migrator",
}


class MigrationError(Exception):
    """A migration can't be run as asked; the text says what would be right."""


class OutOfBounds(MigrationError):
    """There are numbers that a revision bounds: nothing was changed."""

    NAMED = 3
    """How many rows of a table the message names."""

    def __init__(self, revision: str, bound: int, found: Mapping[str, Sequence[str]]) -> None:
        """Take the ids of such rows by their table; more than `NAMED` of one need not be looked for."""
        rows = [
            f"{table} {', '.join(ids[: self.NAMED])}{' and others' if ids[self.NAMED :] else ''}"
            for table, ids in found.items()
            if ids
        ]
        super().__init__(
            f"revision {revision} bounds amounts and balances at {bound}, which is exceeded in: "
            f"{'; '.join(rows)}; nothing was changed; correct or remove these rows, then run "
            "`eitherdb migrate upgrade` again, or stay on the version before"
        )
        self.found = found


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of a history."""

    number: str
    summary: str


class Migrator(Protocol):
    """Changes the schema of the database that the settings name.

    Every method that connects raises the errors of `backends.errors` for a database that can't be reached,
    and `ForeignSchema` for one in which another application's things have names that EitherDB uses, or
    whose history is another application's. That is found out before anything is written, a lock included.
    What an interrupted run of EitherDB left is EitherDB's, and so is what an earlier version made.
    """

    async def upgrade(self, target: str = "head") -> list[str]:
        """Apply every revision up to and including `target` that is not applied yet; return those.

        Instances that call this at the same time take turns behind a lock in the database: the first
        applies, the others find nothing to do. Interrupted anywhere, it can simply be run again. The lock
        does not outlive its holder, also behind a connection pooler, and `migrations.waiting.wait_for_lock`
        waits for it: no longer than `LOCK_WAIT_SECONDS`, and saying for whom.

        Raises:
            MigrationError: There is no such revision: `resolve_target` says so.
            SchemaMismatch: The database has revisions of a newer EitherDB.
            ForeignSchema: There is another application's under any name that the newest revision uses.
            Conflict: Another instance has had the lock for all of that time.
        """
        ...

    async def downgrade(self, target: str) -> list[str]:
        """Undo, newest first, every applied revision after `target` (`base` for all); return those.

        Data that the older schema has no place for is lost. What these revisions did not make stays.

        Raises:
            MigrationError: There is no such revision.
            SchemaMismatch: The database has revisions of a newer EitherDB.
            ForeignSchema: Something else has taken the place of what a revision made.
            Conflict: As for `upgrade`.
        """
        ...

    async def current(self) -> str | None:
        """Return the newest applied revision, also of a newer EitherDB; None if there is none."""
        ...

    def history(self) -> list[Revision]:
        """Return every revision that this code knows, oldest first."""
        ...

    async def check(self) -> list[str]:
        """Compare the schema in the database with the one that the code declares.

        Returns:
            A sentence a difference, none if they are the same; of a database that was never migrated, or
            is another application's, that.
        """
        ...

    async def revision(self, message: str) -> Path:
        """Write the file of a new revision, filled in as far as a machine can; return where it is.

        Raises:
            MigrationError: This kind of database has none to write, or is not at the newest one.
        """
        ...


def open_migrator(settings: Settings) -> Migrator:
    """Return the migrator of the backend that the settings name; it connects when it is used."""
    name = settings.db_backend
    module = import_module(_MODULES[name]) if name in _MODULES else load_installed(name)
    return cast("Callable[[Settings], Migrator]", module.open_migrator)(settings)


def resolve_target(target: str, numbers: list[str], current: str | None) -> str:
    """Turn `head`, `base`, `-1` or a revision's number into a number, or `base`.

    Args:
        target: What was asked for. A negative number counts back from `current`.
        numbers: The known revisions, oldest first.
        current: The newest applied revision.

    Raises:
        MigrationError: It is none of these.
    """
    if target == "head":
        return numbers[-1]
    if target == "base" or target in numbers:
        return target
    if re.fullmatch(r"-[0-9]{1,4}", target):
        applied = numbers.index(current) + 1 if current in numbers else 0
        remaining = applied - int(target[1:])
        if remaining >= 0:
            return numbers[remaining - 1] if remaining else "base"
    valid = ", ".join(["base", *numbers, "head", "-1"])
    raise MigrationError(f"there is no revision {target!r}; give one of: {valid}")
