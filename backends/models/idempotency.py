"""Idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Lets a call be repeated without being done twice: a key of the caller's, and what it was for.

    Attributes:
        key: 1 to 255 visible ASCII characters, one for each thing that the caller wants done.
        fingerprint: 64 hex digits that differ for different requests: a SHA-256 digest.
    """

    key: str
    fingerprint: str
