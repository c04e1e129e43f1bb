"""What every list takes in its query."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.fields import WrittenInt, WrittenTime
from backends.models import TimeAfter, TimeBefore
from backends.protocols import MAX_LIMIT

MAX_SKIP = 2**31 - 1


class ListQuery(BaseModel):
    """Which part of a list."""

    skip: Annotated[int, Field(ge=0, le=MAX_SKIP), WrittenInt] = 0
    limit: Annotated[int, Field(ge=0, le=MAX_LIMIT), WrittenInt] = 100
    cursor: str | None = Field(
        default=None,
        description=(
            "`next_cursor` of the page before, with the same `sort`: goes on there, whatever changed."
        ),
    )
    count: Literal["exact", "none"] = Field(
        default="exact", description="`none` spares the database the counting."
    )
    created_after: Annotated[TimeAfter | None, WrittenTime] = Field(
        default=None, description="Created later than this."
    )
    created_before: Annotated[TimeBefore | None, WrittenTime] = Field(
        default=None, description="Created earlier than this."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, parameters: object) -> object:
        """Name the valid ones: a misspelt filter that is ignored would show what was to be hidden."""
        if isinstance(parameters, dict) and parameters.keys() - cls.model_fields.keys():
            valid = ", ".join(cls.model_fields)
            message = "Unknown parameter; valid ones are: {valid}"
            raise PydanticCustomError("unknown_parameter", message, {"valid": valid})
        return parameters
