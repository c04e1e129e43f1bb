"""The first superuser: who can make all others must exist once the service has started."""

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
    """Make the superuser of the settings unless the address is taken already.

    Any number of workers may call it at once: the unique index lets one of them win.

    Returns:
        The password, if it was generated here and so is known to nobody yet; None otherwise.
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
