"""The types of stored values, which are validated strictly, and the words for what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from backends.ids import is_id
from backends.models import normalise_email
from backends.models.text import storable
from backends.rows.stored import Fields, Problem


def refuse_unless(is_valid: Callable[[Any], bool], what: str) -> AfterValidator:
    """Return the rule that a value has a property, or else this description of what is wrong."""

    def check(value: Any) -> Any:
        if not is_valid(value):
            raise PydanticCustomError("rule", what)
        return value

    return AfterValidator(check)


def is_normalised(address: str) -> bool:
    """Return whether an address is stored as users' addresses are."""
    try:
        return normalise_email(address) == address
    except ValueError:
        return False


def _is_time(time: datetime) -> bool:
    """Return whether a time is in UTC and has whole milliseconds."""
    offset = time.utcoffset()
    return offset is not None and not offset and time.microsecond % 1000 == 0


def _not_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "is null")
    return value


NotNull = BeforeValidator(_not_null)
Id = Annotated[str, refuse_unless(is_id, "should be the 24 lower-case hex digits of an id")]
Time = Annotated[datetime, refuse_unless(_is_time, "should be UTC in whole milliseconds")]
Text = Annotated[str, Field(max_length=2**20), AfterValidator(storable)]
Version = Annotated[int, Field(ge=1)]


class StoredModel(BaseModel):
    """The base class of the rules for the fields of one row."""

    model_config = ConfigDict(strict=True, extra="ignore")


_SUBJECTS = re.compile("(Input|String|Value|Currency|Integer|List|Decimal input) should")


def _in_words(error: ErrorDetails) -> str:
    """Rephrase a message of pydantic so that it can follow the name of a field."""
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in {"value_error", "assertion_error"}:
        return f"breaks a rule: {error['msg'].partition(', ')[2]}"
    words = _SUBJECTS.sub("should", error["msg"], count=1)
    return words[0].lower() + words[1:]


def violations(model: type[BaseModel], fields: Fields) -> dict[str, Problem]:
    """Return the first violation of each field by its name; `""` is the row as a whole."""
    found: dict[str, Problem] = {}
    try:
        model.__pydantic_validator__.validate_python(fields)
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_context=False, include_input=False):
            place = [str(each) for each in error["loc"]]
            found.setdefault(place[0] if place else "", Problem(".".join(place), _in_words(error)))
    return found
