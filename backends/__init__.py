"""EitherDB's data layer: one contract (`protocols`), one folder a database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from backends.errors import BackendError
from backends.ids import Clock, IdSource, new_id, utc_now
from config.installed import load_installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backends.protocols import Backend
    from backends.scratch import Scratch
    from config import Settings

# Imported only when chosen: a deployment on one database never loads another's driver.
_MODULES = {
    "sqlite": "backends.sql.backend",
    "postgres": "backends.sql.backend",
    "mongo": "backends.mongo.backend",
}
_SCRATCHES = {
    "sqlite": "backends.sql.scratch",
    "postgres": "backends.sql.scratch",
    "mongo": "backends.mongo.scratch",
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


async def open_scratch(settings: Settings) -> Scratch:
    """Make an empty place on the server that the settings name, in the running event loop.

    Raises:
        Unavailable: The server can't be reached.
        BackendError: It makes none: the user may not, or the installed backend has no `open_scratch`.
    """
    name = settings.db_backend
    module = import_module(_SCRATCHES[name]) if name in _SCRATCHES else load_installed(name)
    opener = cast("Callable[[Settings], Awaitable[Scratch]] | None", getattr(module, "open_scratch", None))
    if opener is None:
        raise BackendError(f"the backend {name} makes no scratch databases: it has no `open_scratch`")
    return await opener(settings)
