"""Fixtures of the client tests: a server on a TCP port, and a project that uses the npm package."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from clients.generate import TYPESCRIPT
from tests.api.service import serve
from tests.clients.readme import examples
from tests.provision import Provision


@asynccontextmanager
async def serve_on_free_port(app: FastAPI) -> AsyncIterator[str]:
    """Serve a started application on a free port in this event loop. Yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A client can connect from here on: it waits in the backlog until the server accepts.
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="warning"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await running


@pytest.fixture
async def url(migrated: Provision) -> AsyncIterator[str]:
    """Return the URL of a real server on a real database without items."""
    await migrated.clean()
    async with serve(migrated) as service, serve_on_free_port(service.app) as url:
        yield url


@pytest.fixture(scope="session")
def typescript_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with the client as its only package, the scenario and the README's example."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").mkdir()
    (folder / "node_modules/eitherdb-client").symlink_to(TYPESCRIPT)
    for name in ("scenario.ts", "money.ts"):
        shutil.copy(Path(__file__).with_name(name), folder)
    (example,) = examples(TYPESCRIPT / "README.md", "typescript")
    (folder / "readme.ts").write_text(example)
    return folder
