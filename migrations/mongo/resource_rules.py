"""Finds documents that break the rules of revisions. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.mongo.resource_collections import schema_of
from migrations.resources.existing import columns_of
from migrations.resources.violations import NAMED

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec
    from backends.mongo.driver import Database, Document
    from migrations.resources.operations import Rule


async def find_broken(database: Database, rule: Rule, spec: ResourceSpec) -> list[str]:
    """Return the ids of documents that break a rule, in their order; at most `NAMED` + 1.

    Args:
        database: The database.
        rule: The rule.
        spec: The specification of the resource after the operation.
    """
    if rule.kind == "unique":
        return await _find_duplicates(database, spec.name, columns_of(spec, rule.fields))
    found = database[spec.name].find(_condition(rule, spec), {"_id": 1}).sort([("_id", 1)])
    return [str(document["_id"]) for document in await found.limit(NAMED + 1).to_list(NAMED + 1)]


def _condition(rule: Rule, spec: ResourceSpec) -> Document:
    if rule.kind == "empty":
        return {}
    (column,) = columns_of(spec, rule.fields)
    match rule.kind:
        case "bounds":
            # The validator's own rules, so that nothing is found that it allows, or the other way round.
            schema = schema_of(replace(spec.by_name[rule.fields[0]], nullable=True))
            return refused_by({"properties": {column: schema}})
        case "choice":
            return {column: rule.choice}
        case _:
            return {column: None}


def refused_by(schema: Document) -> Document:
    """Return the condition on documents that a JSON schema refuses."""
    return {"$nor": [{"$jsonSchema": schema}]}


async def _find_duplicates(database: Database, name: str, columns: tuple[str, ...]) -> list[str]:
    """Return the ids of documents with equal values, without those that have a null among them."""
    pipeline: list[Any] = [
        {"$match": {column: {"$ne": None} for column in columns}},
        {
            "$group": {
                "_id": {f"k{index}": f"${column}" for index, column in enumerate(columns)},
                "first": {"$min": "$_id"},
                "last": {"$max": "$_id"},
            }
        },
        {"$match": {"$expr": {"$ne": ["$first", "$last"]}}},
        {"$sort": {"first": 1}},
        {"$limit": NAMED},
    ]
    reply = await database.command(
        {"aggregate": name, "pipeline": pipeline, "cursor": {}, "allowDiskUse": True}
    )
    found = [(each["first"], each["last"]) for each in reply["cursor"]["firstBatch"]]
    return [str(id_) for pair in found for id_ in pair][: NAMED + 1]
