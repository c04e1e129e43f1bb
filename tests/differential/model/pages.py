"""Pages of lists: filter, order and slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unicodedata import normalize

from tests.differential.model.calls import Call
from tests.differential.model.responses import NOT_PRIVILEGED, Expected, Refusal, invalid, success
from tests.differential.model.state import EPOCH, Entry, Row, State, User
from tests.differential.model.validation import faults_of_query, time_of


def rows_of_owner(rows: Sequence[Row], owner_id: str | None) -> list[Row]:
    """Return the rows of an owner, or all."""

    def concerns(row: Row) -> bool:
        return (
            owner_id in row.owners if isinstance(row, Entry) else getattr(row, "owner_id", "") == owner_id
        )

    return [row for row in rows if owner_id is None or concerns(row)]


def page_for(state: State, call: Call, name: str, rows: Sequence[Row]) -> Expected:
    """Return a page of the caller's rows, or of any rows for a superuser."""
    caller: User = state.caller(call)
    query = dict(call.query)
    if faults := faults_of_query(query, name):
        return invalid(faults)
    owner_id = query.get("owner_id")
    if not caller.is_superuser:
        if owner_id not in {None, caller.id}:
            return NOT_PRIVILEGED
        owner_id = caller.id
    return page_of(state, call, name, rows_of_owner(rows, owner_id))


def page_of(state: State, call: Call, name: str, rows: Sequence[Row]) -> Expected:
    """Return a page of these rows."""
    query = dict(call.query)
    if faults := faults_of_query(query, name):
        return invalid(faults)
    sort = query.get("sort", "-created_at")
    field, descending = sort.removeprefix("-"), sort.startswith("-")
    # An address is unique, so it alone is the order.
    by_id = field != "email"

    def place(key: Any, id_: str) -> tuple[Any, ...]:
        return (key, id_) if by_id else (key,)

    def place_of(row: Row) -> tuple[Any, ...]:
        return place(getattr(row, field), row.id)

    fitting = sorted((row for row in rows if _fits(row, query)), key=place_of, reverse=descending)
    count = len(fitting) if query.get("count") != "none" else None
    if "cursor" in query:
        of_list, of_sort, key, id_ = state.cursors.get(query["cursor"], ("", "", "", ""))
        if (of_list, of_sort) != (name, sort):
            raise Refusal(invalid([["query", "cursor"]]))
        behind = place(key, id_)
        fitting = [
            row for row in fitting if (place_of(row) < behind if descending else place_of(row) > behind)
        ]
    skip, limit = int(query.get("skip", 0)), int(query.get("limit", 100))
    shown, rest = fitting[skip : skip + limit], fitting[skip + limit :]
    following = _cursor(state, name, sort, shown[-1]) if shown and rest else None
    return success({"data": [row.shown for row in shown], "count": count, "next_cursor": following})


def _cursor(state: State, name: str, sort: str, row: Row) -> str:
    key = getattr(row, sort.removeprefix("-"))
    shown = key if isinstance(key, str) else (key - EPOCH) // timedelta(milliseconds=1)
    cursor = state.sign_cursor(name, sort, [row.id, shown])
    state.cursors[cursor] = (name, sort, key, row.id)
    return cursor


def _folded(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


def _fits(row: Row, query: dict[str, str]) -> bool:
    """Return whether a row matches every filter of the query."""
    after, before = time_of(query.get("created_after", "")), time_of(query.get("created_before", ""))
    exact = {name: query[name] for name in ("title", "currency") if name in query}
    if "is_active" in query and getattr(row, "is_active", None) is not (query["is_active"] == "true"):
        return False
    if any(getattr(row, name) != value for name, value in exact.items()):
        return False
    if "q" in query:
        texts = (getattr(row, "title", None), getattr(row, "description", None))
        if not any(_folded(query["q"]) in _folded(text) for text in texts if text is not None):
            return False
    return (after is None or row.created_at > after) and (before is None or row.created_at < before)
