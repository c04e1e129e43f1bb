"""The ledger in MongoDB: the methods of `AccountRepository` that move money."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from bson import Int64, ObjectId

from backends.cancellation import run_to_completion
from backends.capabilities import Capability
from backends.errors import Conflict
from backends.idempotency import EntryId, Outcome, Success, read_outcome, write_outcome
from backends.ids import Clock, IdSource, write_time
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
    Row,
    Side,
    Transfer,
    TransferFilter,
    TransferSort,
)
from backends.mongo.abandoned import AbandonedTransactions
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.lookups import ById
from backends.mongo.pages import Order, created_between, fetch_page
from backends.mongo.rows import stored_fields
from backends.mongo.schema import ACCOUNTS, IDEMPOTENCY_KEYS, TRANSFERS, USERS, object_id
from backends.mongo.transactions import transact
from backends.rows import unreadable

if TYPE_CHECKING:
    from backends.mongo.driver import Driver, Session

T = TypeVar("T")


_FIELDS = (
    *(name for name in ENTRY_FIELDS if name != "id"),
    *(f"{side}_{name}" for side in ("from", "to") for name in SIDE_FIELDS),
)


def account_row(document: Document) -> Row:
    """Map a document of `accounts` to a row."""
    try:
        return {
            "id": str(document["_id"]),
            "owner_id": str(document["owner_id"]),
            "name": document["name"],
            "currency": document["currency"],
            "balance_minor": int(document["balance_minor"]),
            "created_at": write_time(document["created_at"]),
            "version": int(document["version"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise unreadable("accounts", stored_fields("accounts", document)) from exc


def _to_account(document: Document) -> Account:
    return Account.from_row(account_row(document))


def _to_row(document: Document) -> Row:
    try:
        return {"id": str(document["_id"]), **{name: _read(document[name]) for name in _FIELDS}}
    except KeyError as exc:
        raise unreadable("transfers", stored_fields("transfers", document)) from exc


def _to_transfer(document: Document) -> Transfer:
    return Transfer.from_row(_to_row(document))


def _read(value: Any) -> Any:
    """Map a stored value to a row's value."""
    match value:
        case ObjectId():
            return str(value)
        case datetime():
            return write_time(value)
        case Int64():
            return int(value)
    return value


def _to_document(transfer: Transfer) -> Document:
    document = {name: _written(name, value) for name, value in transfer.fields().items()}
    return {"_id": document.pop("id"), **document}


def _written(name: str, value: Any) -> Any:
    """Map a row's value to the stored value; null stays null."""
    if value is None:
        return None
    if name in {"id", "ordered_by"} or name.endswith("_id"):
        return object_id(value)
    return Int64(value) if name.endswith("_minor") else value


def _guards(posting: Posting, account_id: str, currency: str | None) -> Document:
    """Return the conditions on an account for a posting; a currency of None means any."""
    guards: Document = {"_id": object_id(account_id)}
    if currency is not None:
        guards["currency"] = currency
    if account_id != posting.from_account_id:
        return {**guards, "balance_minor": {"$lte": MAX_MINOR - posting.amount_minor}}
    if posting.owner_id is not None:
        guards["owner_id"] = object_id(posting.owner_id)
    return {**guards, "balance_minor": {"$gte": posting.amount_minor}}


