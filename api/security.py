"""Passwords and tokens."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar, TypeVarTuple

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from api.errors import INVALID_TOKEN, TOO_BUSY, ApiError
from backends.ids import is_id, utc_now
from backends.models import User
from backends.protocols import CLOCK_TOLERANCE
from config import Settings

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

ALGORITHM = "HS256"

ISSUER = "eitherdb"

Audience = Literal["access", "cursor", "password-reset"]

VERIFIED_TOKENS = 4096
"""How many tokens are remembered as signed here. About the user nothing is remembered."""

# One core stays free for everything else, however many want to hash; and a process takes 76 MiB at most.
HASHING_THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))

# What waits longer than a minute has been given up by whoever asked.
MAX_WAITING = 2000

# OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane
# (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _hash_of_nothing() -> str:
    """Return what looks like a stored hash, of no password: verifying takes as long, and fails."""
    salt, tag = (
        b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (_hasher.salt_len, _hasher.hash_len)
    )
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${tag}"


_HASH_OF_NOTHING = _hash_of_nothing()


class _Jobs:
    """What waits for a thread, of one kind."""

    def __init__(self) -> None:
        self.unfinished = 0
        self.waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()


class Passwords:
    """Argon2id in threads of its own: the event loop goes on, and a flood of logins waits its turn.

    Logins go first: a flood of sign-ups, which nothing limits, keeps nobody from signing in.
    """

    def __init__(self) -> None:
        """Start the threads; `close` gives them back."""
        self._to_verify, self._to_hash = _Jobs(), _Jobs()
        self._taking = threading.Lock()
        self._threads = ThreadPoolExecutor(
            HASHING_THREADS, thread_name_prefix="argon2", initializer=_yield_to_others
        )

    async def hash(self, password: str) -> str:
        """Return the hash to store, with its salt and parameters in it.

        Raises:
            ApiError: TOO_BUSY: too many wait already.
        """
        return await self._run(self._to_hash, _hasher.hash, password)

    async def verify(self, password: str, hashed_password: str | None) -> bool:
        """Tell whether the password is the one that was hashed; goes before all that is to be hashed.

        None as the hash takes as long as any other and is always wrong, so that the time of an answer
        does not tell whether an address is known.

        Raises:
            ApiError: TOO_BUSY: too many wait already.
        """
        matches = await self._run(self._to_verify, _matches, hashed_password or _HASH_OF_NOTHING, password)
        return matches and hashed_password is not None

    async def _run(self, jobs: _Jobs, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        if jobs.unfinished >= MAX_WAITING:
            raise ApiError(TOO_BUSY)
        jobs.unfinished += 1
        try:
            future: Future[T] = Future()
            jobs.waiting.append((future, partial(function, *arguments)))
            # One turn a job, and not of a certain one: which is next is decided when a thread is free.
            self._threads.submit(self._take_turn)
            return await asyncio.wrap_future(future)
        finally:
            jobs.unfinished -= 1

    def _take_turn(self) -> None:
        with self._taking:
            future, call = (self._to_verify.waiting or self._to_hash.waiting).popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - whoever waits for it is told
            future.set_exception(exc)

    def close(self) -> None:
        """Give the threads back; what waits is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._taking:
            for future, _ in (*self._to_verify.waiting, *self._to_hash.waiting):
                future.cancel()


