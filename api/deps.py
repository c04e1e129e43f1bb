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

from api.errors import INACTIVE_USER, NOT_PRIVILEGED, ApiError
from api.mail import Mailer
from api.security import Passwords, read_access_token
from backends.models import User
from backends.protocols import Backend, ItemRepository, UserRepository
from config import Settings

API_PREFIX = "/api/v1"

_bearer = OAuth2PasswordBearer(tokenUrl=f"{API_PREFIX}/login/access-token")


@dataclass(frozen=True, slots=True)
class Services:
    """What the lifespan opened, in `app.state.services`."""

    settings: Settings
    backend: Backend
    passwords: Passwords
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


async def _passwords(services: Annotated[Services, Depends(_services)]) -> Passwords:
    return services.passwords


async def _mail(services: Annotated[Services, Depends(_services)]) -> Mailer:
    return services.mail


AppSettings = Annotated[Settings, Depends(_settings)]
Users = Annotated[UserRepository, Depends(_users)]
Items = Annotated[ItemRepository, Depends(_items)]
PasswordHashing = Annotated[Passwords, Depends(_passwords)]
Mail = Annotated[Mailer, Depends(_mail)]


async def _current_user(
    token: Annotated[str, Depends(_bearer)], users: Users, settings: AppSettings
) -> User:
    """Return the token's user; one look-up, so that a deleted or inactive user is out at once."""
    user = await users.get(read_access_token(token, settings))
    if not user.is_active:
        raise ApiError(INACTIVE_USER)
    return user


CurrentUser = Annotated[User, Depends(_current_user)]


async def _superuser(user: CurrentUser) -> User:
    if not user.is_superuser:
        raise ApiError(NOT_PRIVILEGED)
    return user


Superuser = Annotated[User, Depends(_superuser)]


class GuardedRoute(APIRoute):
    """Says who may not call before it says that a body can't be read, which FastAPI finds out first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler; a body that can be read costs nothing."""
        handle = super().get_route_handler()
        guards = [dependency.call for dependency in self.dependant.dependencies]

        async def handle_guarded(request: Request) -> Response:
            try:
                return await handle(request)
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
