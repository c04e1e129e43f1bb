"""Password hashing and signed tokens."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar, TypeVarTuple

import jwt

from api.errors import INVALID_TOKEN, TOO_BUSY, ApiError
from api.hashes import Durations, Verification, make_hash, verify_hash
from backends.ids import is_id, utc_now
from backends.models import User
from backends.protocols import CLOCK_TOLERANCE
from config import Settings

logger = logging.getLogger(__name__)

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

ALGORITHM = "HS256"

ISSUER = "eitherdb"

Audience = Literal["access", "password-reset"]

VERIFIED_TOKENS = 4096
"""The size of the cache of verified tokens. It contains no data about users."""

# One core stays free for the event loop. Four threads use at most 76 MiB per process for hashes made here.
HASHING_THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))

# The queue limit: about a minute of hashing, after which clients have given up.
MAX_WAITING = 2000


class _Queue:
    """Jobs of one kind that wait for a thread."""

    def __init__(self) -> None:
        self.unfinished = 0
        self.waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()


class Passwords:
    """Hashes and verifies passwords in a thread pool, so that the event loop is not blocked.

    Verification takes priority over hashing: sign-ups, which have no rate limit, can't block logins.
    """

    def __init__(self) -> None:
        """Create the thread pool; `close` shuts it down."""
        self._to_verify, self._to_hash = _Queue(), _Queue()
        self._durations = Durations()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(
            HASHING_THREADS, thread_name_prefix="passwords", initializer=_lower_priority
        )

    async def hash(self, password: str) -> str:
        """Return the hash to store. It contains the salt and the parameters.

        Raises:
            ApiError: TOO_BUSY: the queue is full.
        """
        return await self._run(self._to_hash, make_hash, password)

    async def verify(self, password: str, user: User | None) -> Verification:
        """Verify the password of a user. Verification takes priority over hashing.

        With None the password does not match after the same time, so that the response time does not reveal
        whether an email address is registered. See `delay_rejection`.

        Raises:
            ApiError: TOO_BUSY: the queue is full.
        """
        stored = None if user is None else user.hashed_password
        verification = await self._run(self._to_verify, verify_hash, password, stored)
        self._durations.record(verification)
        if user is not None and verification.error is not None:
            logger.error(
                "the password hash of user %s can't be verified (%s); a new password replaces it",
                user.id,
                verification.error,
            )
        return verification

    async def delay_rejection(self, rejected: Verification) -> None:
        """Wait until a rejection has taken as long as one with the slowest kind of hash in use."""
        await asyncio.sleep(self._durations.missing(rejected))

    async def _run(self, queue: _Queue, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        if queue.unfinished >= MAX_WAITING:
            raise ApiError(TOO_BUSY)
        queue.unfinished += 1
        try:
            future: Future[T] = Future()
            queue.waiting.append((future, partial(function, *arguments)))
            # The thread pool gets one call per job. The job is chosen when a thread is free.
            self._threads.submit(self._run_next)
            return await asyncio.wrap_future(future)
        finally:
            queue.unfinished -= 1

    def _run_next(self) -> None:
        with self._lock:
            future, call = (self._to_verify.waiting or self._to_hash.waiting).popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - raised in the caller
            future.set_exception(exc)

    def close(self) -> None:
        """Shut down the thread pool and cancel waiting jobs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for future, _ in (*self._to_verify.waiting, *self._to_hash.waiting):
                future.cancel()


