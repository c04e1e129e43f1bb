"""EitherDB: what a module of declarations imports, and nothing else.

`docs/resources.md` explains each name.
"""

from backends.models.resources import (
    DeclarationError,
    Filterable,
    Immutable,
    ReadOnly,
    Reference,
    RenamedFrom,
    Resource,
    ResourceSpec,
    Searchable,
    Sortable,
    Unique,
)

__all__ = [
    "DeclarationError",
    "Filterable",
    "Immutable",
    "ReadOnly",
    "Reference",
    "RenamedFrom",
    "Resource",
    "ResourceSpec",
    "Searchable",
    "Sortable",
    "Unique",
]
