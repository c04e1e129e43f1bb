"""Shared by all baselines: tokens, JSON rows, and the protocol of a baseline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, TypeVar

import jwt
from bson import ObjectId

from bench.baselines.kinds import Kind

POOL_SIZE = 20
"""The default of DB_POOL_SIZE."""

API = "/api/v1"

Shown = dict[str, Any]
"""A row or a transfer as the response shows it."""

_SECRET_KEY = os.environ.get("SECRET_KEY", "")

C = TypeVar("C")


class User(NamedTuple):
    """The columns of a user that each request checks."""

    is_active: bool
    session_version: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of an owner, newest first, and their total number."""

    rows: list[Shown]
    count: int


class Refused(Exception):
    """The request is refused; the arguments are the status and the detail."""


class DatabaseBaseline(Protocol[C]):
    """A database. Starlette's routes use the methods with `user_and`, FastAPI's the others."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def reader(self) -> AbstractAsyncContextManager[C]:
        """Take a connection."""
        ...

    def writer(self) -> AbstractAsyncContextManager[C]:
        """Take a connection that may write."""
        ...

    async def user(self, connection: C, id: str) -> User | None:
        """Find the user."""
        ...

    async def row(self, connection: C, kind: Kind, id: str) -> Shown | None:
        """Find the row."""
        ...

    async def page(self, connection: C, kind: Kind, owner_id: str, limit: int) -> Page:
        """Find a page."""
        ...

    async def user_and_row(
        self, connection: C, kind: Kind, user_id: str, id: str
    ) -> tuple[User | None, Shown | None]:
        """Do both in as few round trips as possible."""
        ...

    async def user_and_page(
        self, connection: C, kind: Kind, user_id: str, limit: int
    ) -> tuple[User | None, Page]:
        """Do both in as few round trips as possible."""
        ...

    async def add(self, connection: C, kind: Kind, owner_id: str, new: Mapping[str, Any]) -> Shown:
        """Add a row; return it."""
        ...

    async def transfer(
        self, connection: C, user_id: str, from_id: str, to_id: str, amount: int, note: str | None
    ) -> Shown:
        """Transfer money in a transaction: both accounts, and the entry.

        Raises:
            Refused: An account's guard was against it.
        """
        ...


def session_of(token: str) -> tuple[str, int]:
    """Return the user id and the session version of a valid token.

    Raises:
        Refused: It was not, or is expired.
    """
    try:
        claims = jwt.decode(token, _SECRET_KEY, algorithms=["HS256"], audience="access", issuer="eitherdb")
    except jwt.InvalidTokenError:
        raise Refused(403, "Could not validate credentials") from None
    return claims["sub"], claims["session"]


def check(user: User | None, session_version: int) -> None:
    """Refuse a user who is deleted, inactive or signed out.

    Raises:
        Refused: For these reasons.
    """
    if user is None:
        raise Refused(404, "User not found")
    if not user.is_active:
        raise Refused(400, "Inactive user")
    if user.session_version != session_version:
        raise Refused(403, "Could not validate credentials")


def check_owner(row: Shown | None, user_id: str) -> Shown:
    """Return the row if it exists and belongs to the user.

    Raises:
        Refused: It is not.
    """
    if row is None:
        raise Refused(404, "Not found")
    if row["owner_id"] != user_id:
        raise Refused(403, "Not enough permissions")
    return row


def now() -> datetime:
    """Return the time as an aware datetime in whole milliseconds."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def shown_time(time: datetime) -> str:
    """Format a UTC time as `2026-11-22T16:25:25.123Z`."""
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def shown_new(id: ObjectId, values: Shown, owner_id: str, time: datetime) -> Shown:
    """Return a new row as the response shows it."""
    return {"id": str(id), **values, "owner_id": owner_id, "created_at": shown_time(time)}


def shown_transfer(
    id: ObjectId, from_id: str, to_id: str, amount: int, note: str | None, time: datetime
) -> Shown:
    """Return a new transfer as the response shows it."""
    return {
        "id": str(id),
        "from_account_id": from_id,
        "to_account_id": to_id,
        "amount_minor": amount,
        "note": note,
        "created_at": shown_time(time),
        "idempotency_key": None,
    }
