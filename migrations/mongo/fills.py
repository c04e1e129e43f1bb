"""Gives values to documents, or takes them away, in bounded batches that may run again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from backends.models import fold_case
from backends.mongo.resource_collections import REFERENCES, optional_columns
from backends.mongo.schema import USERS, object_id
from migrations import MigrationError
from migrations.mongo.resource_rules import refused_by, stored_value
from migrations.resources.existing import all_columns, columns_of, owner_address
from migrations.resources.violations import NAMED, Direction, unknown_owner

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, ResourceSpec
    from backends.mongo.collections import CollectionSpec
    from backends.mongo.driver import Collection, Database, Document
    from migrations.resources.history import Step
    from migrations.resources.operations import Fill

BATCH = 1_000
"""The number of documents that one command changes."""

DOCUMENT_REFUSED = 121


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the documents of a collection that match a condition. Afterwards none matches.

    Attributes:
        where: The condition.
        update: Returns the update. It is called only if there are such documents, and raises
            `MigrationError` if they can't be changed.
        is_required: Whether the strict validator refuses documents that match.
    """

    where: Document
    update: Callable[[], Awaitable[Document]]
    is_required: bool = True


async def run_all(database: Database, name: str, changes: Sequence[Change], revision: str) -> bool:
    """Change the documents that match; return whether there were any.

    The documents are read in the order of their ids, so that each is read once. A document that another
    client adds meanwhile may be left: then a second call finds it.
    """
    has_changed = False
    for change in changes:
        async for page in _pages(database[name], change.where, {"_id": 1}):
            ids = [document["_id"] for document in page]
            matching = {"_id": {"$in": ids}, **change.where}
            try:
                await database[name].update_many(matching, await change.update())
            except OperationFailure as exc:
                await _raise_refused(database, name, ids, exc, revision)
            has_changed = True
    return has_changed


async def _pages(
    documents: Collection, where: Document, projection: Document
) -> AsyncIterator[list[Document]]:
    """Yield the documents that match, in the order of their ids.

    Those that are added meanwhile with a greater id are left out: there might be no end of them.
    """
    newest = await documents.find({}, {"_id": 1}).sort([("_id", -1)]).limit(1).to_list(1)
    for end in newest:
        place: Document = {"$lte": end["_id"]}
        while True:
            found = documents.find({**where, "_id": place}, projection).sort([("_id", 1)]).limit(BATCH)
            page = await found.to_list(BATCH)
            if not page:
                return
            yield page
            place = {"$gt": page[-1]["_id"], "$lte": end["_id"]}


async def fold_all(database: Database, name: str, columns: Sequence[str], revision: str) -> None:
    """Give every document the folded form of its texts in these columns.

    A server of the revision before changes texts and not their folded forms, so all are compared.
    """
    folded = {column: f"{column}_folded" for column in columns}
    projection = dict.fromkeys([*columns, *folded.values()], 1)
    if not folded:
        return
    async for page in _pages(database[name], {}, projection):
        writes = [UpdateOne(*write) for document in page for write in _foldings(document, folded)]
        if writes:
            try:
                await database[name].bulk_write(writes)
            except OperationFailure as exc:
                ids = [document["_id"] for document in page]
                await _raise_refused(database, name, ids, exc, revision)


def _foldings(document: Document, folded: dict[str, str]) -> Iterator[tuple[Document, Document]]:
    """Yield the update of a document whose folded forms are missing or old."""
    texts = {column: document.get(column) for column in folded}
    right = {folded[column]: text and fold_case(text) for column, text in texts.items()}
    if any(name not in document or document[name] != value for name, value in right.items()):
        # Without effect if somebody changes a text meanwhile; then the document is found once more.
        yield {"_id": document["_id"], **texts}, {"$set": right}


async def _raise_refused(
    database: Database, name: str, ids: Sequence[Any], exc: OperationFailure, revision: str
) -> None:
    """Raise an error with the ids of documents that were invalid before, if this is the reason."""
    errors = (exc.details or {}).get("writeErrors") or [{"code": exc.code}]
    if errors[0].get("code") != DOCUMENT_REFUSED:
        raise exc
    reply = await database.command({"listCollections": 1, "filter": {"name": name}})
    schema = reply["cursor"]["firstBatch"][0]["options"]["validator"]["$jsonSchema"]
    where = {"_id": {"$in": list(ids)}, **refused_by(schema)}
    found = database[name].find(where, {"_id": 1}).sort([("_id", 1)]).limit(NAMED + 1)
    bad = [str(each["_id"]) for each in await found.to_list(NAMED + 1)]
    raise MigrationError(
        f"revision {revision}: {name} has documents that their validator refuses: {', '.join(bad[:NAMED])}"
        f"{' and others' if bad[NAMED:] else ''}; `eitherdb check --rows` names the problems: correct "
        "them, and run the same command again"
    ) from None


