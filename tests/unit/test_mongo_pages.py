"""Positions in lists of documents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from backends.models import Position
from backends.models.resources import FieldSpec
from backends.mongo.documents import encoder_of
from backends.mongo.pages import Order


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_position_at_a_time_is_in_utc_wherever_the_process_runs() -> None:
    """A time without its zone would be taken for local time."""
    encode = encoder_of(FieldSpec(name="at", column="at", kind="time"))
    order = Order("at", descending=False, encode=encode)
    behind = order.behind(Position(datetime(2026, 1, 1, tzinfo=UTC), "1" * 24))
    assert behind["at"] == {"$gte": datetime(2026, 1, 1)}  # noqa: DTZ001 - as the driver takes it
