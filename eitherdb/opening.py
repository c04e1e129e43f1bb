"""Opens the configured database for scripts, workers and notebooks.

The imports are in the functions, so that declarations, which import `eitherdb` too, load none of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    from backends.protocols import Backend
    from config import Settings
    from eitherdb.blocking import Database


class DatabaseSettings(TypedDict, total=False):
    """The settings of a database, as in the environment: `.env.example` explains each."""

    db_backend: str
    database_url: str
    resources: str | Sequence[str]
    mongo_driver: Literal["motor", "pymongo"]
    db_pool_size: int
    db_pool_timeout_seconds: float
    db_connect_timeout_seconds: float
    db_command_timeout_seconds: float


@asynccontextmanager
async def open_backend(
    settings: Settings | None = None, /, **given: Unpack[DatabaseSettings]
) -> AsyncIterator[Backend]:
    """Open the database in the running event loop, and close it at the end of `async with`.

    Everything is checked that `eitherdb serve` checks at its start.

    Args:
        settings: The settings. Default: those of the environment and of `.env`.
        **given: Settings that override those of the environment.

    Raises:
        SettingsError: A setting is invalid.
        DeclarationError: The declared resources can't be loaded.
        BackendError: The database can't be used. `SchemaMismatch` names the migration to run.
        MigrationError: The revisions of the declared resources are behind.
    """
    from cli.database import served_backend

    async with served_backend(load_settings(settings, given)) as backend:
        yield backend


def open_blocking(
    settings: Settings | None = None, /, *, read_only: bool = False, **given: Unpack[DatabaseSettings]
) -> Database:
    """Open the database for code without an event loop: `with eitherdb.open_blocking() as db:`.

    The database is open when this function returns, also without `with`. It is closed by `with`, by
    `Database.close`, or when the program ends. Everything is checked that `eitherdb serve` checks at its
    start.

    Args:
        settings: The settings. Default: those of the environment and of `.env`.
        read_only: Whether the repositories refuse methods that write, with `ReadOnlyDatabase`.
        **given: Settings that override those of the environment.

    Raises:
        Exception: As in `open_backend`.
    """
    from cli.database import served_backend
    from eitherdb.blocking import Database

    return Database(partial(served_backend, load_settings(settings, given)), read_only=read_only)


def load_settings(settings: Settings | None, given: Mapping[str, Any]) -> Settings:
    """Return the settings that were given, or load them.

    Raises:
        TypeError: There is no such setting, or there are two sources.
        SettingsError: A setting is invalid.
    """
    from config import Settings

    for name in given:
        if name not in DatabaseSettings.__annotations__:
            known = DatabaseSettings.__annotations__
            close = get_close_matches(name.lower(), known, 1)
            remedy = f"write {close[0]}=…" if close else f"give one of: {', '.join(known)}"
            raise TypeError(f"{name} is no database setting: {remedy}")
    if settings is None:
        return Settings.load(**given)
    if given:
        raise TypeError(f"{', '.join(given)}: give a Settings object or single settings, not both")
    return settings
