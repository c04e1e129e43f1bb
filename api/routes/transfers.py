"""Routes of transfers, which are the entries of the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.cursors import list_arguments, page_response
from api.deps import Accounts, AppSettings, CurrentUser, owner_scope
from api.errors import (
    ACCOUNT_NOT_FOUND,
    INSUFFICIENT_FUNDS,
    NO_TRANSACTIONS,
    NOT_OWNER,
    NOT_PRIVILEGED,
    TOKEN_PROBLEMS,
    TRANSFER_NOT_FOUND,
    documented,
)
from api.idempotency import IdempotencyKey
from api.preconditions import ETAG, NOT_MODIFIED, IfNoneMatch, conditional_response, with_etag
from api.routing import make_router
from api.schemas import TransferCreate, TransferListQuery, TransferPublic, TransfersPublic
from backends.models import Transfer

router = make_router("transfers", "/transfers")

TRANSFER_PROBLEMS = (*TOKEN_PROBLEMS, ACCOUNT_NOT_FOUND, NOT_OWNER, INSUFFICIENT_FUNDS, NO_TRANSACTIONS)


@router.get("/", response_model=TransfersPublic, responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED))
async def read_transfers(
    user: CurrentUser,
    accounts: Accounts,
    query: Annotated[TransferListQuery, Query()],
    settings: AppSettings,
) -> Response:
    """List the entries of your own accounts, or the whole ledger as a superuser."""
    owner_id = owner_scope(user, query.owner_id)
    page = await accounts.transfers(owner_id=owner_id, **list_arguments(query, "transfers", settings))
    return page_response(page, query, "transfers", settings)


@router.post("/", response_model=TransferPublic, responses={**ETAG, **documented(*TRANSFER_PROBLEMS)})
async def create_transfer(
    user: CurrentUser,
    body: TransferCreate,
    accounts: Accounts,
    idempotency_key: IdempotencyKey,
    response: Response,
) -> Transfer:
    """Transfer money to another account of the same currency.

    The source is an account of your own, or any account as a superuser.
    """
    transfer = await accounts.transfer(
        body, ordered_by=user.id, owner_id=owner_scope(user), idempotency=idempotency_key.with_body(body)
    )
    return with_etag(transfer, response)


@router.get(
    "/{transfer_id}",
    response_model=TransferPublic,
    responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS, TRANSFER_NOT_FOUND, NOT_OWNER)},
)
async def read_transfer(
    transfer_id: str, user: CurrentUser, accounts: Accounts, if_none_match: IfNoneMatch, response: Response
) -> Transfer | Response:
    """Return an entry of the ledger: a transfer, a deposit or a withdrawal."""
    return conditional_response(
        await accounts.get_transfer(transfer_id, owner_id=owner_scope(user)), if_none_match, response
    )
