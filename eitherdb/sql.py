"""Mapped classes and sessions that only read, for reports, joins and notebooks on PostgreSQL and SQLite.

    Session = eitherdb.sql.session_factory()
    with Session() as session:
        for user in session.scalars(select(User).options(selectinload(User.items))):
            ...

`docs/scripts.md` explains it. The service does not import this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from backends.errors import ForeignSchema, ResourcesMissing, SchemaDrifted
from backends.models.resources import DeclarationError, Resource
from backends.models.resources.loading import load_resources
from backends.sql.mapped import sessions
from backends.sql.mapped.models import OWN, Account, Item, Transfer, User
from backends.sql.mapped.refusals import ReadOnlySession
from backends.sql.mapped.resources import map_once
from backends.sql.resource_statements import resource_tables
from backends.sql.schema import METADATA
from backends.sql.schema_check import check_schema
from cli.database import naming_the_url
from cli.revisions import read_declared, require_revisions
from config import DatabaseChoice, Settings, SettingsError
from eitherdb.opening import DatabaseSettings, load_settings
from migrations import MigrationError
from migrations.resources.plan import behind
from migrations.sql.records import records_of

if TYPE_CHECKING:
    from backends.sql.schema_check import Queries
    from migrations.resources.history import History

__all__ = [
    "Account",
    "Item",
    "ReadOnlySession",
    "Transfer",
    "User",
    "async_session_factory",
    "mapped",
    "models",
    "session_factory",
]


def session_factory(
    settings: Settings | None = None, /, **given: Unpack[DatabaseSettings]
) -> sessionmaker[Session]:
    """Return the factory of synchronous sessions on the configured database.

    The declared resources are mapped, and the schema is checked as at the start of the server. Connections
    are not pooled, so only sessions have to be closed. PostgreSQL needs the extra `reports`.

    Args:
        settings: The settings. Default: those of the environment and of `.env`.
        **given: Settings that override those of the environment.

    Raises:
        SettingsError: A setting is invalid, or the database is no SQL database.
        DeclarationError: The declared resources can't be loaded.
        BackendError: The database can't be used. `SchemaMismatch` names the migration to run.
        MigrationError: The revisions of the declared resources are behind.
    """
    chosen = load_settings(settings, given)
    check = _prepare(chosen)
    with naming_the_url(chosen):
        return cast("sessionmaker[Session]", sessions.synchronous(chosen, check))


async def async_session_factory(
    settings: Settings | None = None, /, **given: Unpack[DatabaseSettings]
) -> async_sessionmaker[AsyncSession]:
    """Return the factory of asynchronous sessions, likewise. It needs no extra.

    Args:
        settings: As in `session_factory`.
        **given: Likewise.

    Raises:
        Exception: As in `session_factory`.
    """
    chosen = load_settings(settings, given)
    check = _prepare(chosen)
    with naming_the_url(chosen):
        return await sessions.asynchronous(chosen, check)


def mapped(resource: type[Resource] | str) -> Any:
    """Return the mapped class of a resource.

    Args:
        resource: The declared class, or the name of its table: `Book` or `"books"`.

    Raises:
        DeclarationError: RESOURCES does not declare it.
    """
    name = resource if isinstance(resource, str) else resource.__resource__.name
    found: dict[str, Any] = {**OWN, **_mapped()}
    if name not in found:
        shown = resource if isinstance(resource, str) else resource.__name__
        raise DeclarationError(
            f"mapped({shown})", "RESOURCES does not declare it", f"give one of: {', '.join(found)}"
        )
    return found[name]


def models() -> dict[str, Any]:
    """Return all mapped classes by their names, those of the declared resources included."""
    return {cls.__name__: cls for cls in (*OWN.values(), *_mapped().values())}


def _mapped() -> dict[str, Any]:
    """Return the mapped classes of what the first factory, or else the environment, declares."""
    return map_once() or map_once(load_resources(DatabaseChoice.load().resources))


def _prepare(settings: Settings) -> Queries[None]:
    """Map the declared resources; return the check of the database."""
    if settings.db_backend not in {"sqlite", "postgres"}:
        raise SettingsError(
            f"DB_BACKEND: mapped classes need sqlite or postgres, not {settings.db_backend}: use the "
            "repositories of eitherdb.open_blocking() or eitherdb.open_backend()"
        )
    resources = load_resources(settings.resources)
    histories = read_declared(settings)
    map_once(resources)
    return _check(settings, resources, histories)


def _check(
    settings: Settings, resources: Sequence[type[Resource]], histories: Sequence[History]
) -> Queries[None]:
    on_sqlite = settings.db_backend == "sqlite"
    tables = resource_tables([cls.__resource__ for cls in resources])
    try:
        yield from check_schema({**METADATA.tables, **tables}, tables, on_sqlite=on_sqlite)
    except (ForeignSchema, ResourcesMissing, SchemaDrifted):
        yield from _require_applied(histories, on_sqlite=on_sqlite)  # says more
        raise
    yield from _require_applied(histories, on_sqlite=on_sqlite)


def _require_applied(histories: Sequence[History], *, on_sqlite: bool) -> Queries[None]:
    if not histories:
        return
    require_revisions(histories)
    if late := behind(histories, (yield from records_of(histories, on_sqlite=on_sqlite))):
        raise MigrationError("\n".join(late))
