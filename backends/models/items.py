"""Items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from backends.models.input_models import InputModel, NotNull
from backends.models.records import Record
from backends.models.text import Description, SearchText, Title
from backends.models.times import TimeAfter, TimeBefore


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Record):
    """A titled object that one user owns. It is deleted with its owner.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 for a new item; each change adds 1.
    """

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: datetime
    version: int


class NewItem(InputModel):
    """The input of `ItemRepository.add`, without the owner."""

    title: Title
    description: Description | None = None


class ItemChanges(InputModel):
    """The input of `ItemRepository.update`; unset fields keep their values."""

    title: Annotated[Title | None, NotNull] = None
    description: Description | None = None


ItemSort = Literal["created_at", "-created_at", "title", "-title"]


class ItemFilter(InputModel):
    """A filter for items. An item must match every field that is not None.

    Attributes:
        title: The exact title.
        q: A part of the title or of the description, case-insensitive (`fold_case`).
        created_after: Created later than this.
        created_before: Created earlier than this.
    """

    title: SearchText | None = None
    q: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None
