"""Transfers: what moved from and to one's own accounts, or everything for a superuser."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.cursors import shown_page, window_of
from api.deps import Accounts, AppSettings, CurrentUser, scope_of
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
from api.idempotency import Keyed
from api.preconditions import ETAG, NOT_MODIFIED, IfNoneMatch, tagged, unless_known
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
    """List the entries of the ledger: from and to one's own accounts, or all for a superuser."""
    owner_id = scope_of(user, query.owner_id)
    page = await accounts.transfers(owner_id=owner_id, **window_of(query, "transfers", settings))
    return shown_page(page, query, "transfers", settings)


@router.post("/", response_model=TransferPublic, responses={**ETAG, **documented(*TRANSFER_PROBLEMS)})
async def create_transfer(
    user: CurrentUser, body: TransferCreate, accounts: Accounts, keyed: Keyed, response: Response
) -> Transfer:
    """Move money from an account of one's own, or for a superuser any, to another of the same currency."""
    transfer = await accounts.transfer(
        body, ordered_by=user.id, owner_id=scope_of(user), idempotency=keyed.with_body(body)
    )
    return tagged(transfer, response)


@router.get(
    "/{transfer_id}",
    response_model=TransferPublic,
    responses={**NOT_MODIFIED, **documented(*TOKEN_PROBLEMS, TRANSFER_NOT_FOUND, NOT_OWNER)},
)
async def read_transfer(
    transfer_id: str, user: CurrentUser, accounts: Accounts, known: IfNoneMatch, response: Response
) -> Transfer | Response:
    """Return an entry of the ledger; a deposit and a withdrawal are entries, too."""
    return unless_known(await accounts.get_transfer(transfer_id, owner_id=scope_of(user)), known, response)
