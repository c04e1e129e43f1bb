"""Items: the first resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from backends.models.resources.declaration import Resource
from backends.models.resources.forms import changes_form, filter_form
from backends.models.resources.markers import Filterable, Searchable, Sortable


class Item(Resource, path="items"):
    """Items: your own, or all for a superuser.

    An item is a titled object that one user owns. It is deleted with its owner.
    """

    title: Annotated[
        str,
        Field(min_length=1, max_length=255, examples=["Analytical Engine"]),
        Sortable(),
        Filterable(),
        Searchable(),
    ]
    description: Annotated[
        str | None, Field(max_length=255, examples=["Weaves algebraic patterns"]), Searchable()
    ] = None


NewItem = Item
"""The input of `ItemRepository.add`: an item without what the repository gives it."""

ItemSort = Literal["created_at", "-created_at", "title", "-title"]

ItemChanges: type[Any] = changes_form(Item, "ItemChanges")
"""The input of `ItemRepository.update`; unset fields keep their values."""

ItemFilter: type[Any] = filter_form(Item, "ItemFilter")
"""A filter for items: `title`, `q`, `created_after` and `created_before`."""


def with_items(declared: Iterable[type[Resource]]) -> dict[str, type[Resource]]:
    """Return the classes of all resources by name: items, and the declared ones."""
    classes: tuple[type[Resource], ...] = (Item, *declared)
    return {cls.__resource__.name: cls for cls in classes}
