"""Routes of accounts, statements, deposits and withdrawals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from api.cursors import list_arguments, page_response
from api.deps import Accounts, AppSettings, CurrentUser, Superuser, owner_scope
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
from api.idempotency import IdempotencyKey
from api.preconditions import (
    ETAG,
    NOT_MODIFIED,
    IfMatch,
    IfNoneMatch,
    conditional_response,
    etag_of,
    with_etag,
)
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
    """List your own accounts, or all accounts as a superuser. A page is a snapshot."""
    owner_id = owner_scope(user, query.owner_id)
    page = await accounts.list(owner_id=owner_id, **list_arguments(query, "accounts", settings))
    return page_response(page, query, "accounts", settings)


@router.post(
    "/", response_model=AccountPublic, responses={**ETAG, **documented(*TOKEN_PROBLEMS, NO_TRANSACTIONS)}
)
async def create_account(
    user: CurrentUser,
    body: AccountCreate,
    accounts: Accounts,
    idempotency_key: IdempotencyKey,
    response: Response,
) -> Account:
    """Open an account of your own. It is empty."""
    account = await accounts.add(body, owner_id=user.id, idempotency=idempotency_key.with_body(body))
    return with_etag(account, response)


@router.get(
    "/{account_id}",
    response_model=AccountPublic,
    responses={**NOT_MODIFIED, **documented(*ACCOUNT_PROBLEMS)},
)
async def read_account(
    account_id: str, user: CurrentUser, accounts: Accounts, if_none_match: IfNoneMatch, response: Response
) -> Account | Response:
    """Return an account."""
    return conditional_response(
        await accounts.get(account_id, owner_id=owner_scope(user)), if_none_match, response
    )


@router.delete(
    "/{account_id}",
    response_model=Message,
    responses=documented(*ACCOUNT_PROBLEMS, ACCOUNT_NOT_EMPTY, VERSION_MISMATCH),
)
async def delete_account(
    account_id: str, user: CurrentUser, accounts: Accounts, if_match: IfMatch
) -> Message:
    """Delete an empty account. Its entries stay in the ledger."""
    versions = if_match.versions_of(account_id)
    await accounts.delete(account_id, owner_id=owner_scope(user), versions=versions)
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
    idempotency_key: IdempotencyKey,
    response: Response,
) -> Transfer:
    """Deposit money into an account."""
    idempotency = idempotency_key.with_body(body)
    entry = await accounts.deposit(account_id, body, ordered_by=user.id, idempotency=idempotency)
    return with_etag(entry, response)


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
    idempotency_key: IdempotencyKey,
    response: Response,
) -> Transfer:
    """Withdraw money from an account."""
    idempotency = idempotency_key.with_body(body)
    entry = await accounts.withdraw(account_id, body, ordered_by=user.id, idempotency=idempotency)
    return with_etag(entry, response)


@router.get(
    "/{account_id}/statement",
    response_model=StatementPublic,
    responses={**NOT_MODIFIED, **documented(*ACCOUNT_PROBLEMS)},
)
async def read_statement(
    account_id: str, user: CurrentUser, accounts: Accounts, if_none_match: IfNoneMatch
) -> Response:
    """Return an account and a snapshot of all its entries with running balances, oldest first.

    The response is streamed. If the connection breaks, the JSON is incomplete.
    """
    statement = await accounts.statement(account_id, owner_id=owner_scope(user))
    account, etag = statement.account, {"ETag": etag_of(statement.account)}
    if if_none_match.matches(account):
        return Response(status_code=304, headers=etag)
    # The first entries are read before the response starts, so that a database failure is still a 503.
    first: list[StatementEntry] = await anext(statement.entries, [])
    return StreamingResponse(
        _statement_json(account, first, statement.entries), media_type="application/json", headers=etag
    )


async def _statement_json(
    account: Account, first: list[StatementEntry], rest: AsyncIterator[list[StatementEntry]]
) -> AsyncIterator[bytes]:
    """Yield a statement as JSON, in chunks."""
    head = AccountPublic.model_validate(account).model_dump_json()
    yield f'{{"account":{head},"count":{account.version - 1},"data":['.encode()
    yield _entries_json(first)
    async for entries in rest:
        yield b"," + _entries_json(entries)
    yield b"]}"


def _entries_json(entries: list[StatementEntry]) -> bytes:
    """Return the entries as JSON, without the brackets of the array."""
    public = [
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
    return _ENTRIES.dump_json(public)[1:-1]
