"""What each kind of field accepts: pydantic metadata that makes every backend store the same value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from annotated_types import Ge, Le
from pydantic import AfterValidator, AllowInfNan, BaseModel, BeforeValidator, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from backends.ids import read_time, write_time
from backends.models.resources.kinds import MAX_JSON_BYTES, MAX_JSON_DEPTH
from backends.models.resources.spec import FieldSpec, Kind
from backends.models.text import EMAIL_RULES, storable
from backends.models.times import whole_milliseconds

_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def metadata_of(field: FieldSpec) -> list[Any]:
    """Return the metadata that follows what the declaration says about the field."""
    if field.kind == "integer":
        bounds: tuple[Any, Any] = (field.minimum, field.maximum)
        return [Strict(), Ge(bounds[0]), Le(bounds[1])]
    if field.kind == "decimal":
        places = field.decimal_places or 0
        return [AfterValidator(_scaled(places)), BeforeValidator(_decimal_text), _given_decimal(field)]
    return _METADATA.get(field.kind, [])


def to_json(value: Any) -> Any:
    """Return the value of a field in JSON types."""
    match value:
        case datetime():
            return write_time(value)
        case date():
            return value.isoformat()
        case Decimal() | str():
            # `str` writes 0.00000001 as 1E-8. A member of a StrEnum is a plain text in JSON.
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        case BaseModel():
            return value.model_dump(mode="json")
        case list():
            return [to_json(each) for each in value]
        case _:
            return value


FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "time": read_time,
    "date": date.fromisoformat,
    "decimal": Decimal,
}
"""The functions from the JSON values of a kind to Python; a kind without one has the same value in both."""


def scaled_text(places: int) -> Callable[[int], str]:
    """Return the function from a stored decimal, the value times 10 to `places`, to its text in JSON.

    Lists write every row with it. `Decimal` would take three times as long.
    """
    if not places:
        return lambda scaled: f"{scaled:d}"
    unit = 10**places

    def write(scaled: int) -> str:
        whole, fraction = divmod(abs(scaled), unit)
        return f"{'-' if scaled < 0 else ''}{whole:d}.{fraction:0{places}d}"

    return write


def _without_negative_zero(number: float) -> float:
    return number + 0.0


def _decimal_text(value: object) -> object:
    """Accept an exact number only. A JSON number with a point was a binary fraction on its way."""
    is_exact = isinstance(value, Decimal | int) and not isinstance(value, bool)
    if is_exact or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        return value
    raise PydanticCustomError(
        "decimal_text", "Input should be a decimal number in a string, such as '12.50'"
    )


def _scaled(places: int) -> Callable[[Decimal], Decimal]:
    unit = Decimal(1).scaleb(-places)

    def scale(value: Decimal) -> Decimal:
        return value.quantize(unit) + 0  # + 0: no negative zero

    return scale


def _given_decimal(field: FieldSpec) -> WithJsonSchema:
    """Return the JSON schema of a value that a client gives: decimal places may be missing."""
    places = field.decimal_places or 0
    sign = "-?" if field.minimum is None or Decimal(field.minimum) < 0 else ""
    digits = (field.max_digits or 0) - places
    whole = f"[0-9]{{1,{digits}}}" if digits > 0 else "0"
    point = rf"(\.[0-9]{{1,{places}}})?" if places else ""
    return _decimal_schema(f"^{sign}{whole}{point}$")


def served_decimal(field: FieldSpec) -> WithJsonSchema:
    """Return the JSON schema of a value in responses: it has all decimal places."""
    point = rf"\.[0-9]{{{field.decimal_places}}}" if field.decimal_places else ""
    return _decimal_schema(f"^-?[0-9]+{point}$")


def _decimal_schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": "decimal", "pattern": pattern})


def _time_text(value: object) -> object:
    """Refuse numbers, and texts of them, which pydantic would take for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and re.match(r"[0-9]{4}-", value)):
        return value
    raise PydanticCustomError("datetime_parsing", "Input should be a time such as 2026-11-22T16:25:25Z")


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise PydanticCustomError("timezone_aware", "Input should have timezone info")
    return time


def _date_text(value: object) -> object:
    is_date = isinstance(value, date) and not isinstance(value, datetime)
    if is_date or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("date_parsing", "Input should be a date such as 2026-11-22")


def write_json(value: Any) -> str:
    """Return an opaque value as the text that is stored: compact, with the keys in their order."""
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _bounded(value: Any) -> Any:
    try:
        size = len(write_json(value).encode())
    except (ValueError, RecursionError):  # also UnicodeEncodeError
        raise PydanticCustomError(
            "json_value", "Input should be a JSON value: finite numbers, and text without lone surrogates"
        ) from None
    if size > MAX_JSON_BYTES:
        raise PydanticCustomError(
            "json_too_large",
            "Value should have at most {most} bytes of JSON, not {size}",
            {"most": MAX_JSON_BYTES, "size": size},
        )
    if _depth(to_json(value)) > MAX_JSON_DEPTH:
        raise PydanticCustomError(
            "json_too_deep", "Value should have at most {most} levels", {"most": MAX_JSON_DEPTH}
        )
    return value


def _depth(value: Any) -> int:
    """Return the levels of arrays and objects, without recursion."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


_METADATA: Mapping[Kind, list[Any]] = {
    "text": [AfterValidator(storable)],
    "reference": [AfterValidator(storable)],
    "email": [*EMAIL_RULES],
    "boolean": [Strict()],
    "float": [Strict(), AllowInfNan(allow_inf_nan=False), AfterValidator(_without_negative_zero)],
    "time": [AfterValidator(_aware), AfterValidator(whole_milliseconds), BeforeValidator(_time_text)],
    "date": [BeforeValidator(_date_text)],
    "json": [AfterValidator(_bounded)],
}
