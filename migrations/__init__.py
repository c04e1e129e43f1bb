"""Schema migrations: the same commands for every backend, and one history for SQL and one for MongoDB.

`sql/` holds Alembic revisions for PostgreSQL and SQLite. `mongo/` holds numbered steps. Both number their
revisions 0001, 0002, …, so that their order is visible.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from config.installed import load_installed, require_resources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from config import Settings
    from migrations.resources.history import History

_MODULES = {
    "sqlite": "migrations.sql.migrator",
    "postgres": "migrations.sql.migrator",
    "mongo": "migrations.mongo.migrator",
}

_RECORDS = {
    "sqlite": "migrations.sql.records",
    "postgres": "migrations.sql.records",
    "mongo": "migrations.mongo.migrator",
}
"""Modules with a `read_applied`. That of SQL imports less than the migrator."""


class MigrationError(Exception):
    """The requested migration is impossible; the message names the valid options."""


class OutOfBounds(MigrationError):
    """Existing rows exceed a revision's bound; nothing was changed."""

    NAMED = 3
    """The number of rows per table that the message names."""

    def __init__(self, revision: str, bound: int, found: Mapping[str, Sequence[str]]) -> None:
        """Build the message from the ids of the rows by table; `NAMED` + 1 ids of each table are enough."""
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
    """A revision of a history."""

    number: str
    summary: str


class Migrator(Protocol):
    """Migrates the schema of the database that the settings select.

    Every method that connects raises the errors of `backends.errors` for an unreachable database. It raises
    `ForeignSchema` if another application uses EitherDB's names or has recorded its own history. This check
    comes before every write, the lock's included. Tables and collections of an interrupted run or an
    earlier version belong to EitherDB.
    """

    async def upgrade(self, target: str = "head") -> list[str]:
        """Apply the missing revisions up to and including `target`, and return their numbers.

        `head` also applies all revisions of declared resources. The target `library:0001` is one of theirs,
        and first applies all of EitherDB's own.

        Concurrent calls of several instances are serialised by a lock in the database: the first applies
        the revisions, the others find nothing to do. An interrupted run can be repeated. The lock does
        not outlive its holder, even behind a connection pooler. `migrations.waiting.wait_for_lock` waits
        up to `LOCK_WAIT_SECONDS` for the lock and logs its holder.

        Raises:
            MigrationError: The revision doesn't exist; see `resolve_target`.
            SchemaMismatch: The database has revisions of a newer EitherDB.
            ForeignSchema: Another application uses a name that the newest revision uses.
            Conflict: Another instance held the lock for the whole time.
        """
        ...

    async def downgrade(self, target: str) -> list[str]:
        """Revert the applied revisions after `target` (`base` for all), newest first; return their numbers.

        `base` first reverts all revisions of declared resources; `library:base` reverts those of one
        history only.

        Data that the older schema can't hold is lost. Other applications' tables and collections stay.

        Raises:
            MigrationError: The revision doesn't exist.
            SchemaMismatch: The database has revisions of a newer EitherDB.
            ForeignSchema: A table or collection of another application replaced one of EitherDB's.
            Conflict: As for `upgrade`.
        """
        ...

    async def current(self) -> str | None:
        """Return the newest applied revision, which may be a newer EitherDB's; None if none is applied."""
        ...

    async def applied(self) -> dict[str, str]:
        """Return the newest recorded revision of each history of declared resources."""
        ...

    def history(self) -> list[Revision]:
        """Return every known revision of EitherDB's own, oldest first."""
        ...

    async def check(self) -> list[str]:
        """Compare the schema in the database with the declared one.

        Returns:
            One sentence per difference. For a database that was never migrated, or belongs to another
            application, one sentence that says so.
        """
        ...

    async def revision(self, message: str) -> Path:
        """Generate the file of a new revision and return its path.

        Raises:
            MigrationError: The database is not at the newest revision.
        """
        ...


def open_migrator(settings: Settings, histories: Sequence[History] = ()) -> Migrator:
    """Return the migrator of the backend that the settings select; it connects on first use.

    Args:
        settings: The settings.
        histories: The revisions of declared resources.

    Raises:
        SettingsError: An installed backend does not serve declared resources.
    """
    name = settings.db_backend
    if name in _MODULES:
        module = import_module(_MODULES[name])
    else:
        module = load_installed(name)
        classes = [spec.class_name for history in histories for spec in history.declared]
        if classes:
            require_resources(name, module, classes)
    opener = cast("Callable[..., Migrator]", module.open_migrator)
    return opener(settings, histories=histories) if histories else opener(settings)


async def read_applied(settings: Settings, histories: Sequence[History]) -> dict[str, str]:
    """Return the newest recorded revision of each history of declared resources: see `Migrator.applied`.

    Raises:
        MigrationError: A recorded revision is another one than that of its history.
    """
    name = settings.db_backend
    if name not in _RECORDS:
        return await open_migrator(settings, histories).applied()
    reader = cast("Callable[..., Awaitable[dict[str, str]]]", import_module(_RECORDS[name]).read_applied)
    return await reader(settings, histories)


def resolve_target(target: str, numbers: list[str], current: str | None) -> str:
    """Resolve `head`, `base`, `-1` or a revision's number to a number or `base`.

    Args:
        target: The requested revision. A negative number counts back from `current`.
        numbers: The known revisions, oldest first.
        current: The newest applied revision.

    Raises:
        MigrationError: The target is none of these.
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
