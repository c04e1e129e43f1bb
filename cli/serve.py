"""`eitherdb serve` for deployments and `eitherdb dev` for local use."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backends.models.resources.loading import load_declarations
from backends.requirements import Purpose
from cli.database import (
    naming_the_url,
    opened_backend,
    require_fit_to_upgrade,
    served_backend,
    shown_url,
)
from cli.local_servers import LocalServer, start_mongo, start_postgres
from cli.resources import check_routers
from cli.revisions import read_declared, write_revisions
from cli.usage_error import refusal
from config import DatabaseChoice, Settings
from config.settings import INSECURE_SECRET_KEY, SCHEMES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from backends.protocols import ServerInfo

DATA = Path(".data")

_INSECURE = """
WARNING: SECRET_KEY is the published default, with which anyone can sign in as anyone.
Give SECRET_KEY a secret of your own, 32 bytes or more, and set ENVIRONMENT to staging or production,
which start with no other. (On your own machine `eitherdb dev` may do without.)
"""

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="TCP port to listen on.")]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes; one per core.")] = 1,
    *,
    migrate: Annotated[
        bool,
        typer.Option("--migrate", help="Upgrade the schema first; only one instance migrates at a time."),
    ] = False,
) -> None:
    """Serve the API on the configured database.

    Refuses to start if the schema is older or newer than this code, and names the command that fixes it.
    """
    gc.disable()  # imports create no garbage: see `cli.main`
    settings = Settings.load()
    # Before the modules that declare resources, some of which import FastAPI: see `api.lean_imports`.
    import api  # noqa: F401

    app = None
    if workers == 1:
        app = _create_app()  # refuses invalid routers too
        gc.disable()
    else:
        check_routers(load_declarations(settings.resources))
    _check_port(host, port)
    server = asyncio.run(_prepare(settings, migrate=migrate))
    gc.freeze()
    gc.enable()
    _announce(settings, server, host, port, url=shown_url(settings))
    if settings.secret_key.get_secret_value() == INSECURE_SECRET_KEY:
        typer.secho(_INSECURE, fg="red", bold=True, err=True)
    _run_uvicorn(app or "api.app:create_app_from_environment", host, port, workers)


def dev(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    *,
    destructive: Annotated[
        bool,
        typer.Option("--destructive", help="Also apply revisions of declared resources that lose data."),
    ] = False,
) -> None:
    """Run EitherDB on this machine, with its data under `.data`.

    With DB_BACKEND=postgres or mongo and no DATABASE_URL, a local server of that kind is started and
    stopped together with the API. The schema is upgraded and a first superuser is created. Missing
    revisions of declared resources are written and applied.
    """
    choice = DatabaseChoice.load()
    import api  # noqa: F401 - see `serve`

    check_routers(load_declarations(choice.resources))
    if choice.needs_local_server:
        # Report every other invalid setting before the server starts. Only the URL's scheme is known yet.
        Settings.load(database_url=f"{SCHEMES[choice.db_backend][0]}://")
    _check_port(host, port, " (`make run PORT=8001`)")
    for path in write_revisions(choice):
        typer.echo(f"Wrote {path}, because the declaration has changes without a revision")
    with ExitStack() as stack:
        local = None
        if choice.needs_local_server:
            # uvicorn raises SIGTERM again after its shutdown; the database server must still be stopped.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            local = stack.enter_context(_local_server(choice.db_backend))
            typer.echo(f"Started {local.origin}, with its data under {DATA}")
            os.environ["DATABASE_URL"] = local.url
        settings = Settings.load()
        command = None if destructive else "eitherdb dev"
        server = asyncio.run(_prepare(settings, migrate=True, lossless_command=command))
        # A local server's URL has no secret. It is shown whole, so that other commands can use it.
        _announce(settings, server, host, port, url=local.url if local else shown_url(settings))
        _run_uvicorn(_create_app(), host, port, workers=1)


def _local_server(backend: str) -> LocalServer:
    """Start a local server of this kind, with its data under `.data`."""
    if backend == "postgres":
        return start_postgres(DATA / "postgres")
    return start_mongo(DATA / "mongo")


def _check_port(host: str, port: int, example: str = "") -> None:
    """Refuse an unavailable port before anything starts; uvicorn would notice it last.

    uvicorn reports all other errors of the address; it tries each address of a host name.
    """
    with suppress(socket.gaierror):
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in addresses:
            try:
                with socket.socket(family, kind, protocol) as probe:
                    # Like uvicorn: connections in TIME_WAIT don't block the port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
            except OSError as exc:
                if exc.errno in {errno.EADDRINUSE, errno.EACCES}:
                    reason = f"--port {port}: {exc.strerror} on {host}; use another port{example}"
                    raise refusal(reason) from None


async def _prepare(
    settings: Settings, *, migrate: bool, lossless_command: str | None = "eitherdb migrate upgrade"
) -> ServerInfo:
    """Migrate if asked to, and check the database, so that errors are one line before the server starts.

    Args:
        settings: The settings.
        migrate: Whether to migrate.
        lossless_command: The command that also applies revisions that lose data; None if this one does.
    """
    histories = read_declared(settings)
    if migrate:
        from migrations import open_migrator
        from migrations.resources.plan import require_lossless

        async with opened_backend(settings, purpose=Purpose.READ) as backend:
            await require_fit_to_upgrade(backend, settings)
        with naming_the_url(settings, "upgrade"):
            migrator = open_migrator(settings, histories)
            if histories and lossless_command is not None:
                require_lossless("head", histories, await migrator.applied(), command=lossless_command)
            applied = await migrator.upgrade()
        for revision in applied:
            typer.echo(f"Applied migration {revision}")
    async with served_backend(settings) as backend:
        return backend.server


def _announce(settings: Settings, server: ServerInfo, host: str, port: int, *, url: str) -> None:
    base = f"http://{host}:{port}{settings.root_path}"
    lines = {
        "Database": f"{server.product} {server.version} ({server.driver}) at {url}",
        "API": f"{base}/api/v1",
        "Docs": f"{base}/docs" if settings.shows_docs else "off (set DOCS=true)",
        "Superuser": settings.superuser_email or "none (set FIRST_SUPERUSER)",
    }
    typer.echo(f"EitherDB {version('eitherdb')}")
    for name, value in lines.items():
        typer.echo(f"  {name:<10} {value}")


def _create_app() -> FastAPI:
    from api.app import create_app_from_environment

    return create_app_from_environment()


def _run_uvicorn(app: FastAPI | str, host: str, port: int, workers: int) -> None:
    import uvicorn

    # No access log: it costs about a third of the throughput, and a reverse proxy writes a better one.
    uvicorn.run(
        app,
        factory=isinstance(app, str),
        host=host,
        port=port,
        workers=workers,
        loop="auto" if sys.platform == "win32" else "cli.event_loop:EventLoop",
        access_log=False,
        # Longer than the keep-alive of proxies (a minute): a request may arrive while the server closes.
        timeout_keep_alive=75,
        server_header=False,
        log_config=_log_config(),
    )


def _log_config() -> dict[str, Any]:
    """Return uvicorn's logging configuration with the API's logger, which shows emails in `local`."""
    from uvicorn.config import LOGGING_CONFIG

    loggers = {**LOGGING_CONFIG["loggers"], "api": {"handlers": ["default"], "level": "INFO"}}
    return {**LOGGING_CONFIG, "loggers": loggers}
