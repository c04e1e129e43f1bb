"""Mapped classes: the values of the repositories, relationships both ways, and snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import extract, func, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from backends.models.resources import DeclarationError
from backends.sql.mapped.models import Account, Item, Transfer, User
from backends.sql.mapped.resources import map_once
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.mapped_shop import Shop
from tests.backends.planted import HASH
from tests.contract.declared import DECLARED, Author

MAPPED: dict[str, Any] = dict(map_once(DECLARED))


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


async def test_async_sessions_load_relationships_on_demand(filled_shop: Shop) -> None:
    """`awaitable_attrs` loads what was not asked for."""
    async with filled_shop.asynchronous() as session:
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


def test_process_maps_one_set_of_declarations() -> None:
    """The same declarations may be mapped again; others are refused, because users have relationships."""
    assert map_once(DECLARED) == map_once() == MAPPED
    with pytest.raises(DeclarationError, match="this process has mapped other declarations"):
        map_once(DECLARED[:1])


async def test_autogenerate_finds_no_difference(filled_shop: Shop) -> None:
    """The mapped classes add nothing to the metadata that Alembic compares."""
    history = history_of("contract", [cls.__resource__ for cls in DECLARED])
    assert await open_migrator(filled_shop.settings, [history]).check() == []
