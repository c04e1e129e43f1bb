"""Tells EitherDB's collections from those of other applications, by their validators and indexes.

A collection is made together with its validator, so one that an interrupted step left is recognised too.
Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.errors import ForeignSchema
from backends.mongo.schema import COLLECTIONS, MIGRATIONS, MIGRATIONS_LOCK, CollectionSpec

if TYPE_CHECKING:
    from backends.mongo.driver import Database, Document

LOCK_ID = "migrations"
"""The `_id` of the one document in `MIGRATIONS_LOCK`."""

UNDOING = "undoing"
"""The field of a step's record that says that the step is being undone: its collections may be gone."""

MOST_RECORDS = 10_000
"""More than any history has."""

_NUMBER = re.compile(r"(?!0000)[0-9]{4}")
NAMES = frozenset(spec.name for spec in COLLECTIONS)
"""The collections that the newest step leaves."""


class Occupancy:
    """What is in the database under the names that EitherDB uses.

    Attributes:
        recognised: The collections that are EitherDB's, that of the lock among them.
    """

    def __init__(self, kinds: Mapping[str, str], recognised: set[str], records: Sequence[Document]) -> None:
        """Judge what was found.

        Args:
            kinds: What has one of our names, with its kind.
            recognised: What of it is EitherDB's.
            records: The documents of `schema_migrations`.
        """
        self._kinds = kinds
        self._records = records
        self.recognised = recognised

    @property
    def applied(self) -> str | None:
        """The newest recorded step, of this or of a newer EitherDB; None if none is.

        Raises:
            ForeignSchema: Another application's are recorded.
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

    def refuse_foreign(self, *, among: Iterable[str] = NAMES) -> None:
        """Refuse to go on where something has one of our names and is not EitherDB's.

        Args:
            among: The collections whose names are looked at; that of the lock always is.

        Raises:
            ForeignSchema: With the names.
        """
        names = {*among, MIGRATIONS_LOCK} - self.recognised
        foreign = [f"{kind} {name}" for name, kind in self._kinds.items() if name in names]
        if foreign:
            raise ForeignSchema.occupied(foreign)


async def look(database: Database) -> Occupancy:
    """Return what is in the database under our names."""
    names = [*NAMES, MIGRATIONS, MIGRATIONS_LOCK]
    reply = await database.command({"listCollections": 1, "filter": {"name": {"$in": names}}})
    options = {found["name"]: found.get("options", {}) for found in reply["cursor"]["firstBatch"]}
    kinds = {found["name"]: _kind(found) for found in reply["cursor"]["firstBatch"]}
    recognised = {
        spec.name
        for spec in COLLECTIONS
        if kinds.get(spec.name) == "collection" and await _is_ours(database, spec, options[spec.name])
    }
    if kinds.get(MIGRATIONS_LOCK) == "collection" and "validator" not in options[MIGRATIONS_LOCK]:
        stranger = await database[MIGRATIONS_LOCK].find_one({"_id": {"$ne": LOCK_ID}})
        recognised |= set() if stranger else {MIGRATIONS_LOCK}
    records = []
    if MIGRATIONS in kinds:
        records = (
            await database[MIGRATIONS].find({}).sort([("_id", 1)]).limit(MOST_RECORDS).to_list(MOST_RECORDS)
        )
    return Occupancy(kinds, recognised, records)


def _kind(found: Document) -> str:
    if found["type"] == "collection" and found.get("options", {}).get("capped"):
        return "capped collection"
    return str(found["type"])


async def _is_ours(database: Database, spec: CollectionSpec, options: Mapping[str, Any]) -> bool:
    """Tell by most of the validator's fields; or, where somebody changed it by hand, by the indexes."""
    schema = options.get("validator", {}).get("$jsonSchema", {})
    fields, ours = schema.get("properties", {}), spec.validator["$jsonSchema"]["properties"]
    same = [name for name in ours if fields.get(name) == ours[name]]
    if schema.get("additionalProperties") is False and 2 * len(same) > len(ours):
        return True
    found = await database[spec.name].index_information()
    keys = [list(found.get(index.name, {}).get("key", [])) == list(index.keys) for index in spec.indexes]
    return bool(keys) and all(keys)
