"""Which revisions of declared resources an upgrade or a downgrade concerns, on every database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from backends.errors import RevisionMismatch
from migrations import MigrationError, resolve_target
from migrations.resources.history import History

MAX_SUMMARY: Final = 255
"""The length of a recorded summary."""


def split_target(target: str, histories: Sequence[History]) -> tuple[History | None, str]:
    """Return the history and the revision of `library:0001`; None is EitherDB's own history.

    Raises:
        MigrationError: There is no such history.
    """
    name, separator, revision = target.partition(":")
    if not separator:
        return None, target
    found = next((each for each in histories if each.name == name), None)
    if found is None:
        valid = ", ".join(each.name for each in histories) or "none, because RESOURCES names none"
        raise MigrationError(f"there is no history {name!r} of declared resources; there are: {valid}")
    return found, revision


def to_apply(
    target: str, histories: Sequence[History], applied: Mapping[str, str]
) -> list[tuple[History, str]]:
    """Return the revisions that `upgrade` applies after EitherDB's own, in order.

    Args:
        target: `head` for all histories, or `library:0001`. A revision of EitherDB's own needs none.
        histories: The histories, those that others refer to first.
        applied: The newest recorded revision of each history.

    Raises:
        MigrationError: There is no such revision.
        SchemaMismatch: The database has a revision without a file.
    """
    chosen, revision = split_target(target, histories)
    if chosen is None and target != "head":
        return []
    found = []
    for history in histories if chosen is None else [chosen]:
        current = _known(history, applied)
        if not history.revisions and revision == "head":
            continue
        number = resolve_target(revision, history.numbers, current)
        found += [(history, each) for each in history.numbers if (current or "") < each <= number != "base"]
    return found


def require_lossless(
    target: str,
    histories: Sequence[History],
    applied: Mapping[str, str],
    *,
    command: str = "eitherdb migrate upgrade",
) -> None:
    """Refuse an upgrade that loses data.

    Args:
        target: As in `to_apply`.
        histories: Likewise.
        applied: Likewise.
        command: The command that upgrades, also with `--destructive`.

    Raises:
        MigrationError: A revision loses data; or as `to_apply`.
    """
    for history, number in to_apply(target, histories, applied):
        if lost := history.revision(number).loses:
            raise MigrationError(
                f"revision {history.name}:{number} loses {' and '.join(lost)}: run `{command} "
                "--destructive` if they are to go; nothing was changed"
            )


def to_revert(
    target: str, histories: Sequence[History], applied: Mapping[str, str]
) -> list[tuple[History, str]]:
    """Return the revisions that `downgrade` reverts before EitherDB's own, newest first.

    `base` reverts every history, because declared resources refer to users.

    Raises:
        MigrationError: There is no such revision, or RESOURCES does not name a history of the database.
        SchemaMismatch: The database has a revision without a file.
    """
    chosen, revision = split_target(target, histories)
    if chosen is None and target != "base":
        return []
    if unknown := sorted(set(applied) - {each.name for each in histories}):
        raise MigrationError(
            f"the database also has declared resources of {', '.join(unknown)}: name the modules that "
            "declare them in RESOURCES"
        )
    found = []
    for history in reversed(histories) if chosen is None else [chosen]:
        current = _known(history, applied)
        number = resolve_target(revision, history.numbers or ["0000"], current)
        floor = "" if number == "base" else number
        found += [(history, each) for each in reversed(history.numbers) if floor < each <= (current or "")]
    return found


def behind(histories: Sequence[History], applied: Mapping[str, str]) -> list[str]:
    """Return one sentence for each history whose newest revision the database lacks.

    Raises:
        SchemaMismatch: The database has a revision without a file.
    """
    found = []
    for history in histories:
        current, newest = _known(history, applied), next(reversed(history.numbers), None)
        if current != newest:
            found.append(
                f"the database's declared resources ({history.name}:{current or 'base'}) are older than "
                f"their revisions ({history.name}:{newest}): run `eitherdb migrate upgrade`"
            )
    return found


def require_same(histories: Sequence[History], records: Iterable[Sequence[str]]) -> None:
    """Refuse a database with another revision than the file of that number: it was renamed afterwards.

    Args:
        histories: The histories.
        records: The history, the number and the summary of each recorded revision.

    Raises:
        MigrationError: One record has another summary; the message says what to do.
    """
    by_name = {history.name: history for history in histories}
    for name, number, summary in records:
        history = by_name.get(name)
        if history is None or number not in history.numbers:
            continue
        expected = history.revision(number).summary
        if expected[:MAX_SUMMARY] != summary[:MAX_SUMMARY]:
            place = history.numbers.index(number)
            before = history.numbers[place - 1] if place else "base"
            raise MigrationError(
                f"the database has {name}:{number} as {summary!r}, but the file is {expected!r}: run "
                f"`eitherdb migrate downgrade {name}:{before}` with the file that was applied, and then "
                "`eitherdb migrate upgrade` with this one; if only the first line was edited, restore it"
            )


def _known(history: History, applied: Mapping[str, str]) -> str | None:
    current = applied.get(history.name)
    if current is not None and current not in history.numbers:
        raise RevisionMismatch(
            f"{history.name}:{current}", f"{history.name}:{(history.numbers or ['base'])[-1]}"
        )
    return current
