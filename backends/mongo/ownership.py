"""Tells EitherDB's collections from those of other applications, by their validators and indexes.

A collection is created together with its validator, so a collection of an interrupted step is recognised
too. This module only reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.errors import ForeignSchema
from backends.mongo.collections import INTEGER, CollectionSpec, documents, text
from backends.mongo.schema import COLLECTIONS, MIGRATIONS, MIGRATIONS_LOCK

if TYPE_CHECKING:
    from backends.mongo.driver import Database, Document

LOCK_ID = "migrations"
"""The `_id` of the one document in `MIGRATIONS_LOCK`."""

UNDOING = "undoing"
"""The field of a step's record that marks a downgrade in progress: the collections may be gone."""

STEPS_DONE = "steps_done"
"""The field of a revision's record that counts the steps that are done, while it is marked."""

MOST_RECORDS = 10_000
"""The most records that are read; no history has more."""

_NUMBER = re.compile(r"(?!0000)[0-9]{4}")
NAMES = frozenset(spec.name for spec in COLLECTIONS)
"""The collections after the newest step."""

RESOURCE_MIGRATIONS = CollectionSpec(
    name="resource_migrations",
    validator=documents(
        {
            "_id": text(105, min_length=1),
            "history": text(100, min_length=1),
            "number": text(4, min_length=4),
            "name": text(1_000),
            "applied_at": {"bsonType": "date"},
        },
        optional={UNDOING: {"bsonType": "bool"}, STEPS_DONE: INTEGER},
    ),
    indexes=(),
)
"""The collection that records the revisions of declared resources. It exists once there are some."""


class Occupancy:
    """The existing collections and views that have a name that EitherDB uses.

    Attributes:
        recognised: The collections that belong to EitherDB, the lock's included.
        options: The options of the collections by name.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        recognised: set[str],
        records: Sequence[Document],
        options: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Store the result of a look at the database.

        Args:
            kinds: The kind of each existing collection or view, by name.
            recognised: The names that belong to EitherDB.
            records: The documents of `schema_migrations`.
            options: The options of the collections by name.
        """
        self.options = options
        self._kinds = kinds
        self._records = records
        self.recognised = recognised

    @property
    def applied(self) -> str | None:
        """The newest recorded step, of this or a newer EitherDB; None if no step is recorded.

        Raises:
            ForeignSchema: The records belong to another application.
        """
        kind = self._kinds.get(MIGRATIONS, "collection")
        if not self._records and kind == "collection":
            return None
        numbers = [str(record.get("_id")) for record in self._records]
        is_known = bool(self.recognised & NAMES) or any(UNDOING in record for record in self._records)
        if kind != "collection" or not is_known or not all(map(_NUMBER.fullmatch, numbers)):
            shown = [str(record.get("version", record.get("_id"))) for record in self._records[:3]]
            raise ForeignSchema.history(MIGRATIONS, shown or [kind])
        return max(numbers)

    @property
    def intact(self) -> str | None:
        """The newest recorded step that no interrupted downgrade left half reverted; see `applied`."""
        whole = [str(record["_id"]) for record in self._records if UNDOING not in record]
        return max(whole, default=None) if self.applied else None

    def refuse_foreign(self, *, among: Iterable[str] | None = None) -> None:
        """Raise if another application uses one of EitherDB's names.

        Args:
            among: The names to check, None for all; the lock's is always checked too.

        Raises:
            ForeignSchema: Names the collections and views.
        """
        checked = self._kinds.keys() - {MIGRATIONS} if among is None else {*among, MIGRATIONS_LOCK}
        names = checked - self.recognised
        foreign = [f"{kind} {name}" for name, kind in self._kinds.items() if name in names]
        if foreign:
            raise ForeignSchema.occupied(foreign)


async def read_occupancy(database: Database, declared: Iterable[CollectionSpec] = ()) -> Occupancy:
    """Read which of EitherDB's names, and of those of declared resources, are in use, and by what.

    Args:
        database: The database.
        declared: The collections of resources. One may be given in several forms that it has or had.
    """
    forms: dict[str, list[CollectionSpec]] = {}
    for spec in (*COLLECTIONS, *declared, RESOURCE_MIGRATIONS):
        forms.setdefault(spec.name, []).append(spec)
    names = [*forms, MIGRATIONS, MIGRATIONS_LOCK]
    reply = await database.command({"listCollections": 1, "filter": {"name": {"$in": names}}})
    options = {found["name"]: found.get("options", {}) for found in reply["cursor"]["firstBatch"]}
    kinds = {found["name"]: _kind(found) for found in reply["cursor"]["firstBatch"]}
    recognised = {
        name
        for name, specs in forms.items()
        if kinds.get(name) == "collection" and await _is_ours(database, specs, options[name])
    }
    if kinds.get(MIGRATIONS_LOCK) == "collection" and "validator" not in options[MIGRATIONS_LOCK]:
        foreign = await database[MIGRATIONS_LOCK].find_one({"_id": {"$ne": LOCK_ID}})
        recognised |= set() if foreign else {MIGRATIONS_LOCK}
    records = []
    if MIGRATIONS in kinds:
        records = (
            await database[MIGRATIONS].find({}).sort([("_id", 1)]).limit(MOST_RECORDS).to_list(MOST_RECORDS)
        )
    return Occupancy(kinds, recognised, records, options)


def _kind(found: Document) -> str:
    if found["type"] == "collection" and found.get("options", {}).get("capped"):
        return "capped collection"
    return str(found["type"])


async def _is_ours(database: Database, forms: Sequence[CollectionSpec], options: Mapping[str, Any]) -> bool:
    """Return whether most of the validator's fields match, or, after a manual change, the indexes."""
    schema = options.get("validator", {}).get("$jsonSchema", {})
    fields = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        for spec in forms:
            ours = spec.validator["$jsonSchema"]["properties"]
            if 2 * sum(fields.get(name) == ours[name] for name in ours) > len(ours):
                return True
    found = await database[forms[0].name].index_information()
    for spec in forms:
        keys = [list(found.get(each.name, {}).get("key", [])) == list(each.keys) for each in spec.indexes]
        if keys and all(keys):
            return True
    return False
