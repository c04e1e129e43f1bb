"""Ids and times. The application creates them in the same form for every backend.

An id is an ObjectId (https://www.mongodb.com/docs/manual/reference/bson-types/#objectid): 12 bytes,
created without the database, roughly ascending with time. The domain and the API use 24 lower-case hex
digits, MongoDB stores the native type, and SQL stores the 12 raw bytes. All three sort in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from bson import ObjectId

Clock = Callable[[], datetime]
IdSource = Callable[[], str]

_ID = re.compile(r"[0-9a-f]{24}")


def new_id() -> str:
    """Return a new id: 24 lower-case hex digits."""
    return str(ObjectId())


def is_id(text: str) -> bool:
    """Return whether the text is a well-formed id. Malformed ids are treated as unknown."""
    return _ID.fullmatch(text) is not None


def utc_now() -> datetime:
    """Return the current time: aware, UTC, whole milliseconds (the precision of BSON)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def write_time(time: datetime) -> str:
    """Format an aware UTC time as `2026-11-22T16:25:25.123Z`, always with milliseconds."""
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def read_time(text: str) -> datetime:
    """Parse a time in the format of `write_time`."""
    return datetime.fromisoformat(text)
