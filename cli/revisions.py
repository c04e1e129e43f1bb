"""The revisions of declared resources, for the commands: writes missing ones, or refuses to serve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.models.resources.names import shown_path
from config import DatabaseChoice, Settings

if TYPE_CHECKING:
    from migrations.resources.changes import Given
    from migrations.resources.history import History


def read_declared(settings: DatabaseChoice) -> tuple[History, ...]:
    """Return the histories of the resources that the settings and installed distributions declare."""
    from backends.models.resources.loading import load_declarations

    declared = load_declarations(settings.resources)
    if not declared:
        return ()
    from migrations.resources.history import read_histories

    return read_histories(declared)


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
        typer.Exit: One is no name with a JSON value; the reason is printed.
    """
    found = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            found[name] = json.loads(text)
        except ValueError:
            from cli.usage_error import refusal

            raise refusal(
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
    from migrations.resources.changes import changes_of
    from migrations.resources.writer import summary_of, write_revision

    histories = read_declared(settings)
    _check_asked(histories, asked)
    # All of them are found before the first is written.
    found = [
        (history, [] if asked.empty else changes_of(history, _given_to(history, asked)))
        for history in histories
    ]
    written = [
        shown_path(write_revision(history, message or summary_of(operations), operations))
        for history, operations in found
        if operations or asked.empty
    ]
    if settings.resources and message is not None and not written:
        raise MigrationError("the revisions add up to what is declared: there is nothing to write")
    return written


def _check_asked(histories: Sequence[History], asked: Asked) -> None:
    from migrations import MigrationError

    if asked != NOTHING_ASKED and not histories:
        raise MigrationError("--drop, --value and --empty are about declared resources: set RESOURCES")
    if asked.empty and len(histories) > 1:
        names = ", ".join(history.name for history in histories)
        raise MigrationError(f"--empty: there are several histories, {names}; set RESOURCES to one of them")
    if asked.empty and (asked.drops or asked.values):
        raise MigrationError("--empty: a revision without operations drops nothing and gives no values")
    known = {name for history in histories for name in _resources_of(history)}
    given = [*asked.drops, *asked.values]
    if unknown := sorted({name for name in given if name.partition(".")[0] not in known}):
        raise MigrationError(
            f"--drop and --value: there is no resource of {', '.join(unknown)}; there are: "
            f"{', '.join(sorted(known))}"
        )


def _given_to(history: History, asked: Asked) -> Given:
    """Return what concerns the resources of one history."""
    from migrations.resources.changes import Given

    names = _resources_of(history)
    return Given(
        [name for name in asked.drops if name.partition(".")[0] in names],
        {name: value for name, value in asked.values.items() if name.partition(".")[0] in names},
    )


def _resources_of(history: History) -> set[str]:
    return {*history.state, *(spec.name for spec in history.declared)}


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
            changes = summary_of(operations)
            raise MigrationError(
                f"the declaration has changes without a revision in {shown_path(history.folder)}: "
                f'{changes[0].lower()}{changes[1:]}; run `eitherdb migrate revision -m "…"` and then '
                "`eitherdb migrate upgrade`"
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
