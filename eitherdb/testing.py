"""The pytest plugin for tests of declared resources: `-p eitherdb.testing`.

The fixture `service` is the application with the declared resources, on a database of its own. Their
revisions create the tables or collections. The database is empty when a test begins.

`eitherdb_resources` in pytest's configuration names the declarations; the default is RESOURCES. DB_BACKEND
selects the kind of database. DATABASE_URL names a server, on which a new database is made; without it, a
local server runs until the tests end.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.app import create_app
from api.deps import API_PREFIX
from api.security import make_access_token
from api.user_routers import routers_of
from backends import open_backend, open_scratch
from backends.errors import BackendError, NotFound, StillReferenced
from backends.models import NewUser, User
from backends.models.resources import DeclarationError, Resource
from backends.models.resources.loading import Declarations, load_declarations
from backends.protocols import Backend, ResourceRepository
from cli.local_servers import start_mongo, start_postgres
from cli.revisions import require_applied
from cli.server_folder import LocalServerError
from config import DatabaseChoice, Settings, SettingsError
from eitherdb_contract.plugin import check_settings
from migrations import MigrationError, open_migrator
from migrations.resources.history import read_histories

if TYPE_CHECKING:
    from backends.scratch import Scratch

__all__ = ["PASSWORD", "Client", "Service"]

R = TypeVar("R", bound=Resource)

PASSWORD = "correct horse"  # noqa: S105 - of users that exist during a test
"""The password of each user that a `Service` adds."""

# A hash of PASSWORD with costs that are verified in a millisecond.
_HASH = "$argon2id$v=19$m=8,t=1,p=1$HVDjVVPtdrxZkwAase1APw$EC8SZ3/E0DIcgSF4ytpiTfHutDv/qEO3pn+Suqebuns"
_RESOURCES = "eitherdb_resources"
_DECLARED = pytest.StashKey[Sequence[Declarations]]()


class Client(httpx2.AsyncClient):
    """An HTTP client of the application. Paths begin after `/api/v1`: `await ada.get("/books/")`.

    Attributes:
        user: The user who is signed in; None for nobody.
    """

    user: User | None = None

    def __init__(self, app: FastAPI, token: str | None = None) -> None:
        super().__init__(
            transport=httpx2.ASGITransport(app),
            base_url=f"http://testserver{API_PREFIX}",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            trust_env=False,
        )


class Service:
    """The application with the declared resources, and what is behind it.

    Attributes:
        app: The ASGI application.
        backend: Its open database.
    """

    def __init__(self, app: FastAPI, settings: Settings, backend: Backend) -> None:
        self.app = app
        self.backend = backend
        self._settings = settings
        self._numbers = count(1)

    @cached_property
    def anyone(self) -> Client:
        """A client that is not signed in."""
        return Client(self.app)

    async def sign_up(self, email: str | None = None, *, is_superuser: bool = False) -> Client:
        """Add a user with the password `PASSWORD`, and return a client that is signed in.

        Args:
            email: The address; None for a new one.
            is_superuser: Whether the user is a superuser.
        """
        email = email or f"user{next(self._numbers)}@example.com"
        new = NewUser(email=email, hashed_password=_HASH, is_superuser=is_superuser)
        user = await self.backend.users.add(new)
        client = Client(self.app, make_access_token(user, self._settings))
        client.user = user
        return client

    def repository(self, cls: type[R]) -> ResourceRepository[R]:
        """Return the repository of a declared resource."""
        return self.backend.repository(cls)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting in pytest's configuration."""
    parser.addini(_RESOURCES, "Declarations to test: files, packages, modules.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Load the declarations, before a test module imports them.

    Raises:
        pytest.UsageError: They can't be loaded, or pytest-asyncio is not configured.
    """
    check_settings(config, "eitherdb.testing")
    folder = config.inipath.parent if config.inipath else config.rootpath
    try:
        sources = [
            str(folder / source) if (folder / source).exists() else source
            for source in config.getini(_RESOURCES)
        ] or DatabaseChoice.load().resources
        config.stash[_DECLARED] = load_declarations(sources)
    except (DeclarationError, SettingsError) as exc:
        raise pytest.UsageError(str(exc)) from exc
    if not config.stash[_DECLARED]:
        raise pytest.UsageError(f"no resource is declared: write {_RESOURCES} = library.py")
    _let_tests_import(config.stash[_DECLARED])


def pytest_report_header(config: pytest.Config) -> str:
    """Name the resources and the kind of database."""
    names = ", ".join(cls.__name__ for each in config.stash[_DECLARED] for cls in each.resources)
    return f"eitherdb: {names} on {DatabaseChoice.load().db_backend}"


def _let_tests_import(declared: Sequence[Declarations]) -> None:
    """Let `from library import Book` give the class that is served, not a second one from the same file."""
    for each in declared:
        loaded = each.module.__name__
        for name, module in list(sys.modules.items()):
            if f"{name}.".startswith(f"{loaded}."):
                sys.modules.setdefault(each.path.stem + name.removeprefix(loaded), module)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _running(pytestconfig: pytest.Config) -> AsyncIterator[tuple[Service, Scratch]]:
    with tempfile.TemporaryDirectory(prefix="edb-") as folder, _database(Path(folder)) as settings:
        async with _migrated(settings, pytestconfig.stash[_DECLARED]) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def service(_running: tuple[Service, Scratch]) -> Service:
    """Return the application with the declared resources, on an empty database."""
    service, scratch = _running
    await _delete_rows(service.backend)
    await scratch.clean()
    return service


@contextmanager
def _failing_in_one_line() -> Iterator[None]:
    """Fail the test with the message of an error alone: it says what to do."""
    try:
        yield
    except (BackendError, LocalServerError, MigrationError, SettingsError) as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None


@contextmanager
def _database(folder: Path) -> Iterator[Settings]:
    """Yield the settings of the tests. None but those of the database comes from the environment."""
    with ExitStack() as stack:
        with _failing_in_one_line():
            choice = DatabaseChoice.load()
            url = choice.database_url or f"sqlite:///{folder}/test.db"
            if choice.needs_local_server:
                is_postgres, data = choice.db_backend == "postgres", folder / "data"
                server = start_postgres(data, durable=False) if is_postgres else start_mongo(data)
                url = stack.enter_context(server).url
            settings = Settings.load(
                database_url=url,
                environment="local",
                secret_key=secrets.token_hex(),
                root_path="",
                smtp_host=None,
                first_superuser="first@example.com",
                first_superuser_password=PASSWORD,
            )
        yield settings


@asynccontextmanager
async def _migrated(
    settings: Settings, declared: Sequence[Declarations]
) -> AsyncIterator[tuple[Service, Scratch]]:
    """Yield the application on a scratch database, which is dropped at the end."""
    resources = [cls for each in declared for cls in each.resources]
    with _failing_in_one_line():
        histories = read_histories(declared)
        scratch = await open_scratch(settings)
    try:
        with _failing_in_one_line():
            await open_migrator(scratch.settings, histories).upgrade()
            await require_applied(scratch.settings, histories)
        opener = partial(open_backend, resources=resources)
        app = create_app(scratch.settings, resources=resources, routers=routers_of(declared), opener=opener)
        async with app.router.lifespan_context(app):
            yield Service(app, scratch.settings, app.state.services.backend), scratch
    finally:
        await scratch.drop()


async def _delete_rows(backend: Backend) -> None:
    """Delete the rows of every resource. A row that others refer to is deleted after them."""
    is_empty = False
    while not is_empty:
        is_empty = True
        for rows in backend.resources.values():
            for row in (await rows.list(limit=1000, count=False)).data:
                with suppress(NotFound, StillReferenced):
                    await rows.delete(row.id)
                    is_empty = False
