"""What the revisions of declared resources import: the operations and the specifications."""

from backends.models.resources import Access, FieldSpec, ResourceSpec
from migrations.resources.constraint_operations import (
    AddChoice,
    AddMarkers,
    AddOwner,
    AddUnique,
    ChangeReference,
    DropOwner,
    DropUnique,
    RemoveChoice,
    RemoveMarkers,
)
from migrations.resources.field_operations import (
    AddField,
    ChangeBounds,
    DropField,
    MakeOptional,
    MakeRequired,
    RenameField,
)
from migrations.resources.operations import AddResource, DropResource
from migrations.resources.own_operations import Run

__all__ = [
    "Access",
    "AddChoice",
    "AddField",
    "AddMarkers",
    "AddOwner",
    "AddResource",
    "AddUnique",
    "ChangeBounds",
    "ChangeReference",
    "DropField",
    "DropOwner",
    "DropResource",
    "DropUnique",
    "FieldSpec",
    "MakeOptional",
    "MakeRequired",
    "RemoveChoice",
    "RemoveMarkers",
    "RenameField",
    "ResourceSpec",
    "Run",
]
