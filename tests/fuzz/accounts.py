"""Accounts for a fuzzer that can delete any account and end any session it is given."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from backends.errors import NotFound
from tests.api.service import Account, Service

Role = Literal["superuser", "user"]


def hand_out_tokens(service: Service) -> FastAPI:
    """Start a server that returns a token of such a user for `/superuser` and `/user`.

    The user stays the same until it is deleted, signed out, inactive or of the other kind.
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