class Fills:
    """The changes of documents that a step needs."""

    def __init__(self, database: Database, step: Step, revision: str, direction: Direction) -> None:
        """Take the step of this revision; the direction is that of the command to repeat."""
        self._database, self._step = database, step
        self._revision, self._direction = revision, direction

    def of(self, name: str) -> list[Change]:
        """Return the changes of one collection that give values.

        A new field that may be null needs none: a missing value is null.
        """
        return [
            self._change(fill, self._step.after[name])
            for fill in self._of(name)
            if fill.value is not None or not self._is_new(fill)
        ]

    def folded(self, name: str) -> list[str]:
        """Return the columns whose folded forms become required or are new, and whose values are not."""
        before, after = self._step.before.get(name), self._step.after.get(name)
        if before is None or after is None:
            return []
        there = {field.column for field in before.fields}
        settled = set(columns_of(before, before.searched))
        settled -= set(optional_columns(before)) - set(optional_columns(after))
        return [column for column in columns_of(after, after.searched) if column in there - settled]

    async def check(self) -> None:
        """Refuse values that documents can't get.

        Raises:
            MigrationError: There are documents, and the user or row that they would get is missing.
        """
        for fill in self._step.operation.fills():
            spec, was = self._step.after[fill.resource], self._step.before.get(fill.resource)
            if was is not None and await self._database[was.name].find_one({}, {"_id": 1}) is not None:
                await self._update(fill, spec)

    async def check_targets(self, name: str) -> None:
        """Refuse an owner or a referenced row that was deleted after the documents of a collection got it.

        Raises:
            MigrationError: It is missing. `taken_back` takes the value away.
        """
        for fill, given in self._given_targets(name):
            if await self._database[name].find_one(given, {"_id": 1}) is not None:
                update = await self._update(fill, self._step.after[name])
                if fill.field == "owner_id":
                    # An interrupted run may have given a user with this address who was deleted since.
                    change = self._change(fill, self._step.after[name])
                    others = replace(change, where={"owner_id": {"$ne": update["$set"]["owner_id"]}})
                    await run_all(self._database, name, [others], self._revision)

    def taken_back(self, name: str) -> list[Change]:
        """Return the changes that take away the owner or the reference that `of` gives."""

        def unset(column: str) -> Callable[[], Awaitable[Document]]:
            async def update() -> Document:
                return {"$unset": {column: ""}}

            return update

        return [Change(given, unset(*given)) for _, given in self._given_targets(name)]

    def _given_targets(self, name: str) -> Iterator[tuple[Fill, Document]]:
        """Yield the fills of a collection with an owner or a reference, and which documents have it."""
        for fill in self._of(name):
            field = self._step.after[name].by_name.get(fill.field)
            if field is None:
                yield fill, {"owner_id": {"$exists": True}}
            elif field.kind == "reference" and fill.value is not None:
                yield fill, {field.column: stored_value(field, fill.value)}

    def _of(self, name: str) -> list[Fill]:
        is_there = name in self._step.before and name in self._step.after
        return [fill for fill in self._step.operation.fills() if is_there and fill.resource == name]

    def _is_new(self, fill: Fill) -> bool:
        return self._column(fill) not in all_columns(self._step.before[fill.resource])

    def _column(self, fill: Fill) -> str:
        (column,) = columns_of(self._step.after[fill.resource], [fill.field])
        return column

    def _change(self, fill: Fill, spec: ResourceSpec) -> Change:
        column, is_new = self._column(fill), self._is_new(fill)
        where = {column: {"$exists": False} if is_new else fill.instead_of}
        is_required = not is_new or column not in optional_columns(spec)
        return Change(where, lambda: self._update(fill, spec), is_required)

    async def _update(self, fill: Fill, spec: ResourceSpec) -> Document:
        field = spec.by_name.get(fill.field)
        if field is None:
            owner = await self._database[USERS.name].find_one({"email": owner_address(fill)}, {"_id": 1})
            if owner is None:
                raise unknown_owner(self._revision, fill, self._direction)
            return {"$set": {"owner_id": owner["_id"]}}
        stored = stored_value(field, fill.value)
        values = {field.column: stored}
        if field.searchable:
            values[f"{field.column}_folded"] = stored and fold_case(stored)
        if field.kind == "reference" and stored is not None:
            await self._require_target(fill, field)
        return {"$set": values}

    async def _require_target(self, fill: Fill, field: FieldSpec) -> None:
        target = field.target or ""
        if await self._database[target].find_one({"_id": object_id(fill.value)}, {"_id": 1}) is None:
            raise MigrationError(
                f"revision {self._revision}: {target} has no row {fill.value}, which {fill.resource}."
                f"{fill.field} would refer to"
            )


def removals(before: CollectionSpec, after: CollectionSpec) -> list[Change]:
    """Return the change that takes away the values of fields that are gone."""
    gone = sorted(_properties(before).keys() - _properties(after).keys())

    async def unset() -> Document:
        return {"$unset": dict.fromkeys(gone, "")}

    where = {"$or": [{column: {"$exists": True}} for column in gone]}
    return [Change(where, unset)] if gone else []


def _properties(collection: CollectionSpec) -> dict[str, Any]:
    properties: dict[str, Any] = collection.validator["$jsonSchema"]["properties"]
    return properties


def loose_validator(before: CollectionSpec, after: CollectionSpec) -> Document:
    """Return a validator that accepts the documents of both, and those in between."""
    old, new = _properties(before), _properties(after)
    schemas = (collection.validator["$jsonSchema"] for collection in (before, after))
    required = set.intersection(*(set(schema["required"]) for schema in schemas))
    both = {
        name: old.get(name, new.get(name))
        if old.get(name) == new.get(name) or not (name in old and name in new)
        else {"anyOf": [old[name], new[name]]}
        for name in old | new
    }
    return {
        "$jsonSchema": {
            "bsonType": "object",
            # The other fields may be missing for a while.
            "required": sorted(required - {REFERENCES}),
            "properties": both,
            "additionalProperties": False,
        }
    }
