"""Password hashes: Argon2id for new ones; verification of other Argon2 hashes and of bcrypt hashes."""

from __future__ import annotations

import logging
import re
import secrets
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Protocol

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from backends.models import normalise_password

logger = logging.getLogger(__name__)

# OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane
# (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Verification above these limits takes several seconds. Without limits a stored hash could block a thread
# for hours.
MAX_ARGON2_WORK_KIB = 2**22
MAX_BCRYPT_ROUNDS = 16

BCRYPT_BYTES = 72
"""How much bcrypt reads. The library `bcrypt` ignored the rest up to version 4, and raises since then."""

_BCRYPT = re.compile(r"\$2[abxy]\$(?P<rounds>[0-9]{2})\$[./A-Za-z0-9]{53}")


class UnverifiableHash(Exception):
    """The stored text is not a hash that can be verified. The message does not contain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of verifying a password against a stored hash.

    Attributes:
        matches: Whether the password is the one that was hashed.
        new_hash: The replacement of an outdated hash; None if the hash is not outdated or did not match.
        error: Why the stored hash can't be verified; None if it can.
        kind: The algorithm and parameters, on which the duration depends.
        attempts: How many forms of the password are tried before it is rejected.
        seconds: The duration.
    """

    matches: bool
    new_hash: str | None
    error: str | None
    kind: str
    attempts: int
    seconds: float


class Durations:
    """The duration of an attempt with each kind of hash that this process has verified."""

    def __init__(self) -> None:
        self._fastest: dict[str, float] = {}

    def record(self, verification: Verification) -> None:
        """Record a rejection. The shortest one of a kind counts: others had to wait for the processor."""
        if not verification.matches:
            seconds = verification.seconds / verification.attempts
            self._fastest[verification.kind] = min(seconds, self._fastest.get(verification.kind, seconds))

    def missing(self, rejected: Verification) -> float:
        """Return how many seconds longer the rejection would have taken with the slowest kind."""
        slowest = max(self._fastest.values(), default=0.0)
        return max(0.0, slowest * rejected.attempts - rejected.seconds)


class _Hash(Protocol):
    """A stored hash.

    Attributes:
        kind: As in `Verification`.
        is_outdated: Whether a new hash is stronger.
    """

    kind: str
    is_outdated: bool

    def matches(self, password: bytes) -> bool:
        """Return whether it is the hash of this password.

        Raises:
            UnverifiableHash: It can't be verified.
        """
        ...


class _Argon2Hash:
    """Argon2id, Argon2i or Argon2d in the PHC string format, with any parameters."""

    def __init__(self, text: str) -> None:
        try:
            parameters = extract_parameters(text)
        except InvalidHashError:
            raise UnverifiableHash("unknown format") from None
        if parameters.memory_cost * parameters.time_cost > MAX_ARGON2_WORK_KIB:
            raise UnverifiableHash("it would take too long")
        self._text = text
        self.kind = text.rsplit("$", 2)[0]
        self.is_outdated = (
            parameters.type is not Type.ID
            or parameters.version < ARGON2_VERSION
            or parameters.memory_cost < _hasher.memory_cost
            or parameters.time_cost < _hasher.time_cost
            or parameters.salt_len < _hasher.salt_len
            or parameters.hash_len < _hasher.hash_len
        )

    def matches(self, password: bytes) -> bool:
        """See `_Hash`."""
        try:
            return _hasher.verify(self._text, password)
        except VerifyMismatchError:
            return False
        except (Argon2Error, ValueError) as exc:
            raise UnverifiableHash(f"Argon2: {exc}") from None


class _BcryptHash:
    """bcrypt in the modular crypt format, as passlib, pwdlib, PHP and others write it."""

    is_outdated = True

    def __init__(self, text: str, *, rounds: int) -> None:
        if rounds > MAX_BCRYPT_ROUNDS:
            raise UnverifiableHash("it would take too long")
        self._text = text
        self.kind = f"bcrypt {rounds}"

    def matches(self, password: bytes) -> bool:
        """See `_Hash`."""
        import bcrypt  # noqa: PLC0415 - most deployments have no such hash

        try:
            is_match = bcrypt.checkpw(password[:BCRYPT_BYTES], self._text.encode())
        except ValueError as exc:
            raise UnverifiableHash(f"bcrypt: {exc}") from None
        # The key of bcrypt is the password and a NUL, repeated: "a" and "a\0a" have the same hash.
        return is_match and b"\0" not in password


def make_hash(password: str) -> str:
    """Return the hash to store for a password. It contains the salt and the parameters."""
    return _hasher.hash(_encode(normalise_password(password)))


def verify_hash(password: str, stored: str | None) -> Verification:
    """Verify a password against a stored hash. None takes as long as a hash, and never matches.

    Hashes of older versions are of the password as it was typed. It is tried too if its normalised form
    differs. The number of attempts depends on the password only.
    """
    began = time.perf_counter()
    normalised = normalise_password(password)
    forms = [normalised] if password == normalised else [normalised, password]
    hash_: _Hash = _DUMMY
    error = matching = None
    try:
        hash_ = _DUMMY if stored is None else _parse(stored)
    except UnverifiableHash as exc:
        error = str(exc)
    for form in forms:
        try:
            is_match = hash_.matches(_encode(form))
        except UnverifiableHash as exc:
            hash_, error = _DUMMY, str(exc)
            is_match = hash_.matches(_encode(form))
        if is_match:
            matching = form
            break
    is_outdated = matching is not None and (hash_.is_outdated or matching != normalised)
    return Verification(
        matches=matching is not None,
        new_hash=_replacement(normalised) if is_outdated else None,
        error=error,
        kind=hash_.kind,
        attempts=len(forms),
        seconds=time.perf_counter() - began,
    )


def _parse(stored: str) -> _Hash:
    """Return the stored hash.

    Raises:
        UnverifiableHash: Its format is unknown, or its parameters exceed the limits.
    """
    if match := _BCRYPT.fullmatch(stored):
        return _BcryptHash(stored, rounds=int(match["rounds"]))
    return _Argon2Hash(stored)


def _replacement(password: str) -> str | None:
    """Return a new hash; None if there is not enough memory. The login succeeds without it."""
    try:
        return make_hash(password)
    except (Argon2Error, MemoryError) as exc:
        logger.warning("an outdated password hash was not replaced: %s", exc)
        return None


def _encode(password: str) -> bytes:
    """Encode a password. A form in another charset can contain lone surrogates."""
    return password.encode("utf-8", "surrogatepass")


def _dummy_hash() -> str:
    """Return a hash that no password matches. Its verification takes as long as that of a stored hash."""
    salt, tag = (
        b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (_hasher.salt_len, _hasher.hash_len)
    )
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${tag}"


_DUMMY = _Argon2Hash(_dummy_hash())
