"""Mapped classes: the values of the repositories, relationships both ways, and no writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete, extract, func, insert, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, aliased, joinedload, selectinload, sessionmaker

from backends import open_backend
from backends.models import NewAccount, NewEntry, NewItem, NewTransfer, NewUser
from backends.models.resources import DeclarationError
from backends.protocols import Backend
from backends.sql.mapped import sessions
from backends.sql.mapped.models import Account, Item, Transfer, User
from backends.sql.mapped.refusals import ReadOnlySession
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

MAPPED: dict[str, Any] = dict(map_once(DECLARED))


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


@pytest.fixture(scope="module")
async def filled(sql: Provision) -> AsyncIterator[Shop]:
    """Return a database with rows of every mapped class."""
    async with sql.empty_database() as settings:
        history = history_of("contract", [cls.__resource__ for cls in DECLARED])
        await open_migrator(settings, [history]).upgrade()
        backend = await open_backend(settings, resources=DECLARED)
        await fill(backend)
        yield Shop(
            settings,
            backend,
            sessions.synchronous(settings, schema_check(settings)),
            await sessions.asynchronous(settings, schema_check(settings)),
        )
        await backend.close()


@pytest.fixture(params=["blocking", "asynchronous"])
def shop(request: pytest.FixtureRequest, filled: Shop) -> Shop:
    """Return the database with sessions of both kinds."""
    filled.mode = request.param
    return filled


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


async def test_rows_have_the_values_of_the_repositories(shop: Shop) -> None:
    """Each attribute has the value and the type that the repository returns; hashes are not mapped."""
    resources = {name: MAPPED.get(name, Item) for name in shop.backend.resources}
    for name, cls in {**resources, "users": User, "accounts": Account}.items():
        repository: Any = getattr(shop.backend, name, None) or shop.backend.resources[name]
        for row in await shop.read(partial(_all, cls=cls)):
            expected = (await repository.get(row.id)).fields()
            hidden = {"hashed_password", "session_version"} if name == "users" else set()
            found = {name: getattr(row, name) for name in expected.keys() - hidden}
            assert found == {name: expected[name] for name in found}
            assert {name: type(value) for name, value in found.items()} == {
                name: type(expected[name]) for name in found
            }
            assert not any(hasattr(row, name) for name in hidden)
    for row in await shop.read(partial(_all, cls=Transfer)):
        expected = (await shop.backend.accounts.get_transfer(row.id)).fields()
        assert {name: getattr(row, name) for name in expected} == expected


async def test_relationships_lead_both_ways(shop: Shop) -> None:
    """Owners, accounts, entries and references are loaded from both ends."""
    book_class, author_class, chapter_class = (MAPPED[name] for name in ("books", "authors", "chapters"))

    def lead(session: Session) -> None:
        ada: Any = session.scalars(
            select(User).where(User.email == "ada@example.com").options(selectinload(User.items))
        ).one()
        assert {item.title for item in ada.items} == {"Engine", "Loom"}
        assert all(item.owner is ada for item in ada.items)
        (wallet,) = ada.accounts
        assert wallet.owner is ada
        (paid,) = wallet.transfers_from
        assert (paid.from_account, paid.to_account.owner.email) == (wallet, "bob@example.com")
        assert paid in paid.to_account.transfers_to
        assert ada.ordered_transfers == [paid]
        assert paid.ordered_by_user is ada
        deposit = next(each for each in wallet.transfers_to if each is not paid)
        assert deposit.from_account is None
        (book,) = session.scalars(select(book_class).options(joinedload(book_class.author))).all()
        assert (book.author.name, book.editor.name, book.owner) == ("Mary", "Byron", ada)
        assert ada.books == book.author.books_by_author == book.editor.books_by_editor == [book]
        assert book.author.books_by_editor == []
        assert {each.title for each in book.chapters} == {"whole", "part"}
        whole = aliased(chapter_class)
        part = session.scalars(
            select(chapter_class).join(chapter_class.part_of.of_type(whole)).join(chapter_class.book)
        ).one()
        assert part.part_of.chapters_by_part_of == [part]
        assert part.book is book
        found = select(author_class.name).join(author_class.books_by_editor)
        assert session.scalars(found).all() == ["Byron"]

    await shop.read(lead)


async def test_async_sessions_load_relationships_on_demand(filled: Shop) -> None:
    """`awaitable_attrs` loads what was not asked for."""
    async with filled.asynchronous() as session:
        user = (await session.scalars(select(User).order_by(User.email).limit(1))).one()
        assert len(await user.awaitable_attrs.items) == 2


async def test_reports_compare_and_sum_decimals(shop: Shop) -> None:
    """Decimals are compared, ordered, summed, averaged and multiplied as decimals on every database."""
    sample = MAPPED["samples"]
    sold = sample.text == "sold"

    def one(session: Session, *columns: Any) -> Any:
        return session.execute(select(*columns).where(sold)).one()

    def report(session: Session) -> None:
        price, number = sample.price, sample.number
        totals = one(session, func.sum(price), func.avg(price), func.min(price), func.max(price))
        assert totals == (Decimal("1.75"), Decimal("0.875"), Decimal("0.25"), Decimal("1.5"))
        assert one(session, func.sum(price * number), func.sum(number * price)) == (Decimal("3.75"),) * 2
        assert one(session, func.sum(price + 1), func.sum(2 * price)) == (Decimal("3.75"), Decimal("3.5"))
        assert one(session, func.sum(price - 1), func.sum(2 - price)) == (Decimal("-0.25"), Decimal("2.25"))
        assert one(session, 2 * func.sum(price), 9 - func.sum(price)) == (Decimal("3.5"), Decimal("7.25"))
        assert one(session, func.sum(price + number), func.sum(number - price)) == (
            Decimal("6.75"),
            Decimal("3.25"),
        )
        assert one(session, func.sum(-price), func.sum(price / 2)) == (Decimal("-1.75"), Decimal("0.875"))
        found = select(price).where(sold, price > Decimal("0.25"), price < 2, number > price)
        assert session.scalars(found).all() == [Decimal("1.5")]
        ordered = select(price).where(sold, price.in_([Decimal("1.5"), Decimal("0.25")])).order_by(price)
        assert session.scalars(ordered).all() == [Decimal("0.25"), Decimal("1.5")]
        by_owner = (
            select(User.email, func.sum(price))
            .join(sample.owner)
            .where(sample.tags.contains("x"))
            .group_by(User.email)
        )
        assert session.execute(by_owner).all() == [("bob@example.com", Decimal("1.75"))]
        month = select(func.count()).where(extract("year", sample.created_at) == datetime.now(UTC).year)
        assert session.scalar(month) == 4
        assert session.scalar(select(func.count()).where(sample.created_at > datetime.now(UTC))) == 0
        with pytest.raises(StatementError, match="has more than 4 decimal places"):
            session.execute(select(sample).where(price > Decimal("0.00001")))
        with pytest.raises(TypeError, match="a decimal can't be multiplied"):
            price * price
        with pytest.raises(TypeError, match=r"multiplied or divided by Decimal\('1.19'\)"):
            Decimal("1.19") * price

    await shop.read(report)


async def test_repr_shows_loaded_columns_alone(shop: Shop) -> None:
    """`repr` loads nothing, and shows no hash."""

    def show(session: Session) -> str:
        user = session.scalars(select(User).where(User.email == "ada@example.com")).one()
        session.expunge(user)
        return repr(user)

    shown = await shop.read(show)
    assert shown.startswith("User(id='")
    assert "email='ada@example.com', full_name=None, is_active=True" in shown
    assert HASH not in shown
    assert "items" not in shown


def _all(session: Session, cls: Any) -> Sequence[Any]:
    return session.scalars(select(cls)).all()


def _first(session: Session, cls: Any) -> Any:
    return session.scalars(select(cls).order_by(cls.id)).first()


def _change(session: Session, cls: Any, **values: Any) -> None:
    row = _first(session, cls)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()


def _delete(session: Session, cls: Any) -> None:
    session.delete(_first(session, cls))
    session.commit()


def _append(session: Session) -> None:
    user = _first(session, User)
    user.items.append(Item(title="new"))
    session.scalars(select(Item)).all()  # flushes first


def _add(session: Session, row: Any) -> None:
    session.add(row)
    session.commit()


def _merge(session: Session) -> None:
    session.merge(Account(id="0" * 24, name="x"))
    session.commit()


def _after_commit(session: Session) -> None:
    session.execute(text("COMMIT"))
    session.execute(text("UPDATE users SET is_superuser = true"))


def _in_autocommit(session: Session) -> None:
    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def _writable(session: Session) -> None:
    session.get_bind().execution_options(postgresql_readonly=False)


def _through_engine(session: Session) -> None:
    bind: Any = session.get_bind()
    with bind.begin() as connection:
        connection.execute(delete(Item))


USERS, BOOKS = "db.users", 'db.resources["books"]'
POSTINGS = "db.accounts.transfer(…), deposit(…) or withdraw(…)"
ANY = "the repositories, such as db.users.update(…)"
WRITES: dict[str, tuple[Callable[[Session], object], str]] = {
    "changed": (partial(_change, cls=User, email="eve@example.com"), f"{USERS}.update(…)"),
    "changed declared": (partial(_change, cls=MAPPED["books"], isbn="999"), f"{BOOKS}.update(…)"),
    "changed reference": (partial(_change, cls=MAPPED["books"], editor=None), f"{BOOKS}.update(…)"),
    "changed balance": (partial(_change, cls=Account, balance_minor=10**6), POSTINGS),
    "changed entry": (partial(_change, cls=Transfer, note=""), f"{POSTINGS} for a correction"),
    "deleted": (partial(_delete, cls=Item), "db.items.delete(…)"),
    "deleted declared": (partial(_delete, cls=MAPPED["chapters"]), 'db.resources["chapters"].delete(…)'),
    "added": (lambda session: _add(session, User(email="eve@example.com")), f"{USERS}.add(…)"),
    "appended": (_append, "db.items.add(…)"),
    "merged": (_merge, "db.accounts.add(…)"),
    "update": (lambda session: session.execute(update(User).values(full_name="x")), f"{USERS}.update(…)"),
    "insert": (lambda session: session.execute(insert(Item).values(id="0" * 24)), "db.items.add(…)"),
    "delete": (lambda session: session.execute(delete(MAPPED["books"])), f"{BOOKS}.delete(…)"),
    "bulk": (lambda session: session.bulk_save_objects([Item(id="0" * 24)]), "db.items.add(…)"),
    "table": (lambda session: session.execute(METADATA.tables["counters"].delete()), ANY),
    "raw": (lambda session: session.execute(text("update users set version = 9")), f"{USERS}.update(…)"),
    "raw schema": (lambda session: session.execute(text("DROP TABLE items")), ANY),
    "after a commit": (_after_commit, f"{USERS}.update(…)"),
    "autocommit": (_in_autocommit, ANY),
    "writable": (_writable, ANY),
    "engine": (_through_engine, "db.items.delete(…)"),
}


async def test_writes_are_refused_and_name_the_method(shop: Shop) -> None:
    """Every way to write is an error that says which method writes; nothing is changed."""
    before = await shop.read(_contents)
    for name, (run, method) in WRITES.items():
        with pytest.raises(ReadOnlySession) as refused:
            await shop.read(run)
        assert str(refused.value).startswith(f"sessions of eitherdb.sql only read: use {method}"), name
        assert await shop.read(_contents) == before, name


def _contents(session: Session) -> list[Any]:
    names = ("users", "items", "accounts", "transfers", "books", "chapters")
    return [
        session.execute(text(f"SELECT * FROM {name} ORDER BY id")).all()  # noqa: S608 - names above
        for name in names
    ]


async def test_transaction_is_a_snapshot_while_the_service_writes(shop: Shop) -> None:
    """A session sees the rows of its beginning; the next one sees those that were added meanwhile."""
    count = select(func.count()).select_from(MAPPED["authors"])
    authors = shop.backend.resources["authors"]
    if shop.mode == "blocking":
        with shop.blocking() as session:
            before = session.scalar(count)
            author = await authors.add(Author(name="meanwhile"))
            assert session.scalar(count) == before
    else:
        async with shop.asynchronous() as session:
            before = await session.scalar(count)
            author = await authors.add(Author(name="meanwhile"))
            assert await session.scalar(count) == before
    assert await shop.read(lambda session: session.scalar(count)) == before + 1
    await authors.delete(author.id)


async def test_connections_are_read_only_in_the_database(shop: Shop) -> None:
    """The database itself refuses writes, not only the hooks."""
    query = "PRAGMA query_only" if shop.settings.db_backend == "sqlite" else "SHOW transaction_read_only"
    assert str(await shop.read(lambda session: session.scalar(text(query)))) in {"1", "on"}
    if shop.settings.db_backend == "postgres":
        default = text("SHOW default_transaction_read_only")
        assert await shop.read(lambda session: session.scalar(default)) == "on"


def test_process_maps_one_set_of_declarations() -> None:
    """The same declarations may be mapped again; others are refused, because users have relationships."""
    assert map_once(DECLARED) == map_once() == MAPPED
    with pytest.raises(DeclarationError, match="this process has mapped other declarations"):
        map_once(DECLARED[:1])


async def test_autogenerate_finds_no_difference(filled: Shop) -> None:
    """The mapped classes add nothing to the metadata that Alembic compares."""
    history = history_of("contract", [cls.__resource__ for cls in DECLARED])
    assert await open_migrator(filled.settings, [history]).check() == []
