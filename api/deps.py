"""Dependencies of the routes: services, repositories, and the authenticated user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, TypeAlias, TypeVar, cast

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from api.errors import INACTIVE_USER, INVALID_TOKEN, NOT_PRIVILEGED, ApiError
from api.mailer import Mailer
from api.schemas import UserPublic
from api.security import Passwords, read_access_token
from api.throttle import Throttle, client_key
from backends.models import User
from backends.models.resources import Resource
from backends.protocols import AccountRepository, Backend, ResourceRepository, UserRepository
from config import Settings

API_PREFIX = "/api/v1"

T = TypeVar("T")

UserLookUp: TypeAlias = Callable[[], Awaitable[User]]

_bearer = OAuth2PasswordBearer(tokenUrl=f"{API_PREFIX}/login/access-token")


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the lifespan opens, stored in `app.state.services`."""

    settings: Settings
    backend: Backend
    passwords: Passwords
    throttle: Throttle
    mail: Mailer


def services_of(request: Request) -> Services:
    """Return the services of the application."""
    return cast("Services", request.app.state.services)


# Coroutines: FastAPI would run a plain function in a thread. They have no sub-dependencies, because FastAPI
# solves each one on every request.
async def _settings(request: Request) -> Settings:
    return services_of(request).settings


async def _users(request: Request) -> UserRepository:
    return services_of(request).backend.users


async def _accounts(request: Request) -> AccountRepository:
    return services_of(request).backend.accounts


async def _passwords(request: Request) -> Passwords:
    return services_of(request).passwords


async def _throttle(request: Request) -> Throttle:
    return services_of(request).throttle


async def _client(request: Request) -> str:
    return client_key(request.client.host if request.client else None)


async def _mail(request: Request) -> Mailer:
    return services_of(request).mail


@dataclass(frozen=True, slots=True, eq=False)
class RepositoryOf:
    """The dependency that returns the repository of a resource."""

    resource: type[Resource]

    async def __call__(self, request: Request) -> ResourceRepository[Any]:
        """Return the repository."""
        return services_of(request).backend.resources[self.resource.__resource__.name]


@cache
def repository_of(resource: type[Resource]) -> RepositoryOf:
    """Return the dependency of a resource. It is one object, so that FastAPI solves it once a request."""
    return RepositoryOf(resource)


AppSettings = Annotated[Settings, Depends(_settings)]
Users = Annotated[UserRepository, Depends(_users)]
Accounts = Annotated[AccountRepository, Depends(_accounts)]
PasswordHashing = Annotated[Passwords, Depends(_passwords)]
Throttling = Annotated[Throttle, Depends(_throttle)]
Client = Annotated[str, Depends(_client)]
Mail = Annotated[Mailer, Depends(_mail)]


async def current_user(request: Request, token: Annotated[str, Depends(_bearer)]) -> User:
    """Return the user of the bearer token.

    The look-up on each request makes a deletion or the end of a session effective at once.
    """
    services = services_of(request)
    session = read_access_token(token, services.settings)
    user = await services.backend.users.get(session.user_id)
    if not user.is_active:
        raise ApiError(INACTIVE_USER)
    if user.session_version != session.version:
        raise ApiError(INVALID_TOKEN)
    return user


CurrentUser = Annotated[User, Depends(current_user)]


async def user_look_up(request: Request, token: Annotated[str, Depends(_bearer)]) -> UserLookUp:
    """Return the function that returns the user of the bearer token, as `current_user` does.

    A route that awaits it can look up its row at the same time (`beside`).
    """
    return partial(current_user, request, token)


LookUpUser = Annotated[UserLookUp, Depends(user_look_up)]


async def beside(user: Awaitable[User], look_up: Coroutine[Any, Any, T]) -> tuple[User, T]:
    """Return the results of both, which run at the same time: one round trip to the database and not two.

    The error of the user comes first. The other look-up has not started if the token is invalid.
    """
    task = asyncio.create_task(look_up)
    try:
        found = await user
    except BaseException:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # its error is nobody's
        raise
    return found, await task


async def superuser(user: CurrentUser) -> User:
    """Return the user of the bearer token if it is a superuser."""
    if not user.is_superuser:
        raise ApiError(NOT_PRIVILEGED)
    return user


Superuser = Annotated[User, Depends(superuser)]


async def _public_user(user: CurrentUser) -> UserPublic:
    return UserPublic.model_validate(user, from_attributes=True)


async def _public_superuser(user: Superuser) -> UserPublic:
    return UserPublic.model_validate(user, from_attributes=True)


# For the routes of a user, which may return the caller, but not the hash of the password.
PublicUser = Annotated[UserPublic, Depends(_public_user)]
PublicSuperuser = Annotated[UserPublic, Depends(_public_superuser)]


async def check_caller(request: Request, guards: Collection[object]) -> None:
    """Authenticate and authorise the caller of a route with these dependencies.

    Raises:
        ApiError: The caller is not allowed to call the route.
        HTTPException: The request has no bearer token.
    """
    if current_user in guards or user_look_up in guards:
        user = await current_user(request, await _bearer(request) or "")
        if superuser in guards:
            await superuser(user)


def owner_scope(user: User | UserPublic, owner_id: str | None = None) -> str | None:
    """Return the owner to which a request is restricted; None means no restriction.

    Args:
        user: The caller.
        owner_id: The requested owner. None means every owner that the caller may access.

    Raises:
        ApiError: NOT_PRIVILEGED: the caller may not access the requested owner.
    """
    if user.is_superuser:
        return owner_id
    if owner_id not in {None, user.id}:
        raise ApiError(NOT_PRIVILEGED)
    return user.id
