"""Every way to write through a mapped session is refused, and the error names the method that writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from backends.sql.mapped.models import Account, Item, Transfer, User
from backends.sql.mapped.refusals import ReadOnlySession
from backends.sql.mapped.resources import map_once
from backends.sql.schema import METADATA
from tests.backends.mapped_shop import Shop
from tests.contract.declared import DECLARED

MAPPED: dict[str, Any] = dict(map_once(DECLARED))


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


def _only(session: Session) -> None:
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    session.execute(text("DELETE FROM users" if on_sqlite else "DELETE FROM ONLY users"))


def _in_autocommit(session: Session) -> None:
    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def _writable(session: Session) -> None:
    session.get_bind().execution_options(postgresql_readonly=0)


def _remove(session: Session) -> None:
    user = session.scalars(select(User).join(User.items)).all()[0]
    user.items.pop()
    session.commit()


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
    "removed": (_remove, "db.items.update(…)"),
    "merged": (_merge, "db.accounts.add(…)"),
    "update": (lambda session: session.execute(update(User).values(full_name="x")), f"{USERS}.update(…)"),
    "insert": (lambda session: session.execute(insert(Item).values(id="0" * 24)), "db.items.add(…)"),
    "delete": (lambda session: session.execute(delete(MAPPED["books"])), f"{BOOKS}.delete(…)"),
    "bulk": (lambda session: session.bulk_save_objects([Item(id="0" * 24)]), "db.items.add(…)"),
    "table": (lambda session: session.execute(METADATA.tables["counters"].delete()), ANY),
    "raw": (lambda session: session.execute(text("update users set version = 9")), f"{USERS}.update(…)"),
    "raw only": (_only, f"{USERS}.delete(…)"),
    "raw unknown": (lambda session: session.execute(text("/* update it */ DROP TABLE items")), ANY),
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


async def test_connections_are_read_only_in_the_database(shop: Shop) -> None:
    """The database itself refuses writes, not only the hooks."""
    query = "PRAGMA query_only" if shop.settings.db_backend == "sqlite" else "SHOW transaction_read_only"
    assert str(await shop.read(lambda session: session.scalar(text(query)))) in {"1", "on"}
    if shop.settings.db_backend == "postgres":
        default = text("SHOW default_transaction_read_only")
        assert await shop.read(lambda session: session.scalar(default)) == "on"
