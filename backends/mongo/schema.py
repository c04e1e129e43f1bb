"""Collections, validators and indexes. Every change needs a step in `migrations/mongo/steps`."""

from __future__ import annotations

from bson import Int64, ObjectId

from backends.ids import is_id
from backends.models import MAX_MINOR, Item
from backends.mongo.collections import INTEGER, CollectionSpec, IndexSpec, documents, text
from backends.mongo.resource_collections import collection_of

REVISION = "0004"
"""The newest step of `migrations/mongo`; its result is defined here."""

MIGRATIONS = "schema_migrations"
"""The collection that records the applied steps: `{_id: "0001", name, applied_at}`."""

MIGRATIONS_LOCK = "schema_migrations_lock"
"""The collection with the lease of the running migration."""

DELETED_USERS_KEPT_SECONDS = 7 * 24 * 3600


USERS = CollectionSpec(
    name="users",
    validator=documents(
        {
            "email": text(255, min_length=1),
            "hashed_password": text(255, min_length=1),
            "full_name": text(255, nullable=True),
            "is_active": {"bsonType": "bool"},
            "is_superuser": {"bsonType": "bool"},
            "created_at": {"bsonType": "date"},
            "version": INTEGER,
            "session_version": INTEGER,
            # Incremented when an account or a reference to the user is added, so that it conflicts with a
            # deletion of the user.
            "accounts_opened": INTEGER,
        }
    ),
    indexes=(
        # Serves the list by email too, in both directions.
        IndexSpec(keys=(("email", 1),), unique=True),
        # Serves the list of all users by time, in both directions.
        IndexSpec(keys=(("created_at", -1), ("_id", -1))),
    ),
)

ITEMS = collection_of(Item.__resource__)

_ID = {"bsonType": "objectId"}
_ID_OR_NULL = {"bsonType": ["objectId", "null"]}
_MOST = Int64(MAX_MINOR)
_MONEY = {"bsonType": "long", "minimum": 0, "maximum": _MOST}
_MONEY_OR_NULL = {"bsonType": ["long", "null"], "minimum": 0, "maximum": _MOST}
_INTEGER_OR_NULL = {"bsonType": ["int", "long", "null"]}

ACCOUNTS = CollectionSpec(
    name="accounts",
    validator=documents(
        {
            "owner_id": _ID,
            "name": text(255, min_length=1),
            "currency": text(3, min_length=3),
            "balance_minor": _MONEY,
            "created_at": {"bsonType": "date"},
            "version": INTEGER,
        }
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
    validator=documents(
        {
            "ordered_by": _ID,
            "idempotency_key": text(255, min_length=1, nullable=True),
            "amount_minor": {"bsonType": "long", "minimum": 1, "maximum": _MOST},
            "note": text(255, nullable=True),
            "created_at": {"bsonType": "date"},
            "from_account_id": _ID_OR_NULL,
            "from_owner_id": _ID_OR_NULL,
            "from_balance_minor": _MONEY_OR_NULL,
            "from_version": _INTEGER_OR_NULL,
            "to_account_id": _ID_OR_NULL,
            "to_owner_id": _ID_OR_NULL,
            "to_balance_minor": _MONEY_OR_NULL,
            "to_version": _INTEGER_OR_NULL,
        }
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
    validator=documents(
        {
            "owner_id": _ID,
            "key": text(255, min_length=1),
            "fingerprint": text(64, min_length=1),
            "outcome": {"bsonType": "string"},
            "created_at": {"bsonType": "date"},
        }
    ),
    indexes=(IndexSpec(keys=(("owner_id", 1), ("key", 1)), unique=True),),
)

# For `backends.protocols.CounterRepository`; the key is the `_id`.
COUNTERS = CollectionSpec(
    name="counters",
    validator=documents(
        {
            "_id": text(255, min_length=1),
            "value": INTEGER,
            "ends_at": {"bsonType": "date"},
        }
    ),
    # Finds expired counters. Not a TTL index: counters use the application's clock, not the server's.
    indexes=(IndexSpec(keys=(("ends_at", 1),)),),
)

# Recently deleted users: `MongoUserRepository.delete` explains why they are recorded.
DELETED_USERS = CollectionSpec(
    name="deleted_users",
    validator=documents({"deleted_at": {"bsonType": "date"}}),
    indexes=(IndexSpec(keys=(("deleted_at", 1),), expire_after_seconds=DELETED_USERS_KEPT_SECONDS),),
)

COLLECTIONS = (USERS, ITEMS, ACCOUNTS, TRANSFERS, IDEMPOTENCY_KEYS, DELETED_USERS, COUNTERS)


def object_id(text: str) -> ObjectId | None:
    """Return the ObjectId; None for an invalid id, which matches no stored field."""
    return ObjectId(text) if is_id(text) else None
