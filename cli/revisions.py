"""The revisions of declared resources, for the commands: writes missing ones, or refuses to serve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from backends.models.resources.names import shown_path
from config import DatabaseChoice, Settings

if TYPE_CHECKING:
    from migrations.resources.history import History


def read_declared(settings: DatabaseChoice) -> tuple[History, ...]:
    """Return the histories of the resources that the settings and installed distributions declare."""
    from backends.models.resources.loading import load_declarations
    from migrations.resources.history import read_histories

    return read_histories(load_declarations(settings.resources))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the author of a revision decides.

    Attributes:
        drops: What may be dropped: see `migrations.resources.changes.Given`.
        values: The values that existing rows get, likewise.
        empty: Write a revision without operations.
    """

    drops: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    empty: bool = False


NOTHING_ASKED = Asked()


def read_values(given: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--value books.shelf="A"` by name.

    Raises:
        typer.BadParameter: One is no name with a JSON value.
    """
    found = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            found[name] = json.loads(text)
        except ValueError:
            raise typer.BadParameter(
                f"--value {each}: write the name and a value in JSON, such as --value 'books.shelf=\"A\"'"
            ) from None
    return found


def write_revisions(
    settings: DatabaseChoice, message: str | None = None, asked: Asked = NOTHING_ASKED
) -> list[str]:
    """Write the missing revision of each history; return the paths.

    Args:
        settings: The settings.
        message: The summary; None for a list of the operations.
        asked: What the declaration does not say.

    Raises:
        MigrationError: Resources are declared in RESOURCES, and no revision is missing although a message
            is given; or a change needs a decision, or there is no operation for it.
    """
    from migrations import MigrationError
    from migrations.resources.changes import Given, changes_of
    from migrations.resources.writer import summary_of, write_revision

    written = []
    for history in read_declared(settings):
        operations = [] if asked.empty else changes_of(history, Given(asked.drops, asked.values))
        if operations or asked.empty:
            path = write_revision(history, message or summary_of(operations), operations)
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
    from migrations.resources.writer import summary_of

    for history in histories:
        if operations := changes_of(history):
            raise MigrationError(
                f"no revision in {shown_path(history.folder)} does this: {summary_of(operations)}; run "
                '`eitherdb migrate revision -m "…"` and then `eitherdb migrate upgrade`'
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
