"""Keyset pagination: cursors and pages of lists.

A cursor is an opaque, signed text. It contains a sort key and an id, and is valid on any backend.
"""

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


def encode_cursor(position: Position | None, name: ListName, sort: Sort, settings: Settings) -> str | None:
    """Return the cursor for a position in a list with this sort order; None at the end of the list."""
    if position is None:
        return None
    claims = {"list": name, "sort": sort, "key": _encode_key(position.key), "id": position.id}
    return sign(claims, "cursor", settings)


def decode_cursor(cursor: str | None, name: ListName, sort: Sort, settings: Settings) -> Position | None:
    """Return the position that a cursor contains; None without a cursor.

    Raises:
        RequestValidationError: The cursor is not signed by this service, or belongs to another list or
            sort order.
    """
    if cursor is None:
        return None
    try:
        claims = unsign(cursor, "cursor", settings)
        if (claims["list"], claims["sort"]) == (name, sort) and is_id(claims["id"]):
            return Position(_decode_key(claims["key"], sort), claims["id"])
    except (jwt.InvalidTokenError, KeyError, TypeError, OverflowError):
        pass
    message = f"Cursor should be the next_cursor of a page of {name} with sort={sort}"
    raise RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])


def list_arguments(query: ListQuery, name: ListName, settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments for a repository's list method.

    Raises:
        RequestValidationError: The cursor does not belong to this list and sort order.
    """
    return {
        "where": query.where,
        "sort": query.sort,
        "skip": query.skip,
        "limit": query.limit,
        "after": decode_cursor(query.cursor, name, query.sort, settings),
        "count": query.count == "exact",
    }


def page_response(page: Page[Any], query: ListQuery, name: ListName, settings: Settings) -> Response:
    """Return the response for a page.

    The rows contain JSON types only, so they are serialised directly. A response model would validate every
    value again.
    """
    fields = _PUBLIC_FIELDS[name]
    rows = [{field: row[field] for field in fields} for row in page.rows]
    content = {
        "data": rows,
        "count": page.count,
        "next_cursor": encode_cursor(page.next, name, query.sort, settings),
    }
    try:
        return Response(to_json(content), media_type="application/json")
    except PydanticSerializationError as exc:
        raise _unserialisable(rows, name) from exc


def _unserialisable(rows: list[dict[str, Any]], name: ListName) -> Exception:
    """Return an error that names the row and the field that can't be serialised."""
    for row in rows:
        for field, value in row.items():
            try:
                to_json(value)
            except PydanticSerializationError:
                return UnreadableRow(name, str(row["id"]), f'field "{field}" is not a JSON value')
    raise AssertionError("each row can be serialised on its own")


_PUBLIC_FIELDS: dict[ListName, tuple[str, ...]] = {
    "users": tuple(UserPublic.model_fields),
    "items": tuple(ItemPublic.model_fields),
    "accounts": tuple(AccountPublic.model_fields),
    "transfers": tuple(TransferPublic.model_fields),
}


def _encode_key(key: datetime | str) -> int | str:
    return key if isinstance(key, str) else (key - _EPOCH) // _MILLISECOND


def _decode_key(key: Any, sort: Sort) -> datetime | str:
    if sort.endswith("created_at"):
        return _EPOCH + timedelta(milliseconds=key)
    if not isinstance(key, str):
        raise TypeError
    return key
