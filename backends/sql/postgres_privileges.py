"""The privileges that a PostgreSQL user needs on the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backends.requirements import UnmetRequirement
from backends.sql.ownership import REVISIONS
from backends.sql.resource_migrations import RESOURCE_MIGRATIONS

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec

_REFERENCES = "REFERENCES"
"""The privilege that a new table needs on the tables that it refers to."""

_EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "users": _EVERYTHING,
    "items": _EVERYTHING,
    "accounts": _EVERYTHING,
    "counters": _EVERYTHING,
    # Rows of these tables never change.
    "transfers": ("SELECT", "INSERT"),
    "idempotency_keys": ("SELECT", "INSERT"),
    REVISIONS: ("SELECT",),
}
"""The privileges that the repositories need on each table."""


def needed_privileges(resources: Collection[ResourceSpec]) -> Iterator[tuple[str, str]]:
    """Yield the tables and the privileges on them that serving or migrating needs."""
    for table, verbs in privileges(resources).items():
        for verb in verbs:
            yield table, verb
    targets = {field.target for spec in resources for field in spec.references}
    for table in sorted({"users", *filter(None, targets)}):
        yield table, _REFERENCES


def privileges(resources: Collection[ResourceSpec]) -> dict[str, tuple[str, ...]]:
    """Return the privileges that the repositories need on each table, those of resources included."""
    if all(spec.name in PRIVILEGES for spec in resources):
        return dict(PRIVILEGES)
    of_resources = {spec.name: _EVERYTHING for spec in resources}
    return {**PRIVILEGES, **of_resources, RESOURCE_MIGRATIONS.name: ("SELECT",)}


def denied_rows(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    """Report the privileges that serving needs and the user lacks."""
    missing = [entry for entry in _missing(facts) if entry[1] != _REFERENCES]
    yield from _denied(facts, missing, "they are needed to serve")


def _missing(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the tables and the privileges on them that the user lacks."""
    pairs = (entry.rpartition(" ") for entry in _listed(facts["missing"]))
    return [(table, verb) for table, _, verb in pairs]


def _denied(
    facts: Mapping[str, Any], missing: Iterable[tuple[str, str]], needed: str
) -> Iterator[UnmetRequirement]:
    tables: dict[str, list[str]] = {}
    for table, verb in missing:
        tables.setdefault(table, []).append(verb)
    by_verbs: dict[str, list[str]] = {}
    for table, verbs in tables.items():
        by_verbs.setdefault(", ".join(verbs), []).append(table)
    if by_verbs:
        grants = [
            f"GRANT {verbs} ON {', '.join(_qualified(facts, names))} TO {facts['user']}"
            for verbs, names in by_verbs.items()
        ]
        denied = [f"{verbs} on {', '.join(names)}" for verbs, names in by_verbs.items()]
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} lacks privileges: {'; '.join(denied)}",
            needed=needed,
            remedy="; ".join(grants),
        )


def hidden_rows(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    """Report row-level security."""
    if protected := _listed(facts["row_security"]):
        yield UnmetRequirement(
            subject="privileges",
            found=f"row-level security hides rows of {', '.join(protected)} from the user {facts['user']}",
            needed="every row is needed",
            remedy=f"ALTER ROLE {facts['user']} BYPASSRLS, or "
            + "; ".join(
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in _qualified(facts, protected)
            ),
        )


def denied_changes(facts: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    """Report the privileges that a migration needs and the user lacks."""
    if facts["schema"] is not None and not facts["may_create"]:
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} may not create tables in the schema {facts['schema']}",
            needed="CREATE is needed to migrate",
            remedy=f"GRANT CREATE ON SCHEMA {facts['schema']} TO {facts['user']}, "
            "or migrate as a user who has it: to serve it is not needed",
        )
    of_others = _listed(facts["of_others"])
    # Who does not own a table may not refer to it either, and is told the former.
    missing = [entry for entry in _missing(facts) if entry[1] == _REFERENCES and entry[0] not in of_others]
    yield from _denied(facts, missing, "they are needed to migrate")
    if of_others:
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {facts['user']} does not own {', '.join(of_others)}",
            needed="only the owner may change a table",
            remedy="migrate as the user who made them, or "
            + "; ".join(
                f"ALTER TABLE {table} OWNER TO {facts['user']}" for table in _qualified(facts, of_others)
            ),
        )


def _qualified(facts: Mapping[str, Any], tables: Iterable[str]) -> list[str]:
    return [f"{facts['schema']}.{table}" for table in tables]


def _listed(text: str | None) -> list[str]:
    return text.split(",") if text else []
