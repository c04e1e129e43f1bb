"""Opening the configured database for a command, with errors that name the setting at fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs

from backends import open_backend
from backends.errors import BackendError, PermissionDenied, SchemaMismatch, ServerUnfit
from backends.protocols import Backend
from backends.requirements import Purpose, require
from config import Settings
from config.settings import url_schemes

_VALID = {
    "sqlite": "sqlite:///path/to/file.db in a folder that can be written",
    "postgres": "postgresql://user:password@host:5432/name of a server that runs",
    "mongo": "mongodb://user:password@host:27017/name of a server that runs",
}


@asynccontextmanager
async def opened_backend(
    settings: Settings, *, purpose: Purpose | None = Purpose.SERVE
) -> AsyncIterator[Backend]:
    """Open the backend, close it at the end.

    Args:
        settings: Where the database is.
        purpose: What the server and its user are checked for; None for no check. To serve, the schema is
            checked too.

    Raises:
        BackendError: DATABASE_URL leads to no usable database; the message says where it leads.
        ServerUnfit: The server or its user lacks something.
        SchemaMismatch: The schema is not the code's.
    """
    with naming_the_url(settings):
        backend = await open_backend(settings)
    try:
        if purpose is not None:
            await require_fit(backend, settings, purpose)
        if purpose is Purpose.SERVE:
            await backend.check_schema()
        yield backend
    finally:
        await backend.close()


async def require_fit(backend: Backend, settings: Settings, purpose: Purpose) -> None:
    """Refuse a server, or a user, that lacks something for this purpose.

    Raises:
        ServerUnfit: With a line for each thing, which names the database.
    """
    try:
        require(await backend.check_server(purpose))
    except ServerUnfit as exc:
        place = f"the {settings.db_backend} database at {shown_url(settings)}"
        raise ServerUnfit([f"DATABASE_URL: can't use {place}: {line}" for line in exc.unmet]) from exc


async def require_fit_to_upgrade(backend: Backend, settings: Settings) -> None:
    """Refuse who may not migrate, unless the schema is the code's: then there is nothing to do.

    Raises:
        ServerUnfit: See `require_fit`.
    """
    try:
        await backend.check_schema()
    except (SchemaMismatch, PermissionDenied):
        await require_fit(backend, settings, Purpose.MIGRATE)


@contextmanager
def naming_the_url(settings: Settings) -> Iterator[None]:
    """Say of what fails while connecting where DATABASE_URL leads, and what would be right.

    Raises:
        BackendError: With that text.
    """
    try:
        yield
    except BackendError as exc:
        raise BackendError(
            f"DATABASE_URL: can't use the {settings.db_backend} database at {shown_url(settings)}: {exc}; "
            f"give {_VALID.get(settings.db_backend) or url_schemes(settings.db_backend)[0] + '://…'}"
        ) from exc


def shown_url(settings: Settings) -> str:
    """Return the URL without the parts that may be secret: no user, no password, no options."""
    scheme, _, rest = settings.url.partition("://")
    # A password may hold any of these signs unescaped, so the last @ decides and the options go after it.
    where, _, options = rest.rpartition("@")[2].partition("?")
    socket = parse_qs(options).get("host", [""])[0]
    return f"{scheme}://{where}" + (f" (socket in {socket})" if socket and where.startswith("/") else "")
