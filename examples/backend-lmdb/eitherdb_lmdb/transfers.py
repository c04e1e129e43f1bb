"""The ledger in LMDB: the operations of `AccountRepository` that move money.

`transfers!<account's id><version>` holds the id of the entry that made this version of the account.
`idempotency_keys:<SHA-256 of user and key>` holds the outcome of a call with an idempotency key.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

import lmdb

from backends.capabilities import Capability
from backends.idempotency import EntryId, Outcome, Success, read_outcome, write_outcome
from backends.ids import Clock, IdSource, write_time
from backends.ledger import Ledger, Posting, Refused, Taken, refusal_of
from backends.models import (
    Account,
    Idempotency,
    Page,
    Position,
    Side,
    Transfer,
    TransferFilter,
    TransferSort,
)
from eitherdb_lmdb.keys import value_at
from eitherdb_lmdb.rows import ACCOUNTS, TRANSFERS, fits_times
from eitherdb_lmdb.store import Store


class LmdbLedger(Ledger):
    """An entry, its accounts and the outcome of its key are written in one transaction."""

    def __init__(
        self,
        store: Store,
        *,
        capabilities: frozenset[Capability],
        wait_timeout_seconds: float,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this store, clock and id source."""
        super().__init__(
            capabilities=capabilities,
            wait_timeout_seconds=wait_timeout_seconds,
            retry_deadline_seconds=retry_deadline_seconds,
            clock=clock,
            id_source=id_source,
        )
        self._store = store

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
        return await self._store.read(
            lambda transaction: TRANSFERS.page(
                transaction,
                owner_id=owner_id,
                fits=lambda entry: fits_times(entry.created_at, where),
                sort=sort,
                skip=skip,
                limit=limit,
                after=after,
                count=count,
            )
        )

    async def _post(self, posting: Posting) -> Transfer:
        def work(transaction: lmdb.Transaction) -> Transfer:
            if TRANSFERS.get(transaction, posting.id) is not None:
                raise Taken
            if posting.idempotency is not None:
                keep(
                    transaction,
                    EntryId(posting.id),
                    posting.ordered_by,
                    posting.idempotency,
                    created_at=posting.created_at,
                )
            accounts = _find_accounts(transaction, posting.account_ids)
            if refusal_of(posting, accounts) is not None:
                raise Refused
            entry = posting.entry(
                _move(transaction, accounts, posting.from_account_id, -posting.amount_minor),
                _move(transaction, accounts, posting.to_account_id, posting.amount_minor),
            )
            TRANSFERS.put(transaction, entry)
            for side in (entry.source, entry.target):
                if side is not None:
                    transaction.put(_entry_key(side.account_id, side.version), entry.id.encode())
            return entry

        return await self._store.write(work)

    async def _find_versions(self, account_id: str, first: int, last: int) -> list[Transfer]:
        def work(transaction: lmdb.Transaction) -> list[Transfer]:
            keys = (_entry_key(account_id, version) for version in range(first, last + 1))
            ids = (value_at(transaction, key) for key in keys)
            found = (TRANSFERS.get(transaction, id_.decode()) for id_ in ids if id_ is not None)
            return [entry for entry in found if entry is not None]

        return await self._store.read(work)

    async def _find_transfer(self, id: str) -> Transfer | None:
        return await self._store.read(lambda transaction: TRANSFERS.get(transaction, id))

    async def _find_accounts(self, ids: Sequence[str]) -> list[Account]:
        found = await self._store.read(lambda transaction: _find_accounts(transaction, ids))
        return list(found.values())

    async def _keep(self, outcome: Outcome, owner_id: str, idempotency: Idempotency) -> None:
        created_at = self._clock()
        await self._store.write(
            lambda transaction: keep(transaction, outcome, owner_id, idempotency, created_at=created_at)
        )

    async def _find_outcome(self, owner_id: str, idempotency: Idempotency) -> Success | None:
        return await self._store.read(lambda transaction: find_outcome(transaction, owner_id, idempotency))


def _find_accounts(transaction: lmdb.Transaction, ids: Sequence[str]) -> dict[str, Account]:
    found = (ACCOUNTS.get(transaction, id_) for id_ in ids)
    return {account.id: account for account in found if account is not None}


def _move(
    transaction: lmdb.Transaction, accounts: dict[str, Account], id: str | None, amount_minor: int
) -> Side | None:
    if id is None:
        return None
    account = accounts[id]
    changed = replace(
        account, balance_minor=account.balance_minor + amount_minor, version=account.version + 1
    )
    ACCOUNTS.put(transaction, changed)
    return Side(
        account_id=id,
        owner_id=changed.owner_id,
        balance_minor=changed.balance_minor,
        version=changed.version,
    )


def _entry_key(account_id: str, version: int) -> bytes:
    return b"transfers!" + bytes.fromhex(account_id) + version.to_bytes(8)


def _outcome_key(owner_id: str, idempotency: Idempotency) -> bytes:
    return (
        b"idempotency_keys:"
        + sha256(f"{owner_id}\0{idempotency.key}".encode("utf-8", "surrogatepass")).digest()
    )


def keep(
    transaction: lmdb.Transaction,
    outcome: Outcome,
    owner_id: str,
    idempotency: Idempotency,
    *,
    created_at: datetime,
) -> None:
    """Store the outcome of the key. Raise Taken if there is one."""
    kept = {
        "owner_id": owner_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "outcome": write_outcome(outcome),
        "created_at": write_time(created_at),
    }
    text = json.dumps(kept).encode()
    if not transaction.put(_outcome_key(owner_id, idempotency), text, overwrite=False):
        raise Taken


def find_outcome(transaction: lmdb.Transaction, owner_id: str, idempotency: Idempotency) -> Success | None:
    """Return the outcome of the key, read by `read_outcome`; None if there is none."""
    kept = value_at(transaction, _outcome_key(owner_id, idempotency))
    if kept is None:
        return None
    values = json.loads(kept)
    return read_outcome(values["outcome"], values["fingerprint"], idempotency)
