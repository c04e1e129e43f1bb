"""The check of the schema before anything is served, as queries and the function of their rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from backends.errors import ResourcesMissing, RevisionMismatch, SchemaDrifted
from backends.sql.ownership import READ_REVISIONS, catalog_query, has_revisions, occupancy
from backends.sql.schema import METADATA, REVISION

if TYPE_CHECKING:
    from sqlalchemy import Table

T = TypeVar("T")

Queries: TypeAlias = Generator[str, list[tuple[Any, ...]], T]
"""Yields queries without parameters, receives their rows, and returns a result.

It is a generator, so that the same code runs on asynchronous and synchronous connections.
"""


async def answer(queries: Queries[T], query: Callable[[str], Awaitable[list[tuple[Any, ...]]]]) -> T:
    """Run the queries; return their result."""
    try:
        sql = next(queries)
        while True:
            sql = queries.send(await query(sql))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def answer_blocking(queries: Queries[T], query: Callable[[str], Sequence[Any]]) -> T:
    """Run the queries on a synchronous connection; return their result."""
    try:
        sql = next(queries)
        while True:
            sql = queries.send([tuple(row) for row in query(sql)])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def check_schema(
    tables: Mapping[str, Table], resources: Collection[str], *, on_sqlite: bool
) -> Queries[None]:
    """Check that the schema is the one that the code needs: see `backends.protocols.Backend.check_schema`.

    Args:
        tables: All tables by name, those of resources included.
        resources: The names of the resources.
        on_sqlite: Whether the database is SQLite.
    """
    rows = yield catalog_query(tables, on_sqlite=on_sqlite)
    # Alembic records the revision.
    revisions = (yield READ_REVISIONS) if has_revisions(rows) else []
    found = occupancy(rows, revisions, tables, on_sqlite=on_sqlite)
    applied = found.applied
    if applied is None or applied <= REVISION:
        found.refuse_foreign(made=tables if applied else ())
    if applied != REVISION:
        raise RevisionMismatch(applied, REVISION)
    if missing := [name for name in resources if name not in found.recognised]:
        raise ResourcesMissing(missing)
    declared = [tables[name] for name in resources if name not in METADATA.tables]
    if differences := found.drift(declared):
        raise SchemaDrifted(differences)
