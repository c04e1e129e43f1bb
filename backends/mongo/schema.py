"""Collections, validators and indexes. Every change here needs a step in `migrations/mongo/steps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from backends.ids import is_id

REVISION = "0002"
"""The step of `migrations/mongo` that these definitions are the result of."""

MIGRATIONS = "schema_migrations"
"""The collection that records the applied steps: `{_id: "0001", name, applied_at}`."""

DELETED_USERS_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index: its keys with 1 or -1, and what else it does."""

    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    expire_after_seconds: int | None = None

    @property
    def name(self) -> str:
        """Named as in SQL: `ix_items_owner_id_created_at__id` says what is in it."""
        return ("uq_" if self.unique else "ix_") + "_".join(field for field, _ in self.keys)

    @property
    def options(self) -> dict[str, Any]:
        """What `create_index` takes besides the keys."""
        options: dict[str, Any] = {"name": self.name}
        if self.unique:
            options["unique"] = True
        if self.expire_after_seconds is not None:
            options["expireAfterSeconds"] = self.expire_after_seconds
        return options


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection: what a document must look like, and its indexes."""

    name: str
    validator: dict[str, Any]
    indexes: tuple[IndexSpec, ...]


def _documents(**fields: dict[str, Any]) -> dict[str, Any]:
    """Every field is there in every document, null included, and no other field is."""
    properties = {"_id": {"bsonType": "objectId"}, **fields}
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": sorted(properties),
            "properties": properties,
            "additionalProperties": False,
        }
    }


def _text(max_length: int, *, min_length: int = 0, nullable: bool = False) -> dict[str, Any]:
    """Text, its length in code points."""
    return {
        "bsonType": ["string", "null"] if nullable else "string",
        "minLength": min_length,
        "maxLength": max_length,
    }


_INTEGER = {"bsonType": ["int", "long"]}

USERS = CollectionSpec(
    name="users",
    validator=_documents(
        email=_text(255, min_length=1),
        hashed_password=_text(255, min_length=1),
        full_name=_text(255, nullable=True),
        is_active={"bsonType": "bool"},
        is_superuser={"bsonType": "bool"},
        created_at={"bsonType": "date"},
        version=_INTEGER,
        session_version=_INTEGER,
    ),
    indexes=(
        # Serves the list by address too, either way round.
        IndexSpec(keys=(("email", 1),), unique=True),
        # Serves the list of all users by time, either way round.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
    ),
)

ITEMS = CollectionSpec(
    name="items",
    validator=_documents(
        title=_text(255, min_length=1),
        description=_text(255, nullable=True),
        owner_id={"bsonType": "objectId"},
        created_at={"bsonType": "date"},
        version=_INTEGER,
        # `models.fold_case` of the two texts, which may be longer than they are.
        title_folded={"bsonType": "string"},
        description_folded={"bsonType": ["string", "null"]},
    ),
    indexes=(
        # Serve a superuser's list of all items, by time and by title, either way round.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("title", 1), ("_id", 1))),
        # Serve an owner's list and its count, and find what a deleted owner takes along.
        IndexSpec(keys=(("owner_id", 1), ("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("owner_id", 1), ("title", 1), ("_id", 1))),
    ),
)

# Of `backends.protocols.CounterRepository`; the key is the `_id`.
COUNTERS = CollectionSpec(
    name="counters",
    validator=_documents(
        _id=_text(255, min_length=1),
        value=_INTEGER,
        ends_at={"bsonType": "date"},
    ),
    # Finds the ones that ended. No TTL: the server's clock is not the one that the counters go by.
    indexes=(IndexSpec(keys=(("ends_at", 1),)),),
)

# Who was deleted lately: `MongoUserRepository.delete` says why that is kept.
DELETED_USERS = CollectionSpec(
    name="deleted_users",
    validator=_documents(deleted_at={"bsonType": "date"}),
    indexes=(IndexSpec(keys=(("deleted_at", 1),), expire_after_seconds=DELETED_USERS_KEPT_SECONDS),),
)

COLLECTIONS = (USERS, ITEMS, DELETED_USERS, COUNTERS)


def object_id(text: str) -> ObjectId | None:
    """Return the native form of an id. Text that is no id gives None, which no stored field holds."""
    return ObjectId(text) if is_id(text) else None
