"""Cursors: a position in a list as an opaque, signed text that is valid on any backend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from fastapi.exceptions import RequestValidationError

from api.security import sign, unsign
from backends.ids import is_id
from backends.models import AccountSort, ItemSort, Position, TransferSort, UserSort
from config import Settings

ListName = Literal["users", "items", "accounts", "transfers"]
Sort = UserSort | ItemSort | AccountSort | TransferSort

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def write_cursor(position: Position | None, name: ListName, sort: Sort, settings: Settings) -> str | None:
    """Return the cursor of a position in the list of this name and order; None where the list ends."""
    if position is None:
        return None
    claims = {"list": name, "sort": sort, "key": _written_key(position.key), "id": position.id}
    return sign(claims, "cursor", settings)


def read_cursor(cursor: str | None, name: ListName, sort: Sort, settings: Settings) -> Position | None:
    """Return the position that a cursor of this list and order stands for; None for the start.

    Raises:
        RequestValidationError: It was not made here, or belongs to another list or order.
    """
    if cursor is None:
        return None
    try:
        claims = unsign(cursor, "cursor", settings)
        if (claims["list"], claims["sort"]) == (name, sort) and is_id(claims["id"]):
            return Position(_read_key(claims["key"], sort), claims["id"])
    except (jwt.InvalidTokenError, KeyError, TypeError, OverflowError):
        pass
    message = f"Cursor should be the next_cursor of a page of {name} with sort={sort}"
    raise RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])


def _written_key(key: datetime | str) -> int | str:
    return key if isinstance(key, str) else (key - _EPOCH) // _MILLISECOND


def _read_key(key: Any, sort: Sort) -> datetime | str:
    if sort.endswith("created_at"):
        return _EPOCH + timedelta(milliseconds=key)
    if not isinstance(key, str):
        raise TypeError
    return key