def _yield_to_others() -> None:
    """Let the event loop go first where both want a core. On Linux a thread has a niceness of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _matches(hashed_password: str, password: str) -> bool:
    try:
        # A form's own charset can smuggle in what UTF-8 has no bytes for; no stored password has that.
        return _hasher.verify(hashed_password, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def sign(claims: dict[str, Any], audience: Audience, settings: Settings) -> str:
    """Return the claims as a JWT for one purpose only, signed with the present key."""
    secret = settings.secret_key.get_secret_value()
    return jwt.encode({**claims, "iss": ISSUER, "aud": audience}, secret, algorithm=ALGORITHM)


def unsign(token: str, audience: Audience, settings: Settings) -> dict[str, Any]:
    """Return the claims of a JWT that was signed here, for this purpose, and is not expired.

    Raises:
        jwt.InvalidTokenError: It is anything else.
    """
    keys = [key.get_secret_value() for key in (settings.secret_key, *settings.previous_secret_keys)]
    for key in keys[:-1]:
        with suppress(jwt.InvalidSignatureError):
            return _decode(token, audience, key)
    return _decode(token, audience, keys[-1])


def _decode(token: str, audience: Audience, key: str) -> dict[str, Any]:
    claims: dict[str, Any] = _verified(token, audience, key)
    if "exp" in claims and claims["exp"] <= time.time():
        raise jwt.ExpiredSignatureError
    return claims


@lru_cache(VERIFIED_TOKENS)
def _verified(token: str, audience: Audience, key: str) -> dict[str, Any]:
    """Return the claims of a token, which are its own for ever; whether it is expired is not looked at."""
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=ISSUER,
        # The clock of the host that made it may be a second ahead: `iat` decides nothing.
        options={"require": ["iss", "aud"], "verify_iat": False, "verify_exp": False},
    )
    if type(claims.get("exp", 0)) is not int:
        raise jwt.DecodeError("exp must be an integer")
    return claims


@dataclass(frozen=True, slots=True)
class Session:
    """What a bearer token says: whose it is, and which of the user's session versions."""

    user_id: str
    version: int


def make_access_token(user: User, settings: Settings) -> str:
    """Return a bearer token, valid for `ACCESS_TOKEN_EXPIRE_MINUTES` or until the user's sessions end."""
    claims = {"sub": user.id, "session": user.session_version}
    return sign({**claims, **_lasting(settings.access_token_expire_minutes)}, "access", settings)


def read_access_token(token: str, settings: Settings) -> Session:
    """Return whose session the token is of; whether that user exists is another question.

    Raises:
        ApiError: INVALID_TOKEN: malformed, forged, expired, or not an access token.
    """
    try:
        claims = unsign(token, "access", settings)
    except jwt.InvalidTokenError:
        raise ApiError(INVALID_TOKEN) from None
    user_id, version = claims.get("sub", ""), claims.get("session")
    lasts = _ends_in_time(claims, settings.access_token_expire_minutes)
    if not lasts or not is_id(user_id) or type(version) is not int:
        raise ApiError(INVALID_TOKEN)
    return Session(user_id, version)


def make_reset_token(user: User, settings: Settings) -> str:
    """Return a token that sets a new password, once, within `PASSWORD_RESET_EXPIRE_MINUTES`."""
    claims = {"sub": user.id, "account": _fingerprint(user)}
    return sign({**claims, **_lasting(settings.password_reset_expire_minutes)}, "password-reset", settings)


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """What a reset token says: whose password may be set, as long as the account is as it was."""

    user_id: str
    fingerprint: str

    def fits(self, user: User) -> bool:
        """Tell whether password and address are those for which the token was made.

        Any change of the password ends it, so also its own use; and a mail to an address that is no longer
        the user's is worth nothing.
        """
        return hmac.compare_digest(self.fingerprint, _fingerprint(user))


def read_reset_token(token: str, settings: Settings) -> PasswordReset | None:
    """Return what the token says; None if it is malformed, forged, expired, or none of these tokens."""
    try:
        claims = unsign(token, "password-reset", settings)
    except jwt.InvalidTokenError:
        return None
    user_id, fingerprint = claims.get("sub", ""), claims.get("account")
    lasts = _ends_in_time(claims, settings.password_reset_expire_minutes)
    if not lasts or not is_id(user_id) or not isinstance(fingerprint, str):
        return None
    return PasswordReset(user_id, fingerprint)


def _ends_in_time(claims: dict[str, Any], minutes: int) -> bool:
    """Tell whether a token ends, and no later than one that is issued now by a clock that may be right.

    The clock of the instance that issued it may be ahead, but what it issues must not be valid for years.
    """
    latest = utc_now().timestamp() + minutes * 60 + CLOCK_TOLERANCE.total_seconds()
    return "exp" in claims and claims["exp"] <= latest


def _lasting(minutes: int) -> dict[str, datetime]:
    now = utc_now()
    return {"iat": now, "exp": now + timedelta(minutes=minutes)}


def _fingerprint(user: User) -> str:
    """Stand for password and address without telling them: the hash has a salt that nobody knows."""
    return hashlib.sha256(f"{user.hashed_password}\0{user.email}".encode()).hexdigest()[:32]
