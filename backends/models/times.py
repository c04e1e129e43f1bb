"""Time bounds of filters, in whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime
from pydantic_core import PydanticCustomError

_MILLISECOND = timedelta(milliseconds=1)


def whole_milliseconds(time: datetime) -> datetime:
    """Return an aware time in UTC, rounded down to a millisecond, the precision of every backend.

    Stored times after the result are exactly those after `time`.
    """
    utc = _in_utc(time)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def whole_milliseconds_up(time: datetime) -> datetime:
    """Return an aware time in UTC, rounded up to a millisecond.

    Stored times before the result are exactly those before `time`.
    """
    whole = whole_milliseconds(time)
    return whole if whole == time else _shifted(whole, _MILLISECOND)


def _in_utc(time: datetime) -> datetime:
    return _shifted(time.replace(tzinfo=UTC), -(time.utcoffset() or timedelta()))


def _shifted(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        raise PydanticCustomError("time_range", "Time should be in the years 1 to 9999 of UTC") from None


TimeAfter = Annotated[AwareDatetime, AfterValidator(whole_milliseconds)]
TimeBefore = Annotated[AwareDatetime, AfterValidator(whole_milliseconds_up)]
