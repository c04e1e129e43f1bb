"""Resources: what a declaration says, and what it means for every backend.

A declaration is a subclass of `Resource`. Its `ResourceSpec` is what it says, in JSON types. Repositories,
routes, forms and migrations read the specification. The class itself has two purposes: it validates the
values that callers give, and its instances are what repositories return.
"""

from backends.models.resources.declaration import Resource
from backends.models.resources.errors import DeclarationError
from backends.models.resources.markers import (
    Filterable,
    Immutable,
    ReadOnly,
    Reference,
    RenamedFrom,
    Searchable,
    Sortable,
    Unique,
)
from backends.models.resources.spec import Access, FieldSpec, Kind, OnDelete, ResourceSpec

__all__ = [
    "Access",
    "DeclarationError",
    "FieldSpec",
    "Filterable",
    "Immutable",
    "Kind",
    "OnDelete",
    "ReadOnly",
    "Reference",
    "RenamedFrom",
    "Resource",
    "ResourceSpec",
    "Searchable",
    "Sortable",
    "Unique",
]
