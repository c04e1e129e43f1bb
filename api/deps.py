"""What routes ask for: the only place where they meet a backend."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from starlette.exceptions import HTTPException

from api.errors import INACTIVE_USER, INVALID_TOKEN, NOT_PRIVILEGED, ApiError
from api.limits import BoundedRequest
from api.mail import Mailer
from api.security import Passwords, read_access_token
from api.throttle import Throttle, client_key
from backends.models import User
from backends.protocols import AccountRepository, Backend, ItemRepository, UserRepository
from config import Settings

API_PREFIX = "/api/v1"

_bearer = OAuth2PasswordBearer(tokenUrl=f"{API_PREFIX}/login/access-token")


@dataclass(frozen=True, slots=True)
class Services:
    """What the lifespan opened, in `app.state.services`."""

    settings: Settings
    backend: Backend
    passwords: Passwords
    throttle: Throttle
    mail: Mailer


# Coroutines, because FastAPI would run a plain function in a thread.
async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def _settings(services: Annotated[Services, Depends(_services)]) -> Settings:
    return services.settings


async def _users(services: Annotated[Services, Depends(_services)]) -> UserRepository:
    return services.backend.users


async def _items(services: Annotated[Services, Depends(_services)]) -> ItemRepository:
    return services.backend.items


async def _accounts(services: Annotated[Services, Depends(_services)]) -> AccountRepository:
    return services.backend.accounts


async def _passwords(services: Annotated[Services, Depends(_services)]) -> Passwords:
    return services.passwords


async def _throttle(services: Annotated[Services, Depends(_services)]) -> Throttle:
    return services.throttle


async def _client(request: Request) -> str:
    return client_key(request.client.host if request.client else None)


async def _mail(services: Annotated[Services, Depends(_services)]) -> Mailer:
    return services.mail


AppSettings = Annotated[Settings, Depends(_settings)]
Users = Annotated[UserRepository, Depends(_users)]
Items = Annotated[ItemRepository, Depends(_items)]
Accounts = Annotated[AccountRepository, Depends(_accounts)]
PasswordHashing = Annotated[Passwords, Depends(_passwords)]
Throttling = Annotated[Throttle, Depends(_throttle)]
Client = Annotated[str, Depends(_client)]
Mail = Annotated[Mailer, Depends(_mail)]


async def _current_user(
    token: Annotated[str, Depends(_bearer)], users: Users, settings: AppSettings
) -> User:
    """Return the token's user; one look-up, so that who was deleted or signed out is out at once."""
    session = read_access_token(token, settings)
    user = await users.get(session.user_id)
    if not user.is_active:
        raise ApiError(INACTIVE_USER)
    if user.session_version != session.version:
        raise ApiError(INVALID_TOKEN)
    return user


CurrentUser = Annotated[User, Depends(_current_user)]


async def _superuser(user: CurrentUser) -> User:
    if not user.is_superuser:
        raise ApiError(NOT_PRIVILEGED)
    return user


Superuser = Annotated[User, Depends(_superuser)]


def scope_of(user: User, owner_id: str | None = None) -> str | None:
    """Return whose items, accounts and transfers a user may touch: None means everyone's.

    Args:
        user: Who asks.
        owner_id: Whose the user asks for; None for as many as may be.

    Raises:
        ApiError: NOT_PRIVILEGED: they are somebody else's.
    """
    if user.is_superuser:
        return owner_id
    if owner_id not in {None, user.id}:
        raise ApiError(NOT_PRIVILEGED)
    return user.id


class GuardedRoute(APIRoute):
    """Says who may not call before it says that a body can't be read, which FastAPI finds out first.

    It also bounds how deep a body may be nested.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler; a body that can be read costs nothing."""
        handle = super().get_route_handler()
        guards = [dependency.call for dependency in self.dependant.dependencies]

        async def handle_guarded(request: Request) -> Response:
            try:
                return await handle(BoundedRequest(request.scope, request.receive))
            except (RequestValidationError, HTTPException) as exc:
                if _is_unreadable(exc) and (_current_user in guards or _superuser in guards):
                    services = await _services(request)
                    token = await _bearer(request)
                    user = await _current_user(token or "", services.backend.users, services.settings)
                    if _superuser in guards:
                        await _superuser(user)
                raise

        return handle_guarded


def _is_unreadable(exc: RequestValidationError | HTTPException) -> bool:
    if isinstance(exc, HTTPException):
        return exc.status_code == 400
    return any(error["type"] == "json_invalid" for error in exc.errors())
