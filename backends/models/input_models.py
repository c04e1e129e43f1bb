"""The base class of the input models."""

from __future__ import annotations

from typing import TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

T = TypeVar("T")


class InputModel(BaseModel):
    """An input model: validated when it is created, and frozen."""

    model_config = ConfigDict(frozen=True)


def _not_null(value: T) -> T:
    """Reject an explicit null in an optional field."""
    if value is None:
        raise PydanticCustomError("not_null", "Field may be left out but not be null")
    return value


class _NotNull(AfterValidator):
    """Rejects null and removes it from the JSON schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the one schema of `anyOf` that is not null."""
        (alternative,) = (each for each in handler(schema)["anyOf"] if each != {"type": "null"})
        return cast("JsonSchemaValue", alternative)


NotNull = _NotNull(_not_null)
