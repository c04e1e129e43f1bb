"""EitherDB: what a module of declarations imports, and how a script opens the database.

`docs/resources.md` explains the names of declarations.
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
from eitherdb.opening import open_backend, open_blocking

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
    "open_backend",
    "open_blocking",
]
