"""Collections, validators and indexes. Every change here needs a step in `migrations/mongo/steps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson import Int64, ObjectId

from backends.ids import is_id
from backends.models import MAX_MINOR

REVISION = "0004"
"""The step of `migrations/mongo` that these definitions are the result of."""

MIGRATIONS = "schema_migrations"
"""The collection that records the applied steps: `{_id: "0001", name, applied_at}`."""

MIGRATIONS_LOCK = "schema_migrations_lock"
"""The collection with the lease of whoever migrates."""

DELETED_USERS_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index: its keys with 1 or -1, and what else it does."""

    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    expire_after_seconds: int | None = None
    only: dict[str, Any] | None = None
    """Which documents are in it, as a filter; None for all."""

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
        if self.only is not None:
            options["partialFilterExpression"] = self.only
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
        # Written when an account is added, so that this collides with the deletion of the owner.
        accounts_opened=_INTEGER,
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

# An ObjectId, in words that the planner can follow from an equality.
ANY_ID = {"$gt": ObjectId("0" * 24)}

# The ledger: documents are added and never changed.
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
        # Forbids a second payment.
        IndexSpec(
            keys=(("ordered_by", 1), ("idempotency_key", 1)),
            unique=True,
            only={"idempotency_key": {"$gt": ""}},
        ),
        # Forbid that two entries begin from one balance, and serve the statement.
        IndexSpec(
            keys=(("from_account_id", 1), ("from_version", 1)),
            unique=True,
            only={"from_account_id": ANY_ID},
        ),
        IndexSpec(
            keys=(("to_account_id", 1), ("to_version", 1)), unique=True, only={"to_account_id": ANY_ID}
        ),
        # Serve a superuser's list of all entries, and the two halves of an owner's.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("from_owner_id", 1), ("created_at", -1), ("_id", -1))),
        IndexSpec(keys=(("to_owner_id", 1), ("created_at", -1), ("_id", -1))),
    ),
)

# What became of a call that had an idempotency key: `backends.idempotency.write_outcome`.
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

COLLECTIONS = (USERS, ITEMS, ACCOUNTS, TRANSFERS, IDEMPOTENCY_KEYS, DELETED_USERS, COUNTERS)


def object_id(text: str) -> ObjectId | None:
    """Return the native form of an id. Text that is no id gives None, which no stored field holds."""
    return ObjectId(text) if is_id(text) else None
