"""A declaration of shops before and after a change, and the revision of the change."""

from __future__ import annotations

SHOP = """from typing import Annotated, Literal
from pydantic import Field
from eitherdb import RenamedFrom, Resource, Sortable, Unique

class Shop(Resource, path="shops", owned=False):
    \"\"\"A shop.\"\"\"
"""
BEFORE = f"""{SHOP}    title: Annotated[str, Field(max_length=20)]
    kind: Literal["open", "shut"] = "open"
    code: Annotated[str | None, Field(max_length=9), Sortable()] = None
"""
AFTER = f"""{SHOP}    name: Annotated[str, Field(max_length=20), RenamedFrom("title"), Sortable(), Unique()]
    kind: Literal["open", "gone"] = "open"
    place: Annotated[str, Field(max_length=9), Sortable()] = "Köln"
"""
CHANGES = """
from eitherdb.migrations import (
    AddChoice, AddField, AddMarkers, AddUnique, DropField, FieldSpec, RemoveChoice, RenameField
)

HISTORY = "shop"
PLACE = FieldSpec(
    name="place", column="place", kind="text", required=False, default="Köln", max_length=9, sortable=True
)
OPERATIONS = [
    RenameField("shops", "title", "name"),
    AddField("shops", PLACE, "Köln"),
    AddChoice("shops", "kind", "gone"),
    RemoveChoice("shops", "kind", "shut", instead="gone"),
    AddMarkers("shops", "name", ("sortable",)),
    AddUnique("shops", ("name",)),
    DropField("shops", "code"),
]
"""
