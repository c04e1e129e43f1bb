"""The comparison of a column's type in the database with the declared one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


def compare_type(
    context: MigrationContext,
    _inspected: object,
    _declared: object,
    inspected_type: Any,
    metadata_type: Any,
) -> bool | None:
    """Compare collations too, which decide the order of text and which Alembic ignores."""
    impl = metadata_type.dialect_impl(context.dialect)
    expected = getattr(impl, "collation", None)
    if getattr(inspected_type, "collation", None) != expected:
        return True
    return None  # use Alembic's comparison
