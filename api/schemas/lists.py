"""Query parameters of all lists."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from backends.models import TimeAfter, TimeBefore
from backends.models.queries import QueryInt, QueryTime
from backends.protocols import MAX_LIMIT

MAX_SKIP = 2**31 - 1


class ListQuery(BaseModel):
    """Page and creation time of a list."""

    skip: Annotated[int, Field(ge=0, le=MAX_SKIP), QueryInt] = 0
    limit: Annotated[int, Field(ge=0, le=MAX_LIMIT), QueryInt] = 100
    cursor: str | None = Field(
        default=None,
        description=(
            "`next_cursor` of the previous page, with the same `sort`. Changes of the list do not shift it."
        ),
    )
    count: Literal["exact", "none"] = Field(default="exact", description="`none` skips the count query.")
    created_after: Annotated[TimeAfter | None, QueryTime] = Field(
        default=None, description="Created after this time."
    )
    created_before: Annotated[TimeBefore | None, QueryTime] = Field(
        default=None, description="Created before this time."
    )
    sort: str = Field(default="-created_at", description="`-` for descending order.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, parameters: object) -> object:
        """Reject unknown parameters. An ignored filter with a typing error would show too many rows."""
        if isinstance(parameters, dict) and parameters.keys() - cls.model_fields.keys():
            valid = ", ".join(cls.model_fields)
            message = "Unknown parameter; valid ones are: {valid}"
            raise PydanticCustomError("unknown_parameter", message, {"valid": valid})
        return parameters
