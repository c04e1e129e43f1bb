"""Creation of the first superuser at start-up. It can create all other users."""

from __future__ import annotations

import secrets

from api.security import Passwords
from backends.errors import AlreadyExists
from backends.models import NewUser
from backends.protocols import UserRepository
from config import Settings


async def ensure_first_superuser(
    users: UserRepository, passwords: Passwords, settings: Settings
) -> str | None:
    """Create the superuser of the settings unless a user with this email address exists.

    Workers may call it concurrently: the unique index lets one of them succeed.

    Returns:
        The password if it was generated, so that the caller can print it; None otherwise.
    """
    email = settings.superuser_email
    if email is None or await users.find_by_email(email) is not None:
        return None
    given = settings.first_superuser_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(12)
    new = NewUser(email=email, hashed_password=await passwords.hash(password), is_superuser=True)
    try:
        await users.add(new)
    except AlreadyExists:
        return None
    return None if given else password
