"""Open the configured database for a command, with errors that name the setting at fault."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs

from backends import open_backend
from backends.errors import (
    BackendError,
    ForeignSchema,
    ResourcesMissing,
    SchemaDrifted,
    SchemaMismatch,
    ServerUnfit,
    Unavailable,
)
from backends.models.resources.loading import load_resources
from backends.protocols import Backend
from backends.requirements import Purpose, require
from backends.url_parts import split_url
from cli.revisions import read_declared, require_applied
from config import Settings


@asynccontextmanager
async def opened_backend(
    settings: Settings, *, purpose: Purpose | None = Purpose.SERVE
) -> AsyncIterator[Backend]:
    """Open the backend, and close it at the end.

    Args:
        settings: The settings, with the database's URL.
        purpose: The purpose that the server and its user are checked for; None for no check. `SERVE` also
            checks the schema.

    Raises:
        BackendError: DATABASE_URL names no usable database; the message contains the shown URL.
        ServerUnfit: The server or its user lacks something.
        SchemaMismatch: The schema is not the code's.
    """
    with naming_the_url(settings):
        backend = await open_backend(settings, resources=load_resources(settings.resources))
    try:
        if purpose is not None:
            await require_fit(backend, settings, purpose)
        if purpose is Purpose.SERVE:
            with naming_the_url(settings):
                await backend.check_schema()
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def served_backend(settings: Settings) -> AsyncIterator[Backend]:
    """Open the backend with all checks of `eitherdb serve`, and close it at the end.

    Raises:
        BackendError: As in `opened_backend`.
        MigrationError: A revision of declared resources is missing, as a file or in the database.
    """
    histories = read_declared(settings)
    async with opened_backend(settings, purpose=None) as backend:
        await require_fit(backend, settings, Purpose.SERVE)
        with naming_the_url(settings):
            try:
                await backend.check_schema()
            except ResourcesMissing as exc:
                await require_applied(settings, histories)  # says more
                lacks = (
                    f"the database lacks the declared {', '.join(exc.names)}, whose revisions are applied"
                )
                raise SchemaDrifted([lacks]) from exc
            except (ForeignSchema, SchemaDrifted):
                await require_applied(settings, histories)  # says more
                raise
            await require_applied(settings, histories)
        yield backend


async def require_fit(backend: Backend, settings: Settings, purpose: Purpose) -> None:
    """Check that the server and its user meet the requirements of this purpose.

    Raises:
        ServerUnfit: With one line per unmet requirement, each of which names the database.
    """
    try:
        with naming_the_url(settings):
            require(await backend.check_server(purpose))
    except ServerUnfit as exc:
        place = f"the {settings.db_backend} database at {shown_url(settings)}"
        raise ServerUnfit([f"DATABASE_URL: can't use {place}: {line}" for line in exc.unmet]) from exc


async def require_fit_to_upgrade(backend: Backend, settings: Settings) -> None:
    """Check the requirements of a migration, unless the schema is up to date.

    A table that pending revisions change in most of its columns looks like another application's. The
    migrator knows its earlier forms, and refuses what is foreign.

    Raises:
        ServerUnfit: See `require_fit`.
    """
    try:
        await backend.check_schema()
    except (SchemaMismatch, ForeignSchema, Unavailable):
        await require_fit(backend, settings, Purpose.MIGRATE)


@contextmanager
def naming_the_url(settings: Settings, attempt: str = "use") -> Iterator[None]:
    """Add the operation and the shown URL to the message of a backend error.

    Args:
        settings: The settings, with the URL.
        attempt: The operation, as a verb.

    Raises:
        BackendError: With the extended message.
        SchemaMismatch: Unchanged, because its message is complete.
        ForeignSchema: Unchanged, for the same reason.
        ServerUnfit: Unchanged, for the same reason.
    """
    try:
        yield
    except (SchemaMismatch, ForeignSchema, ServerUnfit):
        raise
    except BackendError as exc:
        where = f"the {settings.db_backend} database at {shown_url(settings)}"
        raise BackendError(f"DATABASE_URL: can't {attempt} {where}: {exc}") from exc


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(%\w+)?\]|[\w.%-]*)(:[0-9]{1,5})?")


def shown_url(settings: Settings) -> str:
    """Return the URL without the parts that may be secret: no user, no password, no options.

    A password may contain any character unescaped. An ambiguous URL is reduced to its scheme.
    """
    scheme, _, rest = settings.url.partition("://")
    if settings.db_backend == "sqlite":
        return f"{scheme}://{rest.partition('?')[0] if rest.startswith('/') else '…'}"
    try:
        url = split_url(settings.url)
    except BackendError:
        return f"{scheme}://…"
    names = [option.partition("=")[0] for option in url.query.split("&") if option]
    is_plain = (
        all(_HOST.fullmatch(host) for host in url.hosts.split(","))
        and all(re.fullmatch(r"[\w.]+", name) for name in names)
        and (url.user is not None or "@" not in url.query)
    )
    if not is_plain:
        return f"{scheme}://…"
    given = "" if url.hosts else ",".join(parse_qs(url.query).get("host", []))
    return f"{scheme}://{url.hosts}{url.path}" + (f" (at {given})" if given else "")
