"""Cursors: a position in a list as an opaque, signed text that is valid on any backend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticSerializationError, to_json

from api.schemas import (
    AccountListQuery,
    AccountPublic,
    ItemListQuery,
    ItemPublic,
    TransferListQuery,
    TransferPublic,
    UserListQuery,
    UserPublic,
)
from api.security import sign, unsign
from backends.errors import UnreadableRow
from backends.ids import is_id
from backends.models import AccountSort, ItemSort, Page, Position, TransferSort, UserSort
from config import Settings

ListName = Literal["users", "items", "accounts", "transfers"]
ListQuery = UserListQuery | ItemListQuery | AccountListQuery | TransferListQuery
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


def window_of(query: ListQuery, name: ListName, settings: Settings) -> dict[str, Any]:
    """Return what a repository's method for lists has to be told: which rows, in which order, which part.

    Raises:
        RequestValidationError: The cursor is not one of this list and order.
    """
    return {
        "where": query.where,
        "sort": query.sort,
        "skip": query.skip,
        "limit": query.limit,
        "after": read_cursor(query.cursor, name, query.sort, settings),
        "count": query.count == "exact",
    }


def shown_page(page: Page[Any], query: ListQuery, name: ListName, settings: Settings) -> Response:
    """Return the answer that shows a page.

    Its rows are in the types of JSON already: what is shown of each is written as it is, where a response
    model would look at every value.
    """
    fields = _SHOWN[name]
    rows = [{field: row[field] for field in fields} for row in page.rows]
    shown = {
        "data": rows,
        "count": page.count,
        "next_cursor": write_cursor(page.next, name, query.sort, settings),
    }
    try:
        return Response(to_json(shown), media_type="application/json")
    except PydanticSerializationError as exc:
        raise _unwritable(rows, name) from exc


def _unwritable(rows: list[dict[str, Any]], name: ListName) -> Exception:
    """Name the row and the field that JSON can't have."""
    for row in rows:
        for field, value in row.items():
            try:
                to_json(value)
            except PydanticSerializationError:
                return UnreadableRow(name, str(row["id"]), f'field "{field}" is no value of JSON')
    raise AssertionError("each row by itself can be written")


_SHOWN: dict[ListName, tuple[str, ...]] = {
    "users": tuple(UserPublic.model_fields),
    "items": tuple(ItemPublic.model_fields),
    "accounts": tuple(AccountPublic.model_fields),
    "transfers": tuple(TransferPublic.model_fields),
}


def _written_key(key: datetime | str) -> int | str:
    return key if isinstance(key, str) else (key - _EPOCH) // _MILLISECOND


def _read_key(key: Any, sort: Sort) -> datetime | str:
    if sort.endswith("created_at"):
        return _EPOCH + timedelta(milliseconds=key)
    if not isinstance(key, str):
        raise TypeError
    return key
