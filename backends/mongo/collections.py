"""What a collection is made of: a validator and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

INTEGER: dict[str, Any] = {"bsonType": ["int", "long"]}


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index: its keys, each with 1 or -1, and its options."""

    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    expire_after_seconds: int | None = None
    only: dict[str, Any] | None = None
    """The filter of a partial index; None for all documents."""
    suffix: str = ""
    """The end of the name, if two indexes have the same keys."""

    @property
    def name(self) -> str:
        """The name, which lists the keys as in SQL: `ix_items_owner_id_created_at__id`."""
        return ("uq_" if self.unique else "ix_") + "_".join(field for field, _ in self.keys) + self.suffix

    @property
    def options(self) -> dict[str, Any]:
        """The options of `create_index`."""
        options: dict[str, Any] = {"name": self.name}
        if self.unique:
            options["unique"] = True
        if self.expire_after_seconds is not None:
            options["expireAfterSeconds"] = self.expire_after_seconds
        if self.only is not None:
            options["partialFilterExpression"] = self.only
        return options


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection: its validator and its indexes."""

    name: str
    validator: dict[str, Any]
    indexes: tuple[IndexSpec, ...]


def documents(fields: dict[str, Any], *, optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a validator that requires every field, null included, and allows no other.

    Args:
        fields: The schemas of the required fields. `_id` is an ObjectId unless it is given.
        optional: The schemas of the fields that a document may lack.
    """
    properties = {"_id": {"bsonType": "objectId"}, **fields}
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": sorted(properties),
            "properties": properties | (optional or {}),
            "additionalProperties": False,
        }
    }


def text(max_length: int, *, min_length: int = 0, nullable: bool = False) -> dict[str, Any]:
    """Return the schema of a text field; its length is in code points."""
    return {
        "bsonType": ["string", "null"] if nullable else "string",
        "minLength": min_length,
        "maxLength": max_length,
    }
