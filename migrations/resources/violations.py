"""The messages about rows that a revision of declared resources can't change, on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from migrations import MigrationError
from migrations.resources.operations import Fill, Rule

NAMED = 3
"""The number of rows that a message names. A query for one more is enough."""

NOTHING_CHANGED = "this revision changed nothing"

Direction: TypeAlias = Literal["upgrade", "downgrade"]


def broken_rule(
    revision: str,
    rule: Rule,
    ids: Sequence[str],
    direction: Direction = "upgrade",
    *,
    changed: str = NOTHING_CHANGED,
) -> MigrationError:
    """Return the error about rows that break a rule.

    Args:
        revision: `library:0003`.
        rule: The rule.
        ids: The ids of these rows, in their order; `NAMED` + 1 are enough.
        direction: What is run again when the rows are corrected.
        changed: What the run has changed before.
    """
    rows = f"{', '.join(ids[:NAMED])}{' and others' if ids[NAMED:] else ''}"
    return MigrationError(
        f"revision {revision}: {_problem(rule)} {rows}; {changed}; correct these rows and run "
        f"`eitherdb migrate {direction}` again"
    )


def _problem(rule: Rule) -> str:
    place = f"{rule.resource}.{', '.join(rule.fields)}"
    match rule.kind:
        case "bounds":
            return f"{place} has values outside its new bounds in"
        case "choice":
            return f"{place} has the choice {rule.choice!r}, which is removed, in"
        case "not_null":
            return f"{place} is null in"
        case "unique" if len(rule.fields) > 1:
            return f"{rule.resource} has the same values of {' and '.join(rule.fields)} in"
        case "unique":
            return f"{place} has the same value in"
        case _:
            return f"{rule.resource} has rows, which would have no owner:"


def unknown_owner(revision: str, fill: Fill, direction: Direction = "upgrade") -> MigrationError:
    """Return the error about an owner of existing rows whom no user's address is."""
    return MigrationError(
        f"revision {revision}: {fill.resource} has rows, and no user has the email address {fill.value!r} "
        f"of their owner; {NOTHING_CHANGED}; create this user, then run `eitherdb migrate {direction}`"
    )
