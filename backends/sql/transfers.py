"""The ledger in SQL: the half of `AccountRepository` that moves money."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, bindparam, insert, or_, select, union_all, update

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
from backends.sql.pages import Lists
from backends.sql.schema import ACCOUNTS, IDEMPOTENCY_KEYS, TRANSFERS
from backends.sql.statements import Row, Statement

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.sql.connections import Connections, Steps


def to_account(row: Row) -> Account:
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


def _to_transfer(row: Row) -> Transfer:
    return transfer_of(row._asdict())


_ADD_TRANSFER = insert(TRANSFERS)
KEEP_OUTCOME = insert(IDEMPOTENCY_KEYS)
_OUTCOME = select(IDEMPOTENCY_KEYS).where(
    IDEMPOTENCY_KEYS.c.owner_id == bindparam("owner_id"), IDEMPOTENCY_KEYS.c.key == bindparam("key")
)
_ACCOUNTS = select(ACCOUNTS).where(
    or_(ACCOUNTS.c.id == bindparam("first"), ACCOUNTS.c.id == bindparam("last"))
)
_TRANSFER = select(TRANSFERS).where(TRANSFERS.c.id == bindparam("of_id"))
_VERSIONS = union_all(
    *(
        select(TRANSFERS).where(
            TRANSFERS.c[f"{side}_account_id"] == bindparam("of_account"),
            TRANSFERS.c[f"{side}_version"].between(bindparam("first"), bindparam("last")),
        )
        for side in ("from", "to")
    )
)
_LISTS = Lists(
    TRANSFERS,
    _to_transfer,
    columns=TRANSFERS.c.keys(),
    conditions={
        "owner_id": (
            TRANSFERS.c.from_owner_id == bindparam("owner_id"),
            and_(
                TRANSFERS.c.to_owner_id == bindparam("owner_id"),
                TRANSFERS.c.from_owner_id.is_distinct_from(bindparam("owner_id")),
            ),
        ),
        "created_after": TRANSFERS.c.created_at > bindparam("created_after"),
        "created_before": TRANSFERS.c.created_at < bindparam("created_before"),
    },
)


@cache
def _change(*, takes: bool, of_owner: bool, in_currency: bool) -> Statement:
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
            return await self._connections.transact(lambda: self._steps(posting))
        except ConstraintViolation as violation:
            raise Taken from violation

    def _steps(self, posting: Posting) -> Steps[Transfer]:
        """Change the accounts, add the entry, keep the outcome."""
        sides: dict[str | None, Side] = {}
        currency: str | None = None
        for account_id in posting.account_ids:
            takes = account_id == posting.from_account_id
            of_owner = takes and posting.owner_id is not None
            rows = yield (
                _change(takes=takes, of_owner=of_owner, in_currency=currency is not None),
                {
                    "of_account": account_id,
                    "amount": posting.amount_minor,
                    "of_user": posting.owner_id,
                    "of_currency": currency,
                },
            )
            if not rows:
                raise Refused
            (row,) = rows
            currency = row.currency
            sides[account_id] = Side(
                account_id=row.id,
                owner_id=row.owner_id,
                balance_minor=row.balance_minor,
                version=row.version,
            )
        transfer = posting.entry(sides.get(posting.from_account_id), sides.get(posting.to_account_id))
        yield _ADD_TRANSFER, fields_of(transfer)
        if posting.idempotency is not None:
            yield KEEP_OUTCOME, self._kept(transfer, posting.ordered_by, posting.idempotency)
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
        rows = await self._connections.read(_OUTCOME, {"owner_id": owner_id, "key": idempotency.key})
        return read_outcome(rows[0].outcome, rows[0].fingerprint, idempotency) if rows else None

    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        rows = await self._connections.read(_ACCOUNTS, {"first": ids[0], "last": ids[-1]})
        return [to_account(row) for row in rows]

    async def _find_transfer(self, id: str) -> Transfer | None:
        rows = await self._connections.read(_TRANSFER, {"of_id": id})
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

    async def _find_versions(self, account_id: str, first: int, last: int) -> list[Transfer]:
        values = {"of_account": account_id, "first": first, "last": last}
        return [_to_transfer(row) for row in await self._connections.read(_VERSIONS, values)]
