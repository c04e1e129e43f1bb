"""EitherDB's data layer: one contract (`protocols`) and one package per kind of database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from backends.errors import BackendError
from backends.ids import Clock, IdSource, new_id, utc_now
from config.installed import load_installed, require_resources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backends.models.resources import Resource
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
    settings: Settings,
    *,
    clock: Clock = utc_now,
    id_source: IdSource = new_id,
    resources: Sequence[type[Resource]] = (),
) -> Backend:
    """Connect to the configured database in the running event loop, and probe its capabilities.

    The schema is not checked, so that migrations can use this function; see `Backend.check_schema`.

    Args:
        settings: `db_backend` selects the implementation.
        clock: The source of `created_at`: aware UTC, whole milliseconds.
        id_source: The source of ids: 24 lower-case hex digits, each one new.
        resources: The declared resources, besides items.

    Raises:
        Unavailable: The database can't be reached.
        BackendError: The database responds but can't be used (version too old, wrong password, …).
        SettingsError: An installed backend does not serve declared resources.
    """
    name = settings.db_backend
    module = _load(name, "backend")
    opener = cast("Callable[..., Awaitable[Backend]]", module.open_backend)
    given: dict[str, Any] = {"clock": clock, "id_source": id_source}
    if resources:
        given["resources"] = resources
        classes = [cls.__resource__.class_name for cls in resources]
        if name not in _PACKAGES:
            require_resources(name, module, classes)
    return await opener(settings, **given)


async def open_scratch(settings: Settings) -> Scratch:
    """Create a scratch database on the configured server, in the running event loop.

    Raises:
        Unavailable: The server can't be reached.
        BackendError: The user lacks the privilege, or the installed backend has no `open_scratch`.
    """
    name = settings.db_backend
    module = _load(name, "scratch")
    opener = cast("Callable[[Settings], Awaitable[Scratch]] | None", getattr(module, "open_scratch", None))
    if opener is None:
        raise BackendError(f"the backend {name} makes no scratch databases: it has no `open_scratch`")
    return await opener(settings)


def _load(name: str, module: str) -> Any:
    """Return this module of a backend. An installed backend has a single module, its entry point."""
    return import_module(f"{_PACKAGES[name]}.{module}") if name in _PACKAGES else load_installed(name)
