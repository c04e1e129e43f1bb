"""Declared resources and databases for the tests of `eitherdb seed`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backends import open_backend
from backends.models.resources.loading import load_resources
from backends.protocols import Backend
from config import Settings
from tests.backends.raw import opened
from tests.cli.command import Result, call, call_async
from tests.provision import Provision

DECLARATION = '''
import os
import signal
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, JsonValue
from eitherdb import ReadOnly, Reference, Resource, Unique


class Author(Resource, path="authors", owned=False):
    """Who writes books."""

    code: Annotated[str, Field(max_length=10), Unique()]


class Book(Resource, path="books", unique=[("owner_id", "isbn")]):
    """A book of one's own."""

    isbn: Annotated[str, Field(pattern=r"^[0-9]{3}$")]
    author_id: Annotated[str, Reference("authors", on_delete="restrict")]
    lent_to_id: Annotated[str | None, Reference("users", on_delete="set_null")] = None


class Sample(Resource, path="line-samples", owned=False):
    """Every kind of field, and a hook."""

    title: Annotated[str, Field(max_length=200_000)]
    flag: bool = True
    number: int | None = 7
    weight: float | None = None
    price: Annotated[Decimal | None, Field(max_digits=8, decimal_places=2)] = None
    at: datetime | None = None
    day: date | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=10)]], Field(max_length=3)] = []
    extra: dict[str, JsonValue] | None = None
    slug: Annotated[str, Field(max_length=200_000), ReadOnly()] = ""

    def before_add(self) -> dict[str, Any]:
        """Refuse a title, and end the program for another one."""
        if self.title == "refused":
            raise ValueError("no sample has this title")
        if self.title == os.environ.get("INTERRUPTED_AT"):
            if os.environ.get("INTERRUPTED_IN") == "checking" or "CHECKED" in os.environ:
                signal.raise_signal(signal.SIGINT)
            os.environ["CHECKED"] = ""
        return {"slug": self.title.lower()}
'''


def declare(folder: Path) -> Path:
    """Write the declaration and its revision, and migrate a SQLite database; return the folder."""
    (folder / "library.py").write_text(DECLARATION)
    assert seed(folder, "migrate", "revision", "-m", "library").exit_code == 0
    assert seed(folder, "migrate", "upgrade").exit_code == 0
    return folder


def seed(folder: Path, *arguments: str, **options: Any) -> Result:
    """Run a command with the declaration."""
    return call(folder, *arguments, RESOURCES="library.py", **options)


class Seeded:
    """A migrated database of the declaration."""

    def __init__(self, folder: Path, settings: Settings, backend: Backend) -> None:
        self.folder = folder
        self.settings = settings
        self.backend = backend

    async def __call__(self, name: str, text: str, *arguments: str) -> Result:
        """Seed a file with this text."""
        (self.folder / name).write_bytes(text.encode())
        return await call_async(
            self.folder, "seed", name, *arguments, settings=self.settings, RESOURCES="library.py"
        )

    async def rows(self, name: str, *fields: str) -> list[tuple[Any, ...]]:
        """Return these fields of all rows, in the order in which they were added."""
        page = await self.backend.resources[name].list(sort="created_at", limit=1000)
        return [tuple(row[each] for each in fields) for row in page.rows]


@asynccontextmanager
async def seeded(provision: Provision, folder: Path) -> AsyncIterator[Seeded]:
    """Yield a new database with the tables of the declaration."""
    async with provision.empty_database() as settings:
        done = await call_async(folder, "migrate", "upgrade", settings=settings, RESOURCES="library.py")
        assert done.exit_code == 0, done
        classes = load_resources([str(folder / "library.py")])
        async with opened(open_backend(settings, resources=classes)) as backend:
            yield Seeded(folder, settings, backend)
