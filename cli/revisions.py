"""The revisions of declared resources, for the commands: writes missing ones, or refuses to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.models.resources.names import shown_path
from config import DatabaseChoice, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrations.resources.history import History


def read_declared(settings: DatabaseChoice) -> tuple[History, ...]:
    """Return the histories of the resources that the settings and installed distributions declare."""
    from backends.models.resources.loading import load_declarations
    from migrations.resources.history import read_histories

    return read_histories(load_declarations(settings.resources))


def write_revisions(settings: DatabaseChoice, message: str | None = None) -> list[str]:
    """Write the missing revision of each history; return the paths.

    Args:
        settings: The settings.
        message: The summary; None for the names of the added resources.

    Raises:
        MigrationError: Resources are declared in RESOURCES, and no revision is missing although a message
            is given; or there is no operation for a change.
    """
    from migrations import MigrationError
    from migrations.resources.changes import changes_of
    from migrations.resources.writer import write_revision

    written = []
    for history in read_declared(settings):
        if operations := changes_of(history):
            names = ", ".join(each.spec.name for each in operations)
            path = write_revision(history, message or f"Add {names}", operations)
            written.append(shown_path(path))
    if settings.resources and message is not None and not written:
        raise MigrationError("the revisions add up to what is declared: there is nothing to write")
    return written


def require_revisions(histories: Sequence[History]) -> None:
    """Refuse a declaration that its revisions don't add up to, with the command that helps.

    Raises:
        MigrationError: A revision is missing.
    """
    from migrations import MigrationError
    from migrations.resources.changes import changes_of

    for history in histories:
        if operations := changes_of(history):
            names = ", ".join(each.spec.name for each in operations)
            raise MigrationError(
                f"no revision in {shown_path(history.folder)} adds {names}: run `eitherdb migrate revision "
                '-m "…"` and then `eitherdb migrate upgrade`'
            )


async def require_applied(settings: Settings, histories: Sequence[History]) -> None:
    """Refuse a declaration or a database that is behind, with the command that helps.

    Raises:
        MigrationError: A revision is missing, as a file or in the database.
    """
    from migrations import MigrationError, read_applied
    from migrations.resources.plan import behind

    if not histories:
        return
    require_revisions(histories)
    if late := behind(histories, await read_applied(settings, histories)):
        raise MigrationError("\n".join(late))
