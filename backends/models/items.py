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
    """A thing with a title, owned by one user and gone with that user.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 when the item is new, one more with every change.
    """

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: datetime
    version: int


class NewItem(InputModel):
    """What `ItemRepository.add` needs besides the owner."""

    title: Title
    description: Description | None = None


class ItemChanges(InputModel):
    """What `ItemRepository.update` may change; unset fields stay."""

    title: Annotated[Title | None, NotNull] = None
    description: Description | None = None


ItemSort = Literal["created_at", "-created_at", "title", "-title"]


class ItemFilter(InputModel):
    """Which items a list holds: those that fit every field that is not None.

    Attributes:
        title: The whole title, exactly.
        q: A part of the title or of the description, in any case (`fold_case`).
        created_after: Created later than this.
        created_before: Created earlier than this.
    """

    title: SearchText | None = None
    q: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None
