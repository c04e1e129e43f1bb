"""What a revision finds before it: the rows that its rules are about, and the owner of existing rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from backends.models.resources import ResourceSpec
from backends.models.text import normalise_email
from migrations.resources.history import Step
from migrations.resources.operations import Fill, Rule


def existing_rules(steps: Sequence[Step]) -> Iterator[tuple[Rule, ResourceSpec]]:
    """Yield the rules about fields that exist before the first step, with the specification of each.

    A rule on a field or a resource that an earlier step adds is about no rows.
    """
    known: dict[str, set[str]] = {}
    for index, step in enumerate(steps):
        if not index:
            known = {name: all_columns(spec) for name, spec in step.before.items()}
        for rule in step.operation.rules():
            spec = step.after[rule.resource]
            # `empty` is about a resource, and names no field.
            if rule.resource in known and known[rule.resource].issuperset(columns_of(spec, rule.fields)):
                yield rule, spec
        known = {
            name: columns & all_columns(step.after[name])
            for name, columns in known.items()
            if name in step.after
        }


def columns_of(spec: ResourceSpec, names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of fields by their names; `owner_id` is its own."""
    return tuple(spec.by_name[name].column if name in spec.by_name else name for name in names)


def all_columns(spec: ResourceSpec) -> set[str]:
    """Return the columns of all declared fields, and that of the owner."""
    return {*(field.column for field in spec.fields), *(["owner_id"] if spec.owned else [])}


def owner_address(fill: Fill) -> str:
    """Return the address of the user who gets existing rows, as it is stored."""
    try:
        return normalise_email(fill.value)
    except ValueError:
        return str(fill.value)  # nobody has it