def _lower_priority() -> None:
    """Give the event loop priority over this thread. Only Linux has a niceness per thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def sign(claims: dict[str, Any], audience: Audience, settings: Settings) -> str:
    """Return a JWT for one audience, signed with the current key."""
    secret = settings.secret_key.get_secret_value()
    return jwt.encode({**claims, "iss": ISSUER, "aud": audience}, secret, algorithm=ALGORITHM)


def unsign(token: str, audience: Audience, settings: Settings) -> dict[str, Any]:
    """Return the claims of a JWT for this audience, signed with the current or a previous key.

    Raises:
        jwt.InvalidTokenError: The token is malformed, forged, expired, or for another audience.
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
    """Return the claims of a token with a valid signature. Expiry is not checked: results are cached."""
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=ISSUER,
        # `iat` is not verified: the clock of the issuing host may be ahead.
        options={"require": ["iss", "aud"], "verify_iat": False, "verify_exp": False},
    )
    if type(claims.get("exp", 0)) is not int:
        raise jwt.DecodeError("exp must be an integer")
    return claims


@dataclass(frozen=True, slots=True)
class Session:
    """The content of a bearer token: the user and the session version."""

    user_id: str
    version: int


def make_access_token(user: User, settings: Settings) -> str:
    """Return a bearer token, valid for `ACCESS_TOKEN_EXPIRE_MINUTES` or until the user's sessions end."""
    claims = {"sub": user.id, "session": user.session_version}
    return sign({**claims, **_lifetime(settings.access_token_expire_minutes)}, "access", settings)


def read_access_token(token: str, settings: Settings) -> Session:
    """Return the session of the token. The caller checks that the user exists.

    Raises:
        ApiError: INVALID_TOKEN: malformed, forged, expired, or not an access token.
    """
    try:
        claims = unsign(token, "access", settings)
    except jwt.InvalidTokenError:
        raise ApiError(INVALID_TOKEN) from None
    user_id, version = claims.get("sub", ""), claims.get("session")
    expires = _expires_in_time(claims, settings.access_token_expire_minutes)
    if not expires or not is_id(user_id) or type(version) is not int:
        raise ApiError(INVALID_TOKEN)
    return Session(user_id, version)


def make_reset_token(user: User, settings: Settings) -> str:
    """Return a token for one password reset, valid for `PASSWORD_RESET_EXPIRE_MINUTES`."""
    claims = {"sub": user.id, "account": _fingerprint(user)}
    return sign({**claims, **_lifetime(settings.password_reset_expire_minutes)}, "password-reset", settings)


@dataclass(frozen=True, slots=True)
class PasswordReset:
    """The content of a reset token: the user, and a fingerprint of the password hash and email address."""

    user_id: str
    fingerprint: str

    def fits(self, user: User) -> bool:
        """Return whether password and email address are unchanged since the token was issued.

        A change of the password invalidates the token, so it works once. A change of the address
        invalidates tokens that were sent to the old address.
        """
        return hmac.compare_digest(self.fingerprint, _fingerprint(user))


def read_reset_token(token: str, settings: Settings) -> PasswordReset | None:
    """Return the content of the token; None if it is malformed, forged, expired, or not a reset token."""
    try:
        claims = unsign(token, "password-reset", settings)
    except jwt.InvalidTokenError:
        return None
    user_id, fingerprint = claims.get("sub", ""), claims.get("account")
    expires = _expires_in_time(claims, settings.password_reset_expire_minutes)
    if not expires or not is_id(user_id) or not isinstance(fingerprint, str):
        return None
    return PasswordReset(user_id, fingerprint)


def _expires_in_time(claims: dict[str, Any], minutes: int) -> bool:
    """Return whether a token expires, at most CLOCK_TOLERANCE later than one issued now.

    The clock of the issuing instance may be ahead. Its tokens must not be valid for years.
    """
    latest = utc_now().timestamp() + minutes * 60 + CLOCK_TOLERANCE.total_seconds()
    return "exp" in claims and claims["exp"] <= latest


def _lifetime(minutes: int) -> dict[str, datetime]:
    now = utc_now()
    return {"iat": now, "exp": now + timedelta(minutes=minutes)}


def _fingerprint(user: User) -> str:
    """Return a hash of password hash and email address. The salt in the password hash keeps both secret."""
    return hashlib.sha256(f"{user.hashed_password}\0{user.email}".encode()).hexdigest()[:32]
