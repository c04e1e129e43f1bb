"""Made-up evolutions of declarations: their revisions add up, without a database."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from backends.models.resources import Resource
from backends.models.resources.loading import Declarations
from migrations import MigrationError
from migrations.resources.changes import NOTHING_GIVEN, Given, changes_of
from migrations.resources.checks import apply_all
from migrations.resources.history import History, read_histories
from migrations.resources.writer import write_revision
from tests.contract.made_up import load
from tests.differential.evolutions.made_up import Evolution, evolutions
from tests.unit.changes import assert_same, specs_of


class Folder:
    """A folder with a declaration and its revisions."""

    def __init__(self, path: Path) -> None:
        """Start without revisions."""
        self.path = path

    def history(self, source: str) -> History:
        """Read the revisions beside a declaration."""
        classes: tuple[type[Resource], ...] = load(source)
        module = Declarations("library.py", ModuleType("library"), self.path / "library.py", classes)
        (history,) = read_histories([module])
        return history

    def write(self, source: str, message: str, given: Given = NOTHING_GIVEN) -> list[Any]:
        """Write the next revision, and return what it does."""
        history = self.history(source)
        operations = changes_of(history, given)
        if operations:
            write_revision(history, message, operations)
        return operations


@seed(0)
@settings(
    # Hypothesis varies each one several times if there are more.
    max_examples=9,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(evolutions())
def check_evolution(folder: Path, evolution: Evolution) -> None:
    """Write every revision, read it, and undo it."""
    for each in (folder / "migrations").glob("*.py"):
        each.unlink()
    files = Folder(folder)
    written = evolution.histories()[-1].revisions
    before = files.history("")
    for revision, expected in zip(evolution.revisions, written, strict=True):
        operations = files.write(revision.declaration, "Change", revision.given)
        history = files.history(revision.declaration)
        assert list(history.revisions[-1].operations) == operations
        assert changes_of(history) == []
        assert_same(history.state, specs_of(revision.declaration))
        assert_same(expected.after, specs_of(revision.declaration))
        check_undoing(history, before)
        before = history


def check_undoing(history: History, before: History) -> None:
    """Undo the newest revision, if it can be undone: the state is that of before."""
    try:
        steps = history.revisions[-1].undoing()
    except MigrationError as exc:
        refusal = str(exc)
        assert " can't be undone: the values of " in refusal
        return
    assert steps[-1].after == before.state
    assert_same(apply_all([each.operation for each in steps], history.state), [*before.state.values()])


def test_made_up_evolutions_add_up(tmp_path: Path) -> None:
    """Whatever a declaration becomes, its revision leads there, is read as it was written, and back."""
    check_evolution(tmp_path)