class MongoLedger(Ledger):
    """Writes an entry and its accounts in one transaction; locks the accounts in the order of their ids."""

    def __init__(
        self,
        driver: Driver,
        *,
        capabilities: frozenset[Capability],
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this driver, clock and source of ids."""
        super().__init__(
            capabilities=capabilities,
            wait_timeout_seconds=wait_timeout_seconds,
            retry_deadline_seconds=retry_deadline_seconds,
            clock=clock,
            id_source=id_source,
        )
        self._driver = driver
        self._abandoned = AbandonedTransactions(driver)
        self._users = driver.database[USERS.name]
        self._accounts = driver.database[ACCOUNTS.name]
        self._transfers = driver.database[TRANSFERS.name]
        self._by_id = ById(driver, self._accounts, _to_account)
        self._transfer_by_id = ById(driver, self._transfers, _to_transfer)
        self._keys = driver.database[IDEMPOTENCY_KEYS.name]
        self._max_time_ms = driver.max_time_ms

    async def _post(self, posting: Posting) -> Transfer:
        try:
            return await run_to_completion(self._transact(lambda session: self._write(session, posting)))
        except DuplicateKey as duplicate:
            raise Taken from duplicate

    async def _transact(self, body: Callable[[Session], Awaitable[T]]) -> T:
        """Run the body in a transaction once; see `transact`."""
        try:
            return await transact(self._driver, body)
        except Conflict:
            await self._abandoned.end()
            raise

    async def _write(self, session: Session, posting: Posting) -> Transfer:
        """Store the outcome, change the accounts and add the entry in the session's transaction.

        The idempotency key comes first: a repeated call fails there and locks no account.
        """
        if posting.idempotency is not None:
            kept = self._kept(EntryId(posting.id), posting.ordered_by, posting.idempotency)
            await self._keys.insert_one(kept, session=session)
        sides: dict[str | None, Side] = {}
        currency: str | None = None
        for account_id in posting.account_ids:
            amount = posting.amount_minor if account_id == posting.to_account_id else -posting.amount_minor
            document = await self._accounts.find_one_and_update(
                _guards(posting, account_id, currency),
                {"$inc": {"balance_minor": Int64(amount), "version": 1}},
                return_document=True,
                session=session,
            )
            if document is None:
                raise Refused
            account = _to_account(document)
            currency = account.currency
            sides[account_id] = Side(
                account_id=account.id,
                owner_id=account.owner_id,
                balance_minor=account.balance_minor,
                version=account.version,
            )
        transfer = posting.entry(sides.get(posting.from_account_id), sides.get(posting.to_account_id))
        await self._transfers.insert_one(_to_document(transfer), session=session)
        return transfer

    def _kept(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> Document:
        """Return the document that stores an outcome."""
        return {
            "owner_id": object_id(owner_id),
            "key": idempotency.key,
            "fingerprint": idempotency.fingerprint,
            "outcome": write_outcome(outcome),
            "created_at": self._clock(),
        }

    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        try:
            with translate_errors():
                await self._keys.insert_one(self._kept(outcome, owner_id, idempotency))
        except DuplicateKey as duplicate:
            raise Taken from duplicate

    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Success | None:
        with translate_errors():
            kept = await self._keys.find_one({"owner_id": object_id(owner_id), "key": idempotency.key})
        return read_outcome(kept["outcome"], kept["fingerprint"], idempotency) if kept else None

    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        with translate_errors():
            found = self._accounts.find({"_id": {"$in": [object_id(id_) for id_ in ids]}})
            return [_to_account(document) for document in await found.to_list(len(ids))]

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
        conditions = created_between(where.created_after, where.created_before)
        if owner_id is not None:
            owner = object_id(owner_id)
            either = [{"from_owner_id": owner}, {"to_owner_id": owner}]
            # An invalid id becomes null, which would match an entry's missing side.
            conditions.append({"_id": None} if owner is None else {"$or": either})
        return await fetch_page(
            self._driver,
            self._transfers,
            conditions,
            _to_row,
            Transfer,
            order=Order.by(sort),
            skip=skip,
            limit=limit,
            after=after,
            count=count,
        )

    async def _find_versions(self, account_id: str, first: int, last: int) -> list[Transfer]:
        id_, versions = object_id(account_id), {"$gte": first, "$lte": last}
        either = [{f"{side}_account_id": id_, f"{side}_version": versions} for side in ("from", "to")]
        with translate_errors():
            found = self._transfers.find({"$or": either}, max_time_ms=self._max_time_ms)
            return [_to_transfer(document) for document in await found.to_list(last - first + 1)]
