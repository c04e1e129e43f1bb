"""EitherDB's data layer: one contract (`protocols`), one folder a database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from backends.ids import Clock, IdSource, new_id, utc_now
from config.installed import load_installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backends.protocols import Backend
    from config import Settings

# Imported only when chosen: a deployment on one database never loads another's driver.
_MODULES = {
    "sqlite": "backends.sql.backend",
    "postgres": "backends.sql.backend",
    "mongo": "backends.mongo.backend",
}


async def open_backend(
    settings: Settings, *, clock: Clock = utc_now, id_source: IdSource = new_id
) -> Backend:
    """Connect to the database that the settings name, in the running event loop; probe what it can do.

    The schema is not checked (`Backend.check_schema` does), so that a migration can use it too.

    Args:
        settings: `db_backend` selects the implementation.
        clock: Where `created_at` comes from: aware UTC, whole milliseconds.
        id_source: Where ids come from: 24 lower-case hex digits, each one new.

    Raises:
        Unavailable: The database can't be reached.
        BackendError: It answered, but can't be used (version too old, wrong password, …).
    """
    name = settings.db_backend
    module = import_module(_MODULES[name]) if name in _MODULES else load_installed(name)
    opener = cast("Callable[..., Awaitable[Backend]]", module.open_backend)
    return await opener(settings, clock=clock, id_source=id_source)
