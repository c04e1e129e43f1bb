"""Accounts: one's own, or all for a superuser, who alone brings money in and takes it out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from api.cursors import shown_page, window_of
from api.deps import Accounts, AppSettings, CurrentUser, Superuser, scope_of
from api.errors import (
    ACCOUNT_NOT_EMPTY,
    ACCOUNT_NOT_FOUND,
    INSUFFICIENT_FUNDS,
    NO_TRANSACTIONS,
    NOT_OWNER,
    NOT_PRIVILEGED,
    TOKEN_PROBLEMS,
    VERSION_MISMATCH,
    documented,
)
from api.idempotency import Keyed
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, etag_of, tagged, unless_known
from api.routing import make_router
from api.schemas import (
    AccountCreate,
    AccountListQuery,
    AccountPublic,
    AccountsPublic,
    EntryCreate,
    Message,
    StatementEntryPublic,
    StatementPublic,
    TransferPublic,
)
from backends.models import Account, StatementEntry, Transfer

router = make_router("accounts", "/accounts")

ACCOUNT_PROBLEMS = (*TOKEN_PROBLEMS, ACCOUNT_NOT_FOUND, NOT_OWNER)
ENTRY_PROBLEMS = (*TOKEN_PROBLEMS, NOT_PRIVILEGED, ACCOUNT_NOT_FOUND, NO_TRANSACTIONS)

_ENTRIES = TypeAdapter(list[StatementEntryPublic])


@router.get("/", response_model=AccountsPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_accounts(
    user: CurrentUser,
    accounts: Accounts,
    query: Annotated[AccountListQuery, Query()],
    settings: AppSettings,
) -> Response:
    """List the accounts: one's own, or everyone's for a superuser. A page is from one moment."""
    owner_id = scope_of(user, query.owner_id)
    page = await accounts.list(owner_id=owner_id, **window_of(query, "accounts", settings))
    return shown_page(page, query, "accounts", settings)


@router.post(
    "/", response_model=AccountPublic, responses={**ETAG, **documented(*TOKEN_PROBLEMS, NO_TRANSACTIONS)}
)
async def create_account(
    user: CurrentUser, body: AccountCreate, accounts: Accounts, keyed: Keyed, response: Response
) -> Account:
    """Open an account of one's own; it is empty."""
    account = await accounts.add(body, owner_id=user.id, idempotency=keyed.with_body(body))
    return tagged(account, response)


@router.get(
    "/{account_id}",
    response_model=AccountPublic,
    responses={**NOT_MODIFIED, **documented(*ACCOUNT_PROBLEMS)},
)
async def read_account(
    account_id: str, user: CurrentUser, accounts: Accounts, known: IfNoneMatch, response: Response
) -> Account | Response:
    """Return an account."""
    return unless_known(await accounts.get(account_id, owner_id=scope_of(user)), known, response)


@router.delete(
    "/{account_id}",
    response_model=Message,
    responses=documented(*ACCOUNT_PROBLEMS, ACCOUNT_NOT_EMPTY, VERSION_MISMATCH),
)
async def delete_account(
    account_id: str, user: CurrentUser, accounts: Accounts, expected: IfMatch
) -> Message:
    """Delete an account without money. Its entries stay in the ledger."""
    versions = expected.versions_of(account_id)
    await accounts.delete(account_id, owner_id=scope_of(user), versions=versions)
    return Message(message="Account deleted successfully")


@router.post(
    "/{account_id}/deposits",
    response_model=TransferPublic,
    responses={**ETAG, **documented(*ENTRY_PROBLEMS)},
)
async def create_deposit(
    account_id: str,
    user: Superuser,
    body: EntryCreate,
    accounts: Accounts,
    keyed: Keyed,
    response: Response,
) -> Transfer:
    """Bring money into an account from outside."""
    idempotency = keyed.with_body(body)
    entry = await accounts.deposit(account_id, body, ordered_by=user.id, idempotency=idempotency)
    return tagged(entry, response)


@router.post(
    "/{account_id}/withdrawals",
    response_model=TransferPublic,
    responses={**ETAG, **documented(*ENTRY_PROBLEMS, INSUFFICIENT_FUNDS)},
)
async def create_withdrawal(
    account_id: str,
    user: Superuser,
    body: EntryCreate,
    accounts: Accounts,
    keyed: Keyed,
    response: Response,
) -> Transfer:
    """Take money out of an account."""
    idempotency = keyed.with_body(body)
    entry = await accounts.withdraw(account_id, body, ordered_by=user.id, idempotency=idempotency)
    return tagged(entry, response)


@router.get(
    "/{account_id}/statement",
    response_model=StatementPublic,
    responses={**NOT_MODIFIED, **documented(*ACCOUNT_PROBLEMS)},
)
async def read_statement(
    account_id: str, user: CurrentUser, accounts: Accounts, known: IfNoneMatch
) -> Response:
    """Return an account and all its entries with running balances, oldest first, from one moment.

    The answer is streamed: a connection that breaks leaves it without its end.
    """
    statement = await accounts.statement(account_id, owner_id=scope_of(user))
    account, etag = statement.account, {"ETag": etag_of(statement.account)}
    if known.has(account):
        return Response(status_code=304, headers=etag)
    # The first entries before the answer begins: if the database is gone, it is not too late to say so.
    first: list[StatementEntry] = await anext(statement.entries, [])
    return StreamingResponse(
        _written(account, first, statement.entries), media_type="application/json", headers=etag
    )


async def _written(
    account: Account, first: list[StatementEntry], rest: AsyncIterator[list[StatementEntry]]
) -> AsyncIterator[bytes]:
    """Write a statement as JSON, piece by piece."""
    head = AccountPublic.model_validate(account).model_dump_json()
    yield f'{{"account":{head},"count":{account.version - 1},"data":['.encode()
    yield _entries_as_json(first)
    async for entries in rest:
        yield b"," + _entries_as_json(entries)
    yield b"]}"


def _entries_as_json(entries: list[StatementEntry]) -> bytes:
    """Write the entries without the brackets around them."""
    shown = [
        StatementEntryPublic.model_construct(
            transfer_id=entry.transfer.id,
            other_account_id=entry.other_account_id,
            amount_minor=entry.amount_minor,
            balance_minor=entry.balance_minor,
            note=entry.transfer.note,
            created_at=entry.transfer.created_at,
        )
        for entry in entries
    ]
    return _ENTRIES.dump_json(shown)[1:-1]
