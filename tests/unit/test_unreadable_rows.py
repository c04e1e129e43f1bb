"""A row that can't be written as JSON is named, so that an operator finds it."""

from __future__ import annotations

import pytest

from api.cursors import page_response
from api.schemas import ListQuery
from backends.errors import UnreadableRow
from backends.models import Item, Page, Row
from tests.provision import make_settings

GOOD: Row = {
    "id": "1" * 24,
    "title": "é",
    "description": None,
    "owner_id": "2" * 24,
    "created_at": "2026-11-22T16:25:25.123Z",
    "version": 1,
}


@pytest.mark.parametrize("field", ["title", "description", "created_at"])
def test_row_that_is_no_json_is_named(field: str) -> None:
    """By its id and the field, wherever it stands in the page."""
    bad = {**GOOD, "id": "3" * 24, field: b"\xff"}
    page = Page(rows=[GOOD, bad, GOOD], record=Item, count=3, next=None)
    with pytest.raises(UnreadableRow, match=f'3{{24}}.*"{field}"'):
        page_response(page, ListQuery(), "items", make_settings(), public=Item.__resource__.public)
