"""EitherDB's data layer: one contract (`protocols`), one folder a database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from backends.errors import BackendError
from backends.ids import Clock, IdSource, new_id, utc_now
from config.installed import load_installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backends.protocols import Backend
    from backends.scratch import Scratch
    from config import Settings

# Imported only when chosen: a deployment on one database never loads another's driver.
_PACKAGES = {
    "sqlite": "backends.sql",
    "postgres": "backends.sql",
    "mongo": "backends.mongo",
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
    module = _load(settings.db_backend, "backend")
    opener = cast("Callable[..., Awaitable[Backend]]", module.open_backend)
    return await opener(settings, clock=clock, id_source=id_source)


async def open_scratch(settings: Settings) -> Scratch:
    """Make an empty place on the server that the settings name, in the running event loop.

    Raises:
        Unavailable: The server can't be reached.
        BackendError: It makes none: the user may not, or the installed backend has no `open_scratch`.
    """
    name = settings.db_backend
    module = _load(name, "scratch")
    opener = cast("Callable[[Settings], Awaitable[Scratch]] | None", getattr(module, "open_scratch", None))
    if opener is None:
        raise BackendError(f"the backend {name} makes no scratch databases: it has no `open_scratch`")
    return await opener(settings)


def _load(name: str, module: str) -> Any:
    """Return this module of a backend; an installed one has everything in its entry point's."""
    return import_module(f"{_PACKAGES[name]}.{module}") if name in _PACKAGES else load_installed(name)
