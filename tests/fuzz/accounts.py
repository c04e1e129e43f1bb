"""Accounts for a fuzzer, which may end any account and any session that it is given."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from backends.errors import NotFound
from tests.api.service import Account, Service

Role = Literal["superuser", "user"]


def hand_out_tokens(service: Service) -> FastAPI:
    """Make a server that answers `/superuser` and `/user` with the token of such a user.

    It is always the same user, until that user is gone, signed out, inactive or of the other kind.
    """
    accounts: dict[Role, Account] = {}

    async def is_as_it_was(account: Account) -> bool:
        with suppress(NotFound):
            user = await service.backend.users.get(account.id)
            return (user.is_active, user.is_superuser, user.session_version) == (
                True,
                account.user.is_superuser,
                account.user.session_version,
            )
        return False

    async def token(role: Role) -> str:
        account = accounts.get(role)
        if account is None or not await is_as_it_was(account):
            account = accounts[role] = await service.user(is_superuser=role == "superuser")
        return account.token

    app = FastAPI()
    app.get("/{role}", response_class=PlainTextResponse)(token)
    return app
