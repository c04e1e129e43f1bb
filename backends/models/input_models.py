"""What all input models share."""

from __future__ import annotations

from typing import TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

T = TypeVar("T")


class InputModel(BaseModel):
    """What comes in: checked when it is built, and frozen."""

    model_config = ConfigDict(frozen=True)


def _not_null(value: T) -> T:
    """Refuse an explicit null in a field that may only be left out."""
    if value is None:
        raise PydanticCustomError("not_null", "Field may be left out but not be null")
    return value


class _NotNull(AfterValidator):
    """Refuses null, and leaves it out of the JSON schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the one alternative that is not null."""
        (alternative,) = (each for each in handler(schema)["anyOf"] if each != {"type": "null"})
        return cast("JsonSchemaValue", alternative)


NotNull = _NotNull(_not_null)
