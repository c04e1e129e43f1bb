"""Values of any declared field: those at its bounds, and those that databases treat differently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import (
    SearchStrategy,
    characters,
    from_regex,
    from_type,
    register_type_strategy,
    text,
)
from pydantic import TypeAdapter, ValidationError

from backends.ids import read_time
from backends.models.resources import FieldSpec, Kind, Resource
from backends.models.resources.values import write_json

T = TypeVar("T")

DRAWN = 30
"""How many values Hypothesis draws where the specification can't be enumerated."""

MORE = 20
"""How many more values there are of a kind that has few edge cases: unique fields need several."""

TEXTS = (
    *("b", "a", "B", "A", "ab", "ä", "a\u0308", "é", "ß", "ss", "i", "\u0131", "İ", "\ue000", "\U0001d538"),
    *(
        "\ufffe\uffff",
        "%",
        "_",
        ".*",
        "\\",
        "it's",
        '"',
        "$a",
        "a.b",
        " ",
        "",
        "\n",
        "null",
        "1",
        "10",
        "2",
    ),
    "Straße",
)
EMAILS = ("ada@example.com", "Bob@Example.com", "zoë@example.com", "a.b+c_d%e@example.com")
TIMES = (
    datetime(2026, 11, 23, 4, 5, 6, 7_000, tzinfo=UTC),
    datetime(2026, 11, 23, 4, 5, 6, 8_000, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
)
JSON: tuple[Any, ...] = (
    {"z": 1, "a": 1.0, "$set": {"a.b": [None, True, {}, []]}, "": "\x00", "ä": "\U0001d538"},
    {"a": 1.0, "z": 1},
    {},
    {"large": 10**30, "small": 1e-300, "negative": -0.0, "number": 2**63},
)
CHARACTERS = characters(exclude_categories=["Cs"])
"""The characters that Hypothesis draws by default. It takes seconds to find them by their encoding."""

register_type_strategy(str, text(CHARACTERS))

FLOATS = (0.1 + 0.2, 1.0, -2.5, 0.0, 5e-324, 1e16, 1.7976931348623157e308, -1.7976931348623157e308)


@cache
def values_of(cls: type[Resource], name: str) -> tuple[Any, ...]:
    """Return distinct values of a field, without null, as its class validates them.

    A field of a kind that can't be enumerated has the examples that its declaration gives, and values that
    Hypothesis draws. The values of a reference are none.
    """
    field = cls.__resource__.by_name[name]
    info = cls.model_fields[name]
    annotation: Any = info.annotation
    adapter = TypeAdapter(annotation)
    found: dict[str, Any] = {}
    for value in (*(info.examples or ()), *_candidates(field), *_drawn(field, annotation)):
        try:
            valid = adapter.validate_python(value)
        except ValidationError:
            continue
        if valid is not None:
            found.setdefault(write_json(valid), valid)
    return tuple(found.values())


def _candidates(field: FieldSpec) -> Iterator[Any]:
    """Yield values, of which some may be out of the field's bounds."""
    yield from _CANDIDATES[field.kind](field)


def _texts(field: FieldSpec) -> Iterator[str]:
    yield from TEXTS
    for sign in ("x", "\U0001f600", "ΐ"):
        yield sign * (field.max_length or 0)
    yield "x" * field.min_length


def _integers(field: FieldSpec) -> Iterator[int]:
    step = field.multiple_of or 1
    first, last = -(-int(field.minimum or 0) // step) * step, int(field.maximum or 0) // step * step
    yield from (first, last, 0, step, -step, 10 * step, 9 * step, first + step, last - step)
    yield from range(first, min(last, first + MORE * step), step)


def _decimals(field: FieldSpec) -> Iterator[Decimal]:
    unit = Decimal(1).scaleb(-(field.decimal_places or 0))
    first, last = Decimal(str(field.minimum)), Decimal(str(field.maximum))
    yield from (first, last, Decimal(0), unit, -unit, 10 * unit, 9 * unit, first + unit, last - unit)
    yield from (first + number * unit for number in range(MORE))


def _floats(field: FieldSpec) -> Iterator[float]:
    bounds = [float(bound) for bound in (field.minimum, field.maximum) if bound is not None]
    yield from (*bounds, *FLOATS, *(bound / 3 for bound in bounds))
    yield from (number / MORE for number in range(MORE))


def _times(field: FieldSpec) -> Iterator[datetime]:
    bounds = [read_time(str(bound)) for bound in (field.minimum, field.maximum) if bound is not None]
    yield from (*bounds, *TIMES)
    for time in (*bounds, *TIMES[:1]):
        yield from _around(time, timedelta(milliseconds=1))


def _dates(field: FieldSpec) -> Iterator[date]:
    bounds = [
        date.fromisoformat(str(bound)) for bound in (field.minimum, field.maximum) if bound is not None
    ]
    yield from (*bounds, *(time.date() for time in TIMES))
    for day in (*bounds, TIMES[0].date()):
        yield from _around(day, timedelta(days=1))


def _around(moment: Any, step: timedelta) -> Iterator[Any]:
    """Yield moments after and before this one."""
    for number in range(1, MORE):
        with suppress(OverflowError):
            yield moment + number * step
        with suppress(OverflowError):
            yield moment - number * step


def _lists(field: FieldSpec) -> Iterator[list[Any]]:
    assert field.item is not None
    elements = [*dict.fromkeys(_candidates(field.item))]
    if field.item.pattern:
        elements = [*sampled(from_regex(field.item.pattern, alphabet=CHARACTERS), DRAWN)]
    yield []
    for place, element in enumerate(elements):
        following = elements[place - 1]
        for some in ([element], [following, element], [element, following, element]):
            yield some
            yield (some * field.min_length)[: field.min_length]
        yield [element] * (field.max_length or 0)


_CANDIDATES: Mapping[Kind, Callable[[FieldSpec], Iterable[Any]]] = {
    "text": _texts,
    "email": lambda _: (*EMAILS, *(f"user{number}@example.com" for number in range(MORE))),
    "boolean": lambda _: (True, False),
    "choice": lambda field: field.choices,
    "integer": _integers,
    "decimal": _decimals,
    "float": _floats,
    "time": _times,
    "date": _dates,
    "reference": lambda _: (),
    "list": _lists,
    "json": lambda _: JSON,
}


def _drawn(field: FieldSpec, annotation: Any) -> tuple[Any, ...]:
    if field.kind == "text" and field.pattern:
        return sampled(from_regex(field.pattern, alphabet=CHARACTERS), DRAWN)
    if field.kind == "json" and "dict[" not in str(annotation):
        return sampled(from_type(annotation), DRAWN)
    return ()


def sampled(strategy: SearchStrategy[T], number: int) -> tuple[T, ...]:
    """Return values of a strategy, the same each time."""
    found: list[T] = []

    @settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return tuple(found)
