"""Passwords and tokens."""

from __future__ import annotations

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Literal

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.errors import INVALID_TOKEN, ApiError
from backends.ids import is_id, utc_now
from config import Settings

ALGORITHM = "HS256"

Audience = Literal["access", "cursor"]

# OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane
# (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Passwords:
    """Argon2id in threads of its own: the event loop goes on, and a flood of logins waits its turn."""

    def __init__(self) -> None:
        """Take one thread a core; `close` gives them back."""
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="argon2")
        self._hash_of_nobody = _hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        """Return the hash to store, with its salt and parameters in it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _hasher.hash, password)

    async def verify(self, password: str, hashed_password: str | None) -> bool:
        """Tell whether the password is the one that was hashed.

        None as the hash takes as long as any other and is always wrong, so that the time of an answer
        does not tell whether an address is known.
        """
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(
            self._threads, _matches, hashed_password or self._hash_of_nobody, password
        )
        return matches and hashed_password is not None

    def close(self) -> None:
        """Give the threads back."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _matches(hashed_password: str, password: str) -> bool:
    try:
        # A form's own charset can smuggle in what UTF-8 has no bytes for; no stored password has that.
        return _hasher.verify(hashed_password, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def sign(claims: dict[str, Any], audience: Audience, settings: Settings) -> str:
    """Return the claims as a JWT for one purpose only."""
    secret = settings.secret_key.get_secret_value()
    return jwt.encode({**claims, "aud": audience}, secret, algorithm=ALGORITHM)


def unsign(token: str, audience: Audience, settings: Settings) -> dict[str, Any]:
    """Return the claims of a JWT that was signed here, for this purpose, and is not expired.

    Raises:
        jwt.InvalidTokenError: It is anything else.
    """
    secret = settings.secret_key.get_secret_value()
    return jwt.decode(token, secret, algorithms=[ALGORITHM], audience=audience)


def make_access_token(user_id: str, settings: Settings) -> str:
    """Return a bearer token for the user, valid for `ACCESS_TOKEN_EXPIRE_MINUTES`."""
    now = utc_now()
    expires_at = now + timedelta(minutes=settings.access_token_expire_minutes)
    return sign({"sub": user_id, "iat": now, "exp": expires_at}, "access", settings)


def read_access_token(token: str, settings: Settings) -> str:
    """Return the id of the user whose token it is; whether that user exists is another question.

    Raises:
        ApiError: INVALID_TOKEN: malformed, forged, expired, or not an access token.
    """
    try:
        claims = unsign(token, "access", settings)
    except jwt.InvalidTokenError:
        raise ApiError(INVALID_TOKEN) from None
    if "exp" not in claims or not is_id(claims.get("sub", "")):
        raise ApiError(INVALID_TOKEN)
    return str(claims["sub"])
