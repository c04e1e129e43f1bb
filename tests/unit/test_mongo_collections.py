"""Collections are derived from the specifications of resources."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from bson import Int64
from pydantic import Field, JsonValue

from backends.models import Item
from backends.models.resources import Filterable, Reference, Resource, Searchable, Sortable, Unique
from backends.mongo.collections import CollectionSpec, IndexSpec
from backends.mongo.resource_collections import collection_of

INTEGER = {"bsonType": ["int", "long"]}
BY_TIME = (("created_at", -1), ("_id", -1))


def test_collection_of_items_is_that_of_the_first_release() -> None:
    """Existing databases have this validator and these indexes."""
    properties: dict[str, Any] = {
        "_id": {"bsonType": "objectId"},
        "title": {"bsonType": "string", "minLength": 1, "maxLength": 255},
        "description": {"bsonType": ["string", "null"], "minLength": 0, "maxLength": 255},
        "owner_id": {"bsonType": "objectId"},
        "created_at": {"bsonType": "date"},
        "version": INTEGER,
        "title_folded": {"bsonType": "string"},
        "description_folded": {"bsonType": ["string", "null"]},
    }
    expected = CollectionSpec(
        name="items",
        validator={
            "$jsonSchema": {
                "bsonType": "object",
                "required": sorted(properties),
                "properties": properties,
                "additionalProperties": False,
            }
        },
        indexes=(
            IndexSpec(keys=BY_TIME),
            IndexSpec(keys=(("title", 1), ("_id", 1))),
            IndexSpec(keys=(("owner_id", 1), *BY_TIME)),
            IndexSpec(keys=(("owner_id", 1), ("title", 1), ("_id", 1))),
        ),
    )
    # The order of keys, too: MongoDB compares validators with it.
    assert repr(collection_of(Item.__resource__)) == repr(expected)


class Reading(Resource, path="mongo-readings", unique=[("sensor_id", "taken_on"), ("code",)]):
    """A row with a field of each kind."""

    code: Annotated[str | None, Field(min_length=2, max_length=8), Searchable()] = None
    state: Annotated[Literal["new", "seen"] | None, Filterable()] = None
    is_final: bool = False
    level: Annotated[int, Field(ge=0, le=9), Sortable(), Filterable()] = 0
    price: Annotated[Decimal, Field(max_digits=6, decimal_places=2, ge=0)] = Decimal(0)
    share: Annotated[float | None, Field(ge=0, le=1)] = None
    taken_on: Annotated[date, Sortable()]
    seen_at: Annotated[datetime | None, Unique()] = None
    sensor_id: Annotated[str, Reference("sensors")]
    tags: Annotated[list[Annotated[str, Field(max_length=5)]], Field(max_length=3), Filterable()]
    extra: dict[str, JsonValue] | None = None


def test_collection_has_a_schema_for_each_kind() -> None:
    """Bounds are inclusive; decimals are scaled; null is allowed where the declaration allows it."""
    assert collection_of(Reading.__resource__).validator["$jsonSchema"]["properties"] == {
        "_id": {"bsonType": "objectId"},
        "code": {"bsonType": ["string", "null"], "minLength": 2, "maxLength": 8},
        "state": {"bsonType": ["string", "null"], "enum": ["new", "seen", None]},
        "is_final": {"bsonType": "bool"},
        "level": {"bsonType": "long", "minimum": Int64(0), "maximum": Int64(9)},
        "price": {"bsonType": "long", "minimum": Int64(0), "maximum": Int64(999_999)},
        "share": {"bsonType": ["double", "null"], "minimum": 0.0, "maximum": 1.0},
        "taken_on": {"bsonType": "date"},
        "seen_at": {"bsonType": ["date", "null"]},
        "sensor_id": {"bsonType": "objectId"},
        "tags": {
            "bsonType": "array",
            "minItems": 0,
            "maxItems": 3,
            "items": {"bsonType": "string", "minLength": 0, "maxLength": 5},
        },
        "extra": {"bsonType": ["string", "null"]},
        "owner_id": {"bsonType": "objectId"},
        "created_at": {"bsonType": "date"},
        "version": INTEGER,
        "code_folded": {"bsonType": ["string", "null"]},
    }


def test_collection_has_an_index_for_each_use() -> None:
    """Sorts, filters, references and unique groups each have an index; null is exempt from uniqueness."""
    owner = ("owner_id", 1)
    assert collection_of(Reading.__resource__).indexes == (
        IndexSpec(keys=BY_TIME),
        IndexSpec(keys=(("level", 1), ("_id", 1))),
        IndexSpec(keys=(("taken_on", 1), ("_id", 1))),
        IndexSpec(keys=(owner, *BY_TIME)),
        IndexSpec(keys=(owner, ("level", 1), ("_id", 1))),
        IndexSpec(keys=(owner, ("taken_on", 1), ("_id", 1))),
        IndexSpec(keys=(owner, ("state", 1), *BY_TIME)),
        IndexSpec(keys=(owner, ("tags", 1), *BY_TIME)),
        IndexSpec(keys=(("sensor_id", 1),)),
        IndexSpec(
            keys=(("seen_at", 1),),
            unique=True,
            only={"seen_at": {"$gte": datetime(1, 1, 1)}},  # noqa: DTZ001
        ),
        IndexSpec(keys=(("sensor_id", 1), ("taken_on", 1)), unique=True),
        IndexSpec(keys=(("code", 1),), unique=True, only={"code": {"$gte": ""}}),
    )


def test_referenced_collection_allows_the_count_of_references() -> None:
    """A document to which no row ever referred lacks the field."""
    plain = collection_of(Reading.__resource__).validator["$jsonSchema"]
    referenced = collection_of(Reading.__resource__, is_referenced=True).validator["$jsonSchema"]
    assert referenced == {**plain, "properties": plain["properties"] | {"references": INTEGER}}
