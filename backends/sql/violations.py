"""Finds out which constraint of a resource a write violated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.errors import AlreadyExists, BackendError, Conflict, NotFound

if TYPE_CHECKING:
    from backends.sql.connections import Connections
    from backends.sql.errors import ConstraintViolation
    from backends.sql.resource_statements import ResourceStatements


class Violations:
    """The violations of one resource's constraints.

    A database names the constraint that it checked first, or none. The queries here find the first one in
    the order of the protocol, so that each database reports the same one.
    """

    def __init__(self, connections: Connections, statements: ResourceStatements) -> None:
        """Ask on these connections."""
        self._connections = connections
        self._statements = statements
        self._spec = statements.spec

    async def explain(self, violation: ConstraintViolation, *rows: Mapping[str, Any]) -> BackendError:
        """Return the constraint that a write violated. These queries run for errors only."""
        if violation.kind == "check":
            # Values were validated: only a server that is older than the last revision comes here.
            return BackendError(
                f"a CHECK refused a {self._spec.entity}: a newer revision or a change by hand added it; "
                "`eitherdb migrate current` shows the revision"
            )
        if violation.kind == "primary_key":
            return AlreadyExists(self._spec.entity, "id")
        if violation.kind == "foreign_key" and self._spec.owned and not self._spec.references:
            return NotFound("user", rows[0]["owner_id"])
        if missing := await self._missing(rows):
            return missing
        if group := await self._taken_group(violation, rows):
            return AlreadyExists(self._spec.entity, ",".join(group))
        return Conflict(f"a row that the {self._spec.entity} collided with has changed meanwhile")

    async def _missing(self, rows: Sequence[Mapping[str, Any]]) -> NotFound | None:
        """Return the first row that these rows refer to and that does not exist."""
        referred = [("owner_id", "users")] if self._spec.owned else []
        referred += [(field.name, field.target or "") for field in self._spec.references]
        for row in rows:
            for name, target in referred:
                if row[name] is None:
                    continue
                found = self._statements.find_target(target)
                if not await self._connections.run(found, {"of_id": row[name]}):
                    return NotFound(self._statements.entity_of(target), row[name])
        return None

    async def _taken_group(
        self, violation: ConstraintViolation, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[str]:
        """Return the first unique group that another row has; empty if that row has changed meanwhile."""
        for group in self._spec.unique:
            if await self._is_taken(group, rows):
                return group
        names = {field.column: field.name for field in self._spec.fields}
        newer = [names.get(column, column) for column in violation.columns]
        # A group that the declaration lacks is of a newer revision.
        return newer if not any(set(newer) == set(group) for group in self._spec.unique) else ()

    async def _is_taken(self, group: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bool:
        statement = self._statements.find_by(frozenset(group))
        seen = set()
        for row in rows:
            values = {name: row[name] for name in group}
            if None in values.values():
                continue
            found = await self._connections.run(statement, values)
            if any(each["id"] != row["id"] for each in found) or tuple(values.values()) in seen:
                return True
            seen.add(tuple(values.values()))
        return False
