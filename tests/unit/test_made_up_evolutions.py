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
from tests.differential.evolutions import Evolution, evolutions
from tests.unit.changes import assert_same, specs_of, stored


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
    max_examples=25,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(evolutions())
def check_evolution(folder: Path, evolution: Evolution) -> None:
    """Write both revisions, read them, and undo the second one."""
    for each in (folder / "migrations").glob("*.py"):
        each.unlink()
    files = Folder(folder)
    files.write(evolution.before, "First")
    first = files.history(evolution.before)
    assert changes_of(first) == []
    operations = files.write(evolution.after, "Second", evolution.given)
    assert bool(operations) == (
        sorted(map(stored, specs_of(evolution.before))) != sorted(map(stored, specs_of(evolution.after)))
    )
    history = files.history(evolution.after)
    if not operations:
        return
    assert list(history.revisions[-1].operations) == operations
    assert changes_of(history) == []
    assert_same(history.state, specs_of(evolution.after))
    try:
        steps = history.revisions[-1].undoing()
    except MigrationError as exc:
        refusal = str(exc)
        assert refusal.startswith("revision 0002 can't be undone: the values of ")
        return
    assert_same(
        steps[-1].operation.after(steps[-1].before) if steps else first.state, specs_of(evolution.before)
    )
    assert_same(apply_all([each.operation for each in steps], history.state), specs_of(evolution.before))


def test_made_up_evolutions_add_up(tmp_path: Path) -> None:
    """Whatever a declaration becomes, its revision leads there, is read as it was written, and back."""
    check_evolution(tmp_path)
