"""Collections, validators and indexes. Every change needs a step in `migrations/mongo/steps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson import Int64, ObjectId

from backends.ids import is_id
from backends.models import MAX_MINOR

REVISION = "0004"
"""The newest step of `migrations/mongo`; its result is defined here."""

MIGRATIONS = "schema_migrations"
"""The collection that records the applied steps: `{_id: "0001", name, applied_at}`."""

MIGRATIONS_LOCK = "schema_migrations_lock"
"""The collection with the lease of the running migration."""

DELETED_USERS_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index: its keys, each with 1 or -1, and its options."""

    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    expire_after_seconds: int | None = None
    only: dict[str, Any] | None = None
    """The filter of a partial index; None for all documents."""

    @property
    def name(self) -> str:
        """The name, which lists the keys as in SQL: `ix_items_owner_id_created_at__id`."""
        return ("uq_" if self.unique else "ix_") + "_".join(field for field, _ in self.keys)

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


def _documents(**fields: dict[str, Any]) -> dict[str, Any]:
    """Return a validator that requires every field, null included, and allows no other."""
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
    """Return the schema of a text field; its length is in code points."""
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
        # Incremented when an account is added, so that it conflicts with a deletion of the owner.
        accounts_opened=_INTEGER,
    ),
    indexes=(
        # Serves the list by email too, in both directions.
        IndexSpec(keys=(("email", 1),), unique=True),
        # Serves the list of all users by time, in both directions.
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
        # `models.fold_case` of the two texts; folding may lengthen a text.
        title_folded={"bsonType": "string"},
        description_folded={"bsonType": ["string", "null"]},
    ),
    indexes=(
        # Serve a superuser's list of all items by time and by title, in both directions.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("title", 1), ("_id", 1))),
        # Serve an owner's list and its count, and find the items of a deleted owner.
        IndexSpec(keys=(("owner_id", 1), ("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("owner_id", 1), ("title", 1), ("_id", 1))),
    ),
)

_ID = {"bsonType": "objectId"}
_ID_OR_NULL = {"bsonType": ["objectId", "null"]}
_MOST = Int64(MAX_MINOR)
_MONEY = {"bsonType": "long", "minimum": 0, "maximum": _MOST}
_MONEY_OR_NULL = {"bsonType": ["long", "null"], "minimum": 0, "maximum": _MOST}
_INTEGER_OR_NULL = {"bsonType": ["int", "long", "null"]}

ACCOUNTS = CollectionSpec(
    name="accounts",
    validator=_documents(
        owner_id=_ID,
        name=_text(255, min_length=1),
        currency=_text(3, min_length=3),
        balance_minor=_MONEY,
        created_at={"bsonType": "date"},
        version=_INTEGER,
    ),
    indexes=(
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("name", 1), ("_id", 1))),
        IndexSpec(keys=(("owner_id", 1), ("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("owner_id", 1), ("name", 1), ("_id", 1))),
    ),
)

# Matches any ObjectId, in a form that the planner can derive from an equality.
ANY_ID = {"$gt": ObjectId("0" * 24)}

# The append-only ledger.
TRANSFERS = CollectionSpec(
    name="transfers",
    validator=_documents(
        ordered_by=_ID,
        idempotency_key=_text(255, min_length=1, nullable=True),
        amount_minor={"bsonType": "long", "minimum": 1, "maximum": _MOST},
        note=_text(255, nullable=True),
        created_at={"bsonType": "date"},
        from_account_id=_ID_OR_NULL,
        from_owner_id=_ID_OR_NULL,
        from_balance_minor=_MONEY_OR_NULL,
        from_version=_INTEGER_OR_NULL,
        to_account_id=_ID_OR_NULL,
        to_owner_id=_ID_OR_NULL,
        to_balance_minor=_MONEY_OR_NULL,
        to_version=_INTEGER_OR_NULL,
    ),
    indexes=(
        # Prevents a second payment with the same idempotency key.
        IndexSpec(
            keys=(("ordered_by", 1), ("idempotency_key", 1)),
            unique=True,
            only={"idempotency_key": {"$gt": ""}},
        ),
        # Prevent two entries from the same account version, and serve the statement.
        IndexSpec(
            keys=(("from_account_id", 1), ("from_version", 1)),
            unique=True,
            only={"from_account_id": ANY_ID},
        ),
        IndexSpec(
            keys=(("to_account_id", 1), ("to_version", 1)), unique=True, only={"to_account_id": ANY_ID}
        ),
        # Serve a superuser's list of all entries, and both sides of an owner's list.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("from_owner_id", 1), ("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("to_owner_id", 1), ("created_at", -1), ("_id", -1))),
    ),
)

# The outcomes of calls with an idempotency key: `backends.idempotency.write_outcome`.
IDEMPOTENCY_KEYS = CollectionSpec(
    name="idempotency_keys",
    validator=_documents(
        owner_id=_ID,
        key=_text(255, min_length=1),
        fingerprint=_text(64, min_length=1),
        outcome={"bsonType": "string"},
        created_at={"bsonType": "date"},
    ),
    indexes=(IndexSpec(keys=(("owner_id", 1), ("key", 1)), unique=True),),
)

# For `backends.protocols.CounterRepository`; the key is the `_id`.
COUNTERS = CollectionSpec(
    name="counters",
    validator=_documents(
        _id=_text(255, min_length=1),
        value=_INTEGER,
        ends_at={"bsonType": "date"},
    ),
    # Finds expired counters. Not a TTL index: counters use the application's clock, not the server's.
    indexes=(IndexSpec(keys=(("ends_at", 1),)),),
)

# Recently deleted users: `MongoUserRepository.delete` explains why they are recorded.
DELETED_USERS = CollectionSpec(
    name="deleted_users",
    validator=_documents(deleted_at={"bsonType": "date"}),
    indexes=(IndexSpec(keys=(("deleted_at", 1),), expire_after_seconds=DELETED_USERS_KEPT_SECONDS),),
)

COLLECTIONS = (USERS, ITEMS, ACCOUNTS, TRANSFERS, IDEMPOTENCY_KEYS, DELETED_USERS, COUNTERS)


def object_id(text: str) -> ObjectId | None:
    """Return the ObjectId; None for an invalid id, which matches no stored field."""
    return ObjectId(text) if is_id(text) else None
