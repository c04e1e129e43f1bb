"""Identity and time: made here, by the application, in one form for every backend.

An id is an ObjectId (https://www.mongodb.com/docs/manual/reference/bson-types/#objectid): 12 bytes,
made without asking the database, rising roughly with time. The domain and the API show it as 24
lower-case hex digits; MongoDB stores the native type and SQL the 12 raw bytes, and all three sort alike.
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
    """Return a fresh id: 24 lower-case hex digits."""
    return str(ObjectId())


def is_id(text: str) -> bool:
    """Tell whether the text can be an id at all. One that can't is treated as one that is unknown."""
    return _ID.fullmatch(text) is not None


def utc_now() -> datetime:
    """Return the time as every backend can keep it: aware, UTC, whole milliseconds (BSON's limit)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def write_time(time: datetime) -> str:
    """Write an aware UTC time as `2026-11-22T16:25:25.123Z`, three digits always."""
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def read_time(text: str) -> datetime:
    """Read what `write_time` wrote."""
    return datetime.fromisoformat(text)
