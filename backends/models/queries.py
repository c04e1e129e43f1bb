"""Values in a query string: texts that pydantic would accept in more forms than the documented ones."""

from __future__ import annotations

import re

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _query_text(pattern: str, error_type: str, message: str) -> BeforeValidator:
    """Reject undocumented forms of a value in a query, such as `yes` for true, which pydantic accepts."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError(error_type, message)
        return value

    return BeforeValidator(check)


PLUS_HINT = "in a query a + stands for a blank; write it as %2B"


def _check_query_time(value: object) -> object:
    """Reject numbers, which pydantic would parse as Unix time in seconds or milliseconds."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-", value):
        raise PydanticCustomError("datetime_parsing", "Input should be a time such as 2026-11-22T16:25:25Z")
    if isinstance(value, str) and re.search(r":.* [0-9]{2}:?[0-9]{2}$", value):
        raise PydanticCustomError(
            "datetime_parsing", f"Input should have the sign of its zone: {PLUS_HINT}"
        )
    return value


QueryBool = _query_text("true|false", "bool_parsing", "Input should be true or false")
QueryInt = _query_text("-?[0-9]+", "int_parsing", "Input should be an integer in digits such as 100")
QueryTime = BeforeValidator(_check_query_time)
QueryFloat = _query_text(
    r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", "float_parsing", "Input should be a number such as 1.5"
)
