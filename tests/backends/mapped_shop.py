"""A filled database with sessions on its mapped classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from backends import open_backend
from backends.models import NewAccount, NewEntry, NewItem, NewTransfer, NewUser
from backends.protocols import Backend
from backends.sql.mapped import sessions
from backends.sql.mapped.resources import map_once
from backends.sql.resource_statements import resource_tables
from backends.sql.schema import METADATA
from backends.sql.schema_check import Queries, check_schema
from config import Settings
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.planted import HASH
from tests.backends.resource_rows import sample_of
from tests.contract.declared import DECLARED, Author, Book, Chapter, Sample
from tests.provision import Provision

T = TypeVar("T")


@dataclass
class Shop:
    """A filled database, and the factories of sessions on it."""

    settings: Settings
    backend: Backend
    blocking: sessionmaker[Any]
    asynchronous: async_sessionmaker[AsyncSession]
    mode: str = "blocking"

    async def read(self, report: Callable[[Session], T]) -> T:
        """Run a report in a session."""
        if self.mode == "blocking":
            with self.blocking() as session:
                return report(session)
        async with self.asynchronous() as session:
            return await session.run_sync(report)


def schema_check(settings: Settings) -> Queries[None]:
    """Return the check that a factory makes."""
    tables = resource_tables([cls.__resource__ for cls in DECLARED])
    return check_schema({**METADATA.tables, **tables}, tables, on_sqlite=settings.db_backend == "sqlite")


@pytest.fixture(scope="session")
async def filled_shop(sql: Provision) -> AsyncIterator[Shop]:
    """Return a database with rows of every mapped class."""
    async with sql.empty_database() as settings:
        history = history_of("contract", [cls.__resource__ for cls in DECLARED])
        await open_migrator(settings, [history]).upgrade()
        backend = await open_backend(settings, resources=DECLARED)
        await fill(backend)
        map_once(DECLARED)
        yield Shop(
            settings,
            backend,
            sessions.synchronous(settings, schema_check(settings)),
            await sessions.asynchronous(settings, schema_check(settings)),
        )
        await backend.close()


@pytest.fixture(params=["blocking", "asynchronous"])
def shop(request: pytest.FixtureRequest, filled_shop: Shop) -> Shop:
    """Return the database with sessions of both kinds."""
    filled_shop.mode = request.param
    return filled_shop


async def fill(backend: Backend) -> None:
    """Add two users, and rows of theirs."""
    ada, bob = [
        await backend.users.add(NewUser(email=f"{name}@example.com", hashed_password=HASH))
        for name in ("ada", "bob")
    ]
    for title in ("Engine", "Loom"):
        await backend.items.add(NewItem(title=title), owner_id=ada.id)
    wallet = await backend.accounts.add(NewAccount(name="wallet", currency="EUR"), owner_id=ada.id)
    savings = await backend.accounts.add(NewAccount(name="savings", currency="EUR"), owner_id=bob.id)
    await backend.accounts.deposit(wallet.id, NewEntry(amount_minor=1000), ordered_by=bob.id)
    new = NewTransfer(from_account_id=wallet.id, to_account_id=savings.id, amount_minor=300)
    await backend.accounts.transfer(new, ordered_by=ada.id)
    authors, books, chapters = (backend.resources[name] for name in ("authors", "books", "chapters"))
    mary, byron = [await authors.add(Author(name=name)) for name in ("Mary", "Byron")]
    book = await books.add(Book(isbn="123", author_id=mary.id, editor_id=byron.id), owner_id=ada.id)
    whole = await chapters.add(Chapter(book_id=book.id, title="whole"))
    await chapters.add(Chapter(book_id=book.id, part_of_id=whole.id, title="part"))
    for n in range(2):
        await backend.resources["samples"].add(sample_of(n), owner_id=ada.id)
    for number, price in ((2, "1.5"), (3, "0.25")):
        sample = Sample(text="sold", number=number, price=Decimal(price), tags=["x"])
        await backend.resources["samples"].add(sample, owner_id=bob.id)
