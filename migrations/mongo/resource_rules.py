"""Finds documents that break the rules of revisions. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.models.resources.values import FROM_JSON
from backends.mongo.documents import encoder_of
from backends.mongo.resource_collections import schema_of
from migrations.resources.existing import all_columns, columns_of, existing_rules
from migrations.resources.violations import NAMED, Direction, broken_rule

if TYPE_CHECKING:
    from backends.models.resources import FieldSpec, ResourceSpec
    from backends.mongo.driver import Database, Document
    from migrations.resources.history import Step
    from migrations.resources.operations import Rule


async def check_rules(
    database: Database, revision: str, steps: Sequence[Step], direction: Direction
) -> None:
    """Check all rules: on the documents as they are, and as the steps before the rule's own change them.

    Raises:
        MigrationError: Documents break a rule.
    """
    unchanged: list[Document] = []
    as_they_are = [(rule, spec, unchanged) for rule, spec in existing_rules(steps)]
    for rule, spec, stages in (*as_they_are, *_rules_meanwhile(steps)):
        if ids := await find_broken(database, rule, spec, stages):
            raise broken_rule(revision, rule, ids, direction)


def _rules_meanwhile(steps: Sequence[Step]) -> Iterator[tuple[Rule, ResourceSpec, list[Document]]]:
    """Yield the rules about resources that earlier steps change, with the stages that change documents."""
    stages: dict[str, list[Document]] = {name: [] for step in steps[:1] for name in step.before}
    for step in steps:
        for rule in step.operation.rules():
            if earlier := stages.get(rule.resource):
                yield rule, step.after[rule.resource], list(earlier)
        # A resource that is added has no documents, even if there was one of its name.
        stages = {name: given for name, given in stages.items() if name in step.after}
        for name in stages:
            stages[name] += _stages(step, step.before[name], step.after[name])


def _stages(step: Step, before: ResourceSpec, after: ResourceSpec) -> Iterator[Document]:
    """Yield the stages of a pipeline that change documents as the step does."""
    if gone := sorted(all_columns(before) - all_columns(after)):
        yield {"$unset": gone}
    for fill in step.operation.fills():
        if fill.resource == after.name:
            (column,) = columns_of(after, [fill.field])
            field = after.by_name.get(fill.field)
            # Any one owner stands for the owner of all.
            value: Any = {"$literal": stored_value(field, fill.value) if field else fill.value}
            if column in all_columns(before):
                is_filled = {"$eq": [{"$ifNull": [f"${column}", None]}, {"$literal": fill.instead_of}]}
                value = {"$cond": [is_filled, value, f"${column}"]}
            yield {"$addFields": {column: value}}


def stored_value(field: FieldSpec, value: Any) -> Any:
    """Return the stored form of a value in JSON types."""
    encode = encoder_of(field)
    python = value if value is None else FROM_JSON.get(field.kind, lambda same: same)(value)
    return python if python is None or encode is None else encode(python)


async def find_broken(
    database: Database, rule: Rule, spec: ResourceSpec, stages: Sequence[Document] = ()
) -> list[str]:
    """Return the ids of documents that break a rule, in their order; at most `NAMED` + 1.

    Args:
        database: The database.
        rule: The rule.
        spec: The specification of the resource after the operation.
        stages: Change the documents before they are compared with the rule.
    """
    columns = columns_of(spec, rule.fields)
    pipeline: list[Any] = [
        *stages,
        *(_find_duplicates(columns) if rule.kind == "unique" else [{"$match": _condition(rule, spec)}]),
        {"$sort": {"_id": 1}},
        {"$limit": NAMED + 1},
        {"$project": {"_id": 1}},
    ]
    reply = await database.command(
        {"aggregate": spec.name, "pipeline": pipeline, "cursor": {}, "allowDiskUse": True}
    )
    return [str(document["_id"]) for document in reply["cursor"]["firstBatch"]]


def _find_duplicates(columns: Sequence[str]) -> list[Document]:
    """Return the stages that find documents with equal values; those with a null among them are exempt."""
    key = {f"k{index}": f"${column}" for index, column in enumerate(columns)}
    return [
        {"$match": {column: {"$ne": None} for column in columns}},
        {"$project": dict.fromkeys(columns, 1)},
        {"$setWindowFields": {"partitionBy": key, "output": {"count_of_same": {"$count": {}}}}},
        {"$match": {"count_of_same": {"$gt": 1}}},
    ]


def _condition(rule: Rule, spec: ResourceSpec) -> Document:
    if rule.kind == "empty":
        return {}
    (column,) = columns_of(spec, rule.fields)
    match rule.kind:
        case "bounds":
            return _outside(replace(spec.by_name[rule.fields[0]], nullable=True))
        case "choice":
            return {column: rule.choice}
        case _:
            return {column: None}


def _outside(field: FieldSpec) -> Document:
    """Return the condition on documents with values that the bounds of a field refuse.

    The validator's own schema is asked where it has the bounds: what it refuses is found, and nothing else.
    """
    outside = [refused_by({"properties": {field.column: schema_of(field)}})]
    if field.kind == "decimal":
        digits = replace(field, minimum=None, maximum=None)
        outside.append(refused_by({"properties": {field.column: schema_of(digits)}}))
    if field.kind in {"time", "date"}:
        bounds = (("$lt", field.minimum), ("$gt", field.maximum))
        outside += [
            {field.column: {operator: stored_value(field, bound)}}
            for operator, bound in bounds
            if bound is not None
        ]
    return {"$or": outside}


def refused_by(schema: Document) -> Document:
    """Return the condition on documents that a JSON schema refuses."""
    return {"$nor": [{"$jsonSchema": schema}]}
