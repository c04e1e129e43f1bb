"""Cursors: a position in a list as an opaque, signed text that is valid on any backend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import jwt
from fastapi.exceptions import RequestValidationError

from api.security import sign, unsign
from backends.ids import is_id
from backends.models import Position
from config import Settings

ListName = Literal["users", "items"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def write_cursor(position: Position | None, name: ListName, settings: Settings) -> str | None:
    """Return the cursor of a position in the list of this name; None where the list ends."""
    if position is None:
        return None
    milliseconds = (position.created_at - _EPOCH) // _MILLISECOND
    return sign({"list": name, "at": milliseconds, "id": position.id}, "cursor", settings)


def read_cursor(cursor: str | None, name: ListName, settings: Settings) -> Position | None:
    """Return the position that a cursor of this list stands for; None for the start.

    Raises:
        RequestValidationError: It was not made here, or belongs to another list.
    """
    if cursor is None:
        return None
    try:
        claims = unsign(cursor, "cursor", settings)
        if claims["list"] == name and is_id(claims["id"]):
            return Position(_EPOCH + claims["at"] * _MILLISECOND, claims["id"])
    except (jwt.InvalidTokenError, KeyError, TypeError, OverflowError):
        pass
    message = f"Cursor should be the next_cursor of a page of {name}"
    raise RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])
