"""Routes for tests of a front end. They exist with `ENVIRONMENT=local` only."""

from __future__ import annotations

from fastapi import Response

from api.deps import PasswordHashing, Users
from api.errors import EMAIL_TAKEN_AT_CREATE, ApiError, documented
from api.preconditions import ETAG, with_etag
from api.routing import make_router
from api.schemas import PrivateUserCreate, UserPublic
from backends.errors import AlreadyExists
from backends.models import NewUser, User

router = make_router("private", "/private")


@router.post("/users/", response_model=UserPublic, responses={**ETAG, **documented(EMAIL_TAKEN_AT_CREATE)})
async def create_user(
    body: PrivateUserCreate, users: Users, passwords: PasswordHashing, response: Response
) -> User:
    """Create a user without authentication."""
    hashed_password = await passwords.hash(body.password)
    new = NewUser(email=body.email, hashed_password=hashed_password, full_name=body.full_name)
    try:
        return with_etag(await users.add(new), response)
    except AlreadyExists as exc:
        raise ApiError(EMAIL_TAKEN_AT_CREATE) from exc
