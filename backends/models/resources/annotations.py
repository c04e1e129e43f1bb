"""Reads the annotation of a field: which kind it is, and its bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, TypeAlias, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, EmailStr, JsonValue

from backends.models.resources.constraints import Constraints, bounds_of, flatten
from backends.models.resources.errors import DeclarationError
from backends.models.resources.kinds import (
    KINDS,
    MAX_CHOICE_LENGTH,
    MAX_CHOICES,
    MAX_DIGITS,
    MAX_ELEMENTS,
    MAX_INTEGER,
    MAX_LONG,
    MAX_TEXT,
)
from backends.models.resources.markers import Marker, Reference
from backends.models.resources.spec import ON_DELETE, FieldSpec, Kind
from backends.models.resources.values import to_json
from backends.models.text import EMAIL_MAX_LENGTH

_KINDS_FOR_PEOPLE = (
    "str, EmailStr, bool, Literal or StrEnum, int, Decimal, float, datetime, date, list, a BaseModel or "
    "dict[str, JsonValue], each also with `| None`"
)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


def read_kind(
    place: str, name: str, annotation: Any, constraints: Constraints, markers: Sequence[Marker]
) -> FieldSpec:
    """Return what the annotation of a field says: its kind and its bounds.

    Raises:
        DeclarationError: No kind has such values, or a constraint does not fit the kind.
    """
    reference = next((each for each in markers if isinstance(each, Reference)), None)
    if reference is not None:
        return _reference(place, name, annotation, reference)
    for is_read, read in _READERS:
        if is_read(annotation):
            spec = read(place, name, annotation, constraints)
            constraints.check_empty(spec.kind)
            return spec
    shown = getattr(annotation, "__name__", str(annotation))
    raise DeclarationError(place, f"no database stores {shown} alike", f"use {_KINDS_FOR_PEOPLE}")


def _plain(kind: Kind, **values: Any) -> _Read:
    """Return the reader of a kind whose fields have no constraints."""

    def read(_place: str, name: str, _annotation: Any, _constraints: Constraints) -> FieldSpec:
        return FieldSpec(name=name, column=name, kind=kind, **values)

    return read


def _text(place: str, name: str, _annotation: Any, constraints: Constraints) -> FieldSpec:
    most, least = constraints.take("max_length"), constraints.take("min_length", 0)
    pattern = constraints.take("pattern")
    pattern = getattr(pattern, "pattern", pattern)
    if most is None and pattern is not None:
        most = _longest_match(pattern)
    if most is None:
        raise DeclarationError(place, "a text needs a bound", "write Annotated[str, Field(max_length=255)]")
    if not 1 <= most <= MAX_TEXT or not 0 <= least <= most:
        raise DeclarationError(
            place, f"{least} to {most} code points can't be", f"let max_length be 1 to {MAX_TEXT}"
        )
    return FieldSpec(
        name=name, column=name, kind="text", min_length=least, max_length=most, pattern=pattern
    )


def _longest_match(pattern: str) -> int | None:
    """Return the length of the longest text that an anchored pattern matches; None if there is no bound."""
    try:
        parsed = vars(re)["_parser"].parse(pattern)
        (first, _), (last, _) = parsed[0], parsed[-1]
        most = int(parsed.getwidth()[1])
    except (AttributeError, IndexError, ValueError, re.error):
        return None
    is_anchored = str(first) == "AT" and str(last) == "AT" and pattern[:1] == "^" and pattern[-1:] == "$"
    return most if is_anchored and most <= MAX_TEXT else None


def _choice(place: str, name: str, annotation: Any, _constraints: Constraints) -> FieldSpec:
    choices = get_args(annotation) or tuple(annotation)
    if not all(isinstance(each, str) for each in choices):
        raise DeclarationError(
            place, "a choice is one of several texts", 'write Literal["draft", "published"]'
        )
    texts = tuple(map(str, choices))
    if not 1 <= len(texts) <= MAX_CHOICES or not all(1 <= len(text) <= MAX_CHOICE_LENGTH for text in texts):
        raise DeclarationError(
            place,
            "the choices are too many, too long or empty",
            f"let there be 1 to {MAX_CHOICES} of 1 to {MAX_CHOICE_LENGTH} code points",
        )
    if any("\x00" in text or not _is_unicode(text) for text in texts):
        raise DeclarationError(place, "a choice has a sign that no database stores", "leave it out")
    return FieldSpec(name=name, column=name, kind="choice", choices=texts, max_length=max(map(len, texts)))


def _integer(place: str, name: str, _annotation: Any, constraints: Constraints) -> FieldSpec:
    least, most = bounds_of(constraints, step=1)
    least = None if least is None else int(least) if least == int(least) else least
    most = None if most is None else int(most) if most == int(most) else most
    least = -MAX_INTEGER if least is None else least
    most = MAX_INTEGER if most is None else most
    if (
        not all(isinstance(each, int) for each in (least, most))
        or not -MAX_LONG <= least <= most <= MAX_LONG
    ):
        raise DeclarationError(
            place, f"the bounds {least} to {most} can't be", "give integers of 64 bits, the least one first"
        )
    factor = constraints.take("multiple_of")
    if factor is not None and (
        not isinstance(factor, int) or factor < 1 or most // factor * factor < least
    ):
        raise DeclarationError(
            place,
            f"no value is a multiple of {factor}",
            "give a positive integer with one within the bounds",
        )
    return FieldSpec(
        name=name, column=name, kind="integer", minimum=least, maximum=most, multiple_of=factor
    )


def _decimal(place: str, name: str, _annotation: Any, constraints: Constraints) -> FieldSpec:
    digits, places = constraints.take("max_digits"), constraints.take("decimal_places")
    if digits is None or places is None or not 1 <= digits <= MAX_DIGITS or not 0 <= places <= digits:
        raise DeclarationError(
            place,
            "a Decimal needs its digits",
            f"write Field(max_digits=12, decimal_places=2), with at most {MAX_DIGITS} digits",
        )
    constraints.convert(lambda bound: Decimal(str(bound)))
    unit = Decimal(1).scaleb(-places)
    largest = (10**digits - 1) * unit
    least, most = bounds_of(constraints, step=unit)
    least = -largest if least is None else max(-largest, _ceiling(Decimal(str(least)), unit))
    most = largest if most is None else min(largest, -_ceiling(-Decimal(str(most)), unit))
    if least > most:
        raise DeclarationError(place, f"no value is {least} to {most}", "give bounds, the least one first")
    return FieldSpec(
        name=name,
        column=name,
        kind="decimal",
        max_digits=digits,
        decimal_places=places,
        minimum=f"{least:.{places}f}",
        maximum=f"{most:.{places}f}",
    )


def _ceiling(value: Decimal, unit: Decimal) -> Decimal:
    return math.ceil(value / unit) * unit


def _float(place: str, name: str, _annotation: Any, constraints: Constraints) -> FieldSpec:
    constraints.convert(float)
    least, most = constraints.take("ge"), constraints.take("le")
    above, below = constraints.take("gt"), constraints.take("lt")
    if above is not None:
        least = max(math.nextafter(above, math.inf), -math.inf if least is None else least)
    if below is not None:
        most = min(math.nextafter(below, -math.inf), math.inf if most is None else most)
    bounds = [-math.inf if least is None else least, math.inf if most is None else most]
    given = [bound for bound in (least, most) if bound is not None]
    if not all(map(math.isfinite, given)) or bounds[0] > bounds[1]:
        raise DeclarationError(place, f"no value is {least} to {most}", "give bounds, the least one first")
    return FieldSpec(
        name=name,
        column=name,
        kind="float",
        minimum=None if least is None else float(least),
        maximum=None if most is None else float(most),
    )


def _moment(place: str, name: str, annotation: Any, constraints: Constraints) -> FieldSpec:
    is_date = annotation is date
    least, most = bounds_of(constraints, step=_DAY if is_date else _MILLISECOND)
    for bound in (least, most):
        if bound is not None and not isinstance(bound, date):
            raise DeclarationError(
                place, f"the bound {bound!r} is of another type", "give a date or datetime"
            )
        if isinstance(bound, datetime) is is_date and bound is not None:
            raise DeclarationError(
                place,
                f"the bound {bound} is of another type",
                f"give a {'date' if is_date else 'datetime'}",
            )
        if isinstance(bound, datetime) and bound.tzinfo is None:
            raise DeclarationError(place, f"the bound {bound} has no time zone", "add tzinfo=UTC")
    if least is not None and most is not None and least > most:
        raise DeclarationError(place, f"no value is {least} to {most}", "give bounds, the least one first")
    return FieldSpec(
        name=name,
        column=name,
        kind="date" if is_date else "time",
        minimum=None if least is None else to_json(least),
        maximum=None if most is None else to_json(most),
    )


def _reference(place: str, name: str, annotation: Any, reference: Reference) -> FieldSpec:
    if annotation is not str:
        raise DeclarationError(
            place, "a reference is the id of a row", 'write Annotated[str, Reference("users")]'
        )
    if not isinstance(reference.target, str):
        raise DeclarationError(
            place, f"the target {reference.target!r} is no path", 'write Reference("users"), with the path'
        )
    if reference.on_delete not in ON_DELETE:
        raise DeclarationError(
            place, f"on_delete={reference.on_delete!r} can't be", f"give one of {', '.join(ON_DELETE)}"
        )
    return FieldSpec(
        name=name,
        column=name,
        kind="reference",
        min_length=24,
        max_length=24,
        target=reference.target.replace("-", "_"),
        on_delete=reference.on_delete,
    )


def _list(place: str, name: str, annotation: Any, constraints: Constraints) -> FieldSpec:
    most, least = constraints.take("max_length"), constraints.take("min_length", 0)
    if most is None or not 1 <= most <= MAX_ELEMENTS or not 0 <= least <= most:
        raise DeclarationError(
            place, "a list needs a bound", f"write Field(max_length=20), of at most {MAX_ELEMENTS}"
        )
    inner, metadata, nullable = flatten(get_args(annotation)[0])
    others = [each for each in metadata if not isinstance(each, Marker)]
    item = read_kind(f"{place}[]", "item", inner, Constraints(f"{place}[]", others), ())
    if nullable or len(others) < len(metadata) or not KINDS[item.kind].is_element:
        raise DeclarationError(
            place,
            "the elements can't be that",
            "let them be bounded texts, integers or choices, without null and without markers",
        )
    return FieldSpec(
        name=name,
        column=name,
        kind="list",
        min_length=least,
        max_length=most,
        item=item,
    )


def _is_choice(annotation: Any) -> bool:
    is_enumeration = isinstance(annotation, type) and issubclass(annotation, StrEnum)
    return get_origin(annotation) is Literal or is_enumeration


def _is_json(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return not hasattr(annotation, "__resource__")
    return get_origin(annotation) is dict and get_args(annotation) == (str, JsonValue)


_Read: TypeAlias = Callable[[str, str, Any, Constraints], FieldSpec]

_READERS: tuple[tuple[Callable[[Any], bool], _Read], ...] = (
    (lambda annotation: annotation is str, _text),
    (lambda annotation: annotation is EmailStr, _plain("email", min_length=3, max_length=EMAIL_MAX_LENGTH)),
    (lambda annotation: annotation is bool, _plain("boolean")),
    (_is_choice, _choice),
    (lambda annotation: annotation is int, _integer),
    (lambda annotation: annotation is Decimal, _decimal),
    (lambda annotation: annotation is float, _float),
    (lambda annotation: annotation in {date, datetime, AwareDatetime}, _moment),
    (lambda annotation: get_origin(annotation) is list, _list),
    (_is_json, _plain("json")),
)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
