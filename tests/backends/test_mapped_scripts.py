"""`eitherdb.sql` as a user's script has it: on the library example, and the errors of the factories."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from config import SettingsError
from eitherdb.sql import async_session_factory, session_factory
from tests.cli.command import ROOT, environment
from tests.cli.test_library_example import copy_library
from tests.provision import Provision, make_settings

SCRIPT = """
import asyncio
from decimal import Decimal
from sqlalchemy import func, select, update
from sqlalchemy.orm import selectinload
from backends.models.resources.loading import load_declarations
from config import Settings
from migrations import open_migrator
from migrations.resources.history import read_histories
from eitherdb.sql import *

def refused():
    try:
        session_factory()
    except Exception as exc:
        print(f"{type(exc).__name__}: {exc}")

async def count():
    async with (await async_session_factory())() as session:
        print(await session.scalar(select(func.count()).select_from(Author)))

settings = Settings.load()
histories = read_histories(load_declarations(settings.resources))
refused()
asyncio.run(open_migrator(settings).upgrade())
refused()
asyncio.run(open_migrator(settings, histories).upgrade())
Session = session_factory()
Book, Author = mapped("books"), mapped("authors")
with Session() as session:
    print(session.execute(select(func.count(), func.sum(Book.price)).join(Book.author)).one())
    print(session.scalars(select(User).options(selectinload(User.books))).all())
    try:
        session.execute(update(Book).values(price=Decimal("1")))
    except ReadOnlySession as exc:
        print(exc)
asyncio.run(count())
print(*models(), Book is models()["Book"])
try:
    mapped("shelves")
except Exception as exc:
    print(f"{type(exc).__name__}: {exc}")
"""

PRINTED = """\
RevisionMismatch: the database's schema (empty) is older than the code's (0004): run \
`eitherdb migrate upgrade`
MigrationError: the database's declared resources (library:base) are older than their revisions \
(library:0001): run `eitherdb migrate upgrade`
(0, None)
[]
sessions of eitherdb.sql only read: use db.resources["books"].update(…)
0
User Item Account Transfer Author Book True
DeclarationError: mapped(shelves): RESOURCES does not declare it; give one of: users, items, accounts, \
transfers, authors, books
"""


async def test_script_reads_declared_resources(sql: Provision, tmp_path: Path) -> None:
    """The factories refuse a database that is behind; then they read what is declared, and never write."""
    folder = copy_library(tmp_path)
    async with sql.empty_database() as settings:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "error", "-c", SCRIPT],
            cwd=folder,
            env=environment(folder, settings, RESOURCES="library.py", PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert (done.stdout, done.stderr) == (PRINTED, "")


async def test_other_databases_are_refused() -> None:
    """MongoDB has no mapped classes: the message names what reads it instead."""
    settings = make_settings(db_backend="mongo", database_url="mongodb://127.0.0.1:1/x")
    words = "need sqlite or postgres, not mongo: use the repositories of eitherdb.open_blocking()"
    with pytest.raises(SettingsError, match=words):
        session_factory(settings)
    with pytest.raises(SettingsError, match=words):
        await async_session_factory(settings)
