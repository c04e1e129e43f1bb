"""Idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Idempotency:
    """An idempotency key and the fingerprint of its request. A repeated call is executed only once.

    Attributes:
        key: 1 to 255 visible ASCII characters; the caller uses a new key for each operation.
        fingerprint: The SHA-256 digest of the request, as 64 hex digits.
    """

    key: str
    fingerprint: str
