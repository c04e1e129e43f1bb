"""The ledger in SQL: the half of `AccountRepository` that moves money."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Row, and_, bindparam, insert, select, update

from backends.capabilities import Capability
from backends.idempotency import Outcome, read_outcome, write_outcome
from backends.ids import Clock, IdSource
from backends.ledger import (
    Ledger,
    Posting,
    Refused,
    Taken,
    fields_of,
    transfer_of,
)
from backends.models import (
    MAX_MINOR,
    Account,
    Idempotency,
    Page,
    Position,
    Side,
    Transfer,
    TransferFilter,
    TransferSort,
)
from backends.sql.errors import ConstraintViolation
from backends.sql.pages import Order, page_statement, to_page
from backends.sql.schema import ACCOUNTS, IDEMPOTENCY_KEYS, TRANSFERS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Update
    from sqlalchemy.ext.asyncio import AsyncConnection

    from backends.sql.connections import Connections


def to_account(row: Row[Any]) -> Account:
    """Map a row of `accounts`."""
    return Account(
        id=row.id,
        owner_id=row.owner_id,
        name=row.name,
        currency=row.currency,
        balance_minor=row.balance_minor,
        created_at=row.created_at,
        version=row.version,
    )


def _to_transfer(row: Row[Any]) -> Transfer:
    return transfer_of(dict(row._mapping))  # noqa: SLF001 - a public name of SQLAlchemy's


# Built once: to build a statement of this size takes SQLAlchemy longer than to run it.
_ADD_TRANSFER = insert(TRANSFERS)
KEEP_OUTCOME = insert(IDEMPOTENCY_KEYS)


@cache
def _change(*, takes: bool, of_owner: bool, in_currency: bool) -> Update:
    """Return the statement that does a posting's part in one account, if the account lets it.

    Its parameters are `of_account` and `amount`, with `of_owner` also `of_user`, the account's owner, and
    with `in_currency` also `of_currency`, the account's currency.
    """
    amount = bindparam("amount", type_=BigInteger)
    guards: list[ColumnElement[bool]] = [ACCOUNTS.c.id == bindparam("of_account")]
    if in_currency:
        guards.append(ACCOUNTS.c.currency == bindparam("of_currency"))
    if of_owner:
        guards.append(ACCOUNTS.c.owner_id == bindparam("of_user"))
    if takes:
        balance = ACCOUNTS.c.balance_minor - amount
        guards.append(ACCOUNTS.c.balance_minor >= amount)
    else:
        balance = ACCOUNTS.c.balance_minor + amount
        guards.append(ACCOUNTS.c.balance_minor <= MAX_MINOR - amount)
    changed = update(ACCOUNTS).where(*guards)
    return changed.values(balance_minor=balance, version=ACCOUNTS.c.version + 1).returning(ACCOUNTS)


def _fits(where: TransferFilter) -> list[ColumnElement[bool]]:
    fits = []
    if where.created_after is not None:
        fits.append(TRANSFERS.c.created_at > where.created_after)
    if where.created_before is not None:
        fits.append(TRANSFERS.c.created_at < where.created_before)
    return fits


class SqlLedger(Ledger):
    """Entries and their accounts change in one transaction, which locks accounts in the order of ids."""

    def __init__(
        self,
        connections: Connections,
        *,
        capabilities: frozenset[Capability],
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use these connections, this clock and this source of ids."""
        super().__init__(
            capabilities=capabilities,
            wait_timeout_seconds=wait_timeout_seconds,
            retry_deadline_seconds=retry_deadline_seconds,
            clock=clock,
            id_source=id_source,
        )
        self._connections = connections

    async def _post(self, posting: Posting) -> Transfer:
        try:
            return await self._connections.transact(lambda connection: self._write(connection, posting))
        except ConstraintViolation as violation:
            raise Taken from violation

    async def _write(self, connection: AsyncConnection, posting: Posting) -> Transfer:
        """Change the accounts, add the entry, keep the outcome: all in the connection's transaction."""
        sides: dict[str | None, Side] = {}
        currency: str | None = None
        for account_id in posting.account_ids:
            takes = account_id == posting.from_account_id
            of_owner = takes and posting.owner_id is not None
            changed = await connection.execute(
                _change(takes=takes, of_owner=of_owner, in_currency=currency is not None),
                {
                    "of_account": account_id,
                    "amount": posting.amount_minor,
                    "of_user": posting.owner_id,
                    "of_currency": currency,
                },
            )
            row = changed.one_or_none()
            if row is None:
                raise Refused
            currency = row.currency
            sides[account_id] = Side(
                account_id=row.id,
                owner_id=row.owner_id,
                balance_minor=row.balance_minor,
                version=row.version,
            )
        transfer = posting.entry(sides.get(posting.from_account_id), sides.get(posting.to_account_id))
        await connection.execute(_ADD_TRANSFER, fields_of(transfer))
        if posting.idempotency is not None:
            kept = self._kept(transfer, posting.ordered_by, posting.idempotency)
            await connection.execute(KEEP_OUTCOME, kept)
        return transfer

    def _kept(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> dict[str, Any]:
        """Return the row that keeps the outcome; it violates the primary key if there is one."""
        return {
            "owner_id": owner_id,
            "key": idempotency.key,
            "fingerprint": idempotency.fingerprint,
            "outcome": write_outcome(outcome),
            "created_at": self._clock(),
        }

    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        try:
            await self._connections.write(KEEP_OUTCOME, self._kept(outcome, owner_id, idempotency))
        except ConstraintViolation as violation:
            raise Taken from violation

    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Account | Transfer | None:
        keys = IDEMPOTENCY_KEYS.c
        rows = await self._connections.read(
            select(IDEMPOTENCY_KEYS).where(keys.owner_id == owner_id, keys.key == idempotency.key)
        )
        return read_outcome(rows[0].outcome, rows[0].fingerprint, idempotency) if rows else None

    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        rows = await self._connections.read(select(ACCOUNTS).where(ACCOUNTS.c.id.in_(ids)))
        return [to_account(row) for row in rows]

    async def _find_transfer(self, id: str) -> Transfer | None:
        rows = await self._connections.read(select(TRANSFERS).where(TRANSFERS.c.id == id))
        return _to_transfer(rows[0]) if rows else None

    async def transfers(
        self,
        *,
        owner_id: str | None = None,
        where: TransferFilter = TransferFilter(),  # noqa: B008 - frozen
        sort: TransferSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Transfer]:
        """See the protocol."""
        order = Order.by(sort)
        incoming = and_(
            TRANSFERS.c.to_owner_id == owner_id, TRANSFERS.c.from_owner_id.is_distinct_from(owner_id)
        )
        scope = {} if owner_id is None else {"either": (TRANSFERS.c.from_owner_id == owner_id, incoming)}
        statement = page_statement(
            TRANSFERS,
            *_fits(where),
            order=order,
            skip=skip,
            limit=limit,
            after=after,
            count=count,
            **scope,
        )
        rows = await self._connections.read(statement)
        return to_page(rows, _to_transfer, order=order, limit=limit, count=count)

    async def _find_versions(self, account_id: str, first: int, last: int) -> list[Transfer]:
        out, in_ = (
            select(TRANSFERS).where(
                TRANSFERS.c[f"{side}_account_id"] == account_id,
                TRANSFERS.c[f"{side}_version"].between(first, last),
            )
            for side in ("from", "to")
        )
        return [_to_transfer(row) for row in await self._connections.read(out.union_all(in_))]
