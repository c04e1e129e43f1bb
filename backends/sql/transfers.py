"""The ledger in SQL: the methods of `AccountRepository` that move money."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, bindparam, insert, literal, or_, select, true, union_all, update

from backends.capabilities import Capability
from backends.idempotency import EntryId, Outcome, Success
from backends.ids import Clock, IdSource
from backends.ledger import (
    Ledger,
    Posting,
    Refused,
    Taken,
)
from backends.models import (
    ENTRY_FIELDS,
    MAX_MINOR,
    SIDE_FIELDS,
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
from backends.sql.lookups import ById
from backends.sql.outcomes import KEEP_OUTCOME, find_outcome, outcome_row
from backends.sql.pages import Lists
from backends.sql.schema import ACCOUNTS, IDEMPOTENCY_KEYS, TRANSFERS
from backends.sql.statements import Statement

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause
    from sqlalchemy.sql.dml import ReturningUpdate

    from backends.sql.connections import Connections, Steps


_ADD_TRANSFER = insert(TRANSFERS)
_ACCOUNTS = select(ACCOUNTS).where(
    or_(ACCOUNTS.c.id == bindparam("first"), ACCOUNTS.c.id == bindparam("last"))
)
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
    Transfer,
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


def _change(
    *, takes: bool, of_owner: bool, account: str, currency: ColumnElement[str] | None
) -> ReturningUpdate[Any]:
    """Return the conditional update of one account of a posting.

    Args:
        takes: Whether to subtract the parameter `amount_minor` from the balance, or add it.
        of_owner: Whether the account must belong to the user of the parameter `of_user`.
        account: The parameter with the account's id.
        currency: The required currency; None for any.
    """
    amount = bindparam("amount_minor", type_=BigInteger)
    guards: list[ColumnElement[bool]] = [ACCOUNTS.c.id == bindparam(account)]
    if currency is not None:
        guards.append(ACCOUNTS.c.currency == currency)
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


@cache
def _step(*, takes: bool, of_owner: bool, in_currency: bool) -> Statement:
    """Return `_change` as a separate statement with the parameters `of_account` and `of_currency`."""
    currency = bindparam("of_currency", type_=ACCOUNTS.c.currency.type) if in_currency else None
    return _change(takes=takes, of_owner=of_owner, account="of_account", currency=currency)


@cache
def _post(sides: tuple[str, ...], *, of_owner: bool, keyed: bool) -> Statement:
    """Return the statement that executes a whole posting.

    It updates the accounts in order, because the second update refers to the result of the first one. If
    the condition of an update does not hold, the columns of that side are null. Then the CHECK constraints
    of the entry fail and nothing is changed.

    Args:
        sides: `from`, `to` or both, in the order of their accounts' ids.
        of_owner: Whether the source account must belong to the user of the parameter `of_user`.
        keyed: Whether the outcome is stored under an idempotency key.
    """
    values: dict[str, ColumnElement[Any]] = {
        name: bindparam(name, type_=TRANSFERS.c[name].type) for name in ENTRY_FIELDS
    }
    found: FromClause = select(literal(1)).subquery("posting")
    currency = None
    for side in sides:
        account_id = f"{side}_account_id"
        takes = side == "from"
        changed = _change(
            takes=takes, of_owner=of_owner and takes, account=account_id, currency=currency
        ).cte(f"the_{side}")
        currency = changed.c.currency
        found = found.outerjoin(changed, true())
        values |= {f"{side}_{field}": changed.c[field] for field in SIDE_FIELDS if field != "account_id"}
        values[account_id] = bindparam(account_id, type_=TRANSFERS.c[account_id].type)
    entry = insert(TRANSFERS).from_select(list(values), select(*values.values()).select_from(found))
    if keyed:
        kept = {
            column.key: bindparam(f"kept_{column.key}", type_=column.type) for column in IDEMPOTENCY_KEYS.c
        }
        entry = entry.add_cte(insert(IDEMPOTENCY_KEYS).values(kept).cte("kept"))
    return entry.returning(TRANSFERS)


class SqlLedger(Ledger):
    """Changes entries and accounts in one transaction, which locks accounts in the order of their ids."""

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
        self._by_id = ById(connections, ACCOUNTS, Account, ACCOUNTS.c.keys())
        self._transfer_by_id = ById(connections, TRANSFERS, Transfer, TRANSFERS.c.keys())

    async def _post(self, posting: Posting) -> Transfer:
        try:
            if self._connections.writes_in_queries:
                return await self._post_at_once(posting)
            return await self._connections.transact(lambda: self._steps(posting))
        except ConstraintViolation as violation:
            raise Taken from violation

    async def _post_at_once(self, posting: Posting) -> Transfer:
        """Run the posting as one statement, so that no lock is held during a round trip."""
        statement = _post(
            tuple("from" if id_ == posting.from_account_id else "to" for id_ in posting.account_ids),
            of_owner=posting.owner_id is not None,
            keyed=posting.idempotency is not None,
        )
        values = {
            **posting.entry(None, None).fields(),
            "from_account_id": posting.from_account_id,
            "to_account_id": posting.to_account_id,
            "of_user": posting.owner_id,
        }
        if posting.idempotency is not None:
            kept = self._kept(EntryId(posting.id), posting.ordered_by, posting.idempotency)
            values |= {f"kept_{name}": value for name, value in kept.items()}
        try:
            (row,) = await self._connections.run(statement, values)
        except ConstraintViolation as violation:
            if violation.kind == "check":
                raise Refused from violation
            raise
        return Transfer.of_fields(row)

    def _steps(self, posting: Posting) -> Steps[Transfer]:
        """Change the accounts, add the entry and store the outcome."""
        sides: dict[str | None, Side] = {}
        currency: str | None = None
        for account_id in posting.account_ids:
            takes = account_id == posting.from_account_id
            of_owner = takes and posting.owner_id is not None
            rows = yield (
                _step(takes=takes, of_owner=of_owner, in_currency=currency is not None),
                {
                    "of_account": account_id,
                    "amount_minor": posting.amount_minor,
                    "of_user": posting.owner_id,
                    "of_currency": currency,
                },
            )
            if not rows:
                raise Refused
            (row,) = rows
            currency = row["currency"]
            sides[account_id] = Side(
                account_id=row["id"],
                owner_id=row["owner_id"],
                balance_minor=row["balance_minor"],
                version=row["version"],
            )
        transfer = posting.entry(sides.get(posting.from_account_id), sides.get(posting.to_account_id))
        yield _ADD_TRANSFER, transfer.fields()
        if posting.idempotency is not None:
            yield KEEP_OUTCOME, self._kept(EntryId(posting.id), posting.ordered_by, posting.idempotency)
        return transfer

    def _kept(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> dict[str, Any]:
        """Return the row of the outcome. If the key has one already, the primary key is violated."""
        return outcome_row(outcome, owner_id, idempotency, now=self._clock())

    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        try:
            await self._connections.write(KEEP_OUTCOME, self._kept(outcome, owner_id, idempotency))
        except ConstraintViolation as violation:
            raise Taken from violation

    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Success | None:
        return await find_outcome(self._connections, owner_id, idempotency)

    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        rows = await self._connections.run(_ACCOUNTS, {"first": ids[0], "last": ids[-1]})
        return [Account.of_fields(row) for row in rows]

    async def _find_transfer(self, id: str) -> Transfer | None:
        return await self._transfer_by_id.get(id)

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
        return [Transfer.of_fields(row) for row in await self._connections.run(_VERSIONS, values)]
