"""The account repository in SQL; `backends.sql.transfers` has the methods that move money."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, cast

from sqlalchemy import bindparam, delete, insert

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
from backends.sql.functions import is_one_of
from backends.sql.outcomes import KEEP_OUTCOME
from backends.sql.pages import Lists
from backends.sql.schema import ACCOUNTS
from backends.sql.statements import Statement
from backends.sql.transfers import SqlLedger

if TYPE_CHECKING:
    from backends.sql.connections import Steps


_OF_ID = ACCOUNTS.c.id == bindparam("of_id")
_LISTS = Lists(
    ACCOUNTS,
    Account,
    columns=ACCOUNTS.c.keys(),
    conditions={
        "owner_id": ACCOUNTS.c.owner_id == bindparam("owner_id"),
        "currency": ACCOUNTS.c.currency == bindparam("currency"),
        "created_after": ACCOUNTS.c.created_at > bindparam("created_after"),
        "created_before": ACCOUNTS.c.created_at < bindparam("created_before"),
    },
)
_ADD = insert(ACCOUNTS)


@cache
def _delete(*, of_owner: bool, of_versions: bool) -> Statement:
    guards = [_OF_ID, ACCOUNTS.c.balance_minor == 0]
    if of_owner:
        guards.append(ACCOUNTS.c.owner_id == bindparam("of_owner_id"))
    if of_versions:
        guards.append(is_one_of(ACCOUNTS.c.version, "of_versions"))
    return delete(ACCOUNTS).where(*guards).returning(ACCOUNTS.c.id)


class SqlAccountRepository(SqlLedger):
    """`backends.protocols.AccountRepository`."""

    async def add(
        self, new: NewAccount, *, owner_id: str, idempotency: Idempotency | None = None
    ) -> Account:
        """See the protocol. One statement; with an idempotency key, one transaction."""
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
                await self._connections.write(_ADD, account.fields())
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
        """Add the account and store the outcome under the key, or return the stored outcome."""
        owner_id = account.owner_id

        def steps() -> Steps[None]:
            yield KEEP_OUTCOME, self._kept(account, owner_id, idempotency)
            yield _ADD, account.fields()

        try:
            await self._connections.transact(steps)
        except ConstraintViolation:
            outcome = await self._find_outcome(owner_id, idempotency)
            if outcome is None:
                raise
            return cast("Account", outcome)  # a fingerprint belongs to one kind of call
        return account

    async def get(self, id: str, *, owner_id: str | None = None) -> Account:
        """See the protocol."""
        account = await self._by_id.get(id)
        if account is None:
            raise NotFound("account", id)
        if owner_id is not None and account.owner_id != owner_id:
            raise NotOwner("account", id)
        return account

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
        return await _LISTS.page(
            self._connections,
            sort=sort,
            skip=skip,
            limit=limit,
            after=after,
            count=count,
            owner_id=owner_id,
            **dict(where),
        )

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        statement = _delete(of_owner=owner_id is not None, of_versions=versions is not None)
        values = {"of_id": id, "of_owner_id": owner_id, "of_versions": versions}
        if not await self._connections.write(statement, values):
            account = await self.get(id, owner_id=owner_id)
            if versions is not None and account.version not in versions:
                raise VersionMismatch("account", id)
            raise AccountNotEmpty("account", id)
