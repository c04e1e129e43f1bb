"""Accounts in SQL; `backends.sql.transfers` has the half that moves money."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, insert, select

from backends.errors import AccountNotEmpty, AlreadyExists, NotFound, NotOwner, VersionMismatch
from backends.models import (
    Account,
    AccountFilter,
    AccountSort,
    Idempotency,
    NewAccount,
    Page,
    Position,
)
from backends.retry import retry_conflicts
from backends.sql.errors import ConstraintViolation
from backends.sql.pages import Order, page_statement, to_page
from backends.sql.schema import ACCOUNTS
from backends.sql.transfers import KEEP_OUTCOME, SqlLedger, to_account

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection


def _fits(owner_id: str | None, where: AccountFilter) -> list[ColumnElement[bool]]:
    fits = []
    if owner_id is not None:
        fits.append(ACCOUNTS.c.owner_id == owner_id)
    if where.currency is not None:
        fits.append(ACCOUNTS.c.currency == where.currency)
    if where.created_after is not None:
        fits.append(ACCOUNTS.c.created_at > where.created_after)
    if where.created_before is not None:
        fits.append(ACCOUNTS.c.created_at < where.created_before)
    return fits


class SqlAccountRepository(SqlLedger):
    """`backends.protocols.AccountRepository`."""

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """See the protocol: one statement, with a key a transaction."""
        account = Account(
            id=self._id_source(),
            owner_id=owner_id,
            created_at=self._clock(),
            balance_minor=0,
            version=1,
            **new.model_dump(),
        )
        try:
            if idempotency is None:
                await self._connections.write(insert(ACCOUNTS), asdict(account))
                return account
            return await retry_conflicts(
                lambda: self._add_once(account, idempotency),
                deadline_seconds=self._retry_deadline_seconds,
                lost_connections=True,
            )
        except ConstraintViolation as violation:
            if violation.kind == "foreign_key":
                raise NotFound("user", owner_id) from violation
            raise AlreadyExists("account", "id") from violation

    async def _add_once(self, account: Account, idempotency: Idempotency) -> Account:
        """Add the account and keep that under the key; or return what was kept."""
        owner_id = account.owner_id

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(KEEP_OUTCOME, self._kept(account, owner_id, idempotency))
            await connection.execute(insert(ACCOUNTS), asdict(account))

        try:
            await self._connections.transact(write)
        except ConstraintViolation:
            outcome = await self._find_outcome(owner_id, idempotency)
            if outcome is None:
                raise
            return cast("Account", outcome)  # a fingerprint is of one kind of call
        return account

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """See the protocol."""
        rows = await self._connections.read(select(ACCOUNTS).where(ACCOUNTS.c.id == id))
        if not rows:
            raise NotFound("account", id)
        if owner_id is not None and rows[0].owner_id != owner_id:
            raise NotOwner("account", id)
        return to_account(rows[0])

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: AccountFilter = AccountFilter(),  # noqa: B008 - frozen
        sort: AccountSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Account]:
        """See the protocol."""
        order = Order.by(sort)
        statement = page_statement(
            ACCOUNTS, *_fits(owner_id, where), order=order, skip=skip, limit=limit, after=after, count=count
        )
        rows = await self._connections.read(statement)
        return to_page(rows, to_account, order=order, limit=limit, count=count)

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        guards = [ACCOUNTS.c.id == id, ACCOUNTS.c.balance_minor == 0]
        if owner_id is not None:
            guards.append(ACCOUNTS.c.owner_id == owner_id)
        if versions is not None:
            guards.append(ACCOUNTS.c.version.in_(versions))
        if not await self._connections.write(delete(ACCOUNTS).where(*guards).returning(ACCOUNTS.c.id)):
            account = await self.get(id, owner_id=owner_id)
            if versions is not None and account.version not in versions:
                raise VersionMismatch("account", id)
            raise AccountNotEmpty("account", id)
