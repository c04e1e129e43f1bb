"""Opening the configured database for a command, with errors that name the setting at fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs

from backends import open_backend
from backends.errors import BackendError
from backends.protocols import Backend
from config import Settings
from config.settings import url_schemes

_VALID = {
    "sqlite": "sqlite:///path/to/file.db in a folder that can be written",
    "postgres": "postgresql://user:password@host:5432/name of a server that runs",
    "mongo": "mongodb://user:password@host:27017/name of a server that runs",
}


@asynccontextmanager
async def opened_backend(settings: Settings, *, check_schema: bool = True) -> AsyncIterator[Backend]:
    """Open the backend, close it at the end.

    Raises:
        BackendError: DATABASE_URL leads to no usable database; the message says where it leads.
        SchemaMismatch: The schema is not the code's.
    """
    with naming_the_url(settings):
        backend = await open_backend(settings)
    try:
        if check_schema:
            await backend.check_schema()
        yield backend
    finally:
        await backend.close()


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
