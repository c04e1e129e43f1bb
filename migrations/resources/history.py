"""Reads the revisions of a folder, in their order, and adds up what they declare."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.models.resources import ResourceSpec
from backends.models.resources.loading import Declarations
from backends.models.resources.names import ROOT, shown_path
from migrations import MigrationError, Revision
from migrations.resources.checks import apply_all
from migrations.resources.operations import AddResource, Harmless, Operation, State

FOLDER = "migrations"

_FILE = re.compile(r"(?P<number>(?!0000)[0-9]{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class Step:
    """An operation, with the state before and after it."""

    operation: Operation
    before: State
    after: State


@dataclass(frozen=True, slots=True)
class ResourceRevision:
    """A revision of declared resources.

    Attributes:
        number: `0001`.
        summary: The first line of the file.
        operations: What it does, in this order.
        before: The state before it.
        after: The state after it.
    """

    number: str
    summary: str
    operations: tuple[Operation, ...]
    before: State
    after: State

    @property
    def added(self) -> list[str]:
        """The names of the resources that it adds."""
        return [each.spec.name for each in self.operations if isinstance(each, AddResource)]

    @property
    def loses(self) -> list[str]:
        """What is lost when it is applied."""
        return [lost for operation in self.operations if (lost := operation.loses())]

    @property
    def steps(self) -> list[Step]:
        """The operations, each with the state before and after it."""
        found, state = [], self.before
        for operation in self.operations:
            found.append(Step(operation, state, operation.after(state)))
            state = found[-1].after
        return found

    def undoing(self) -> list[Step]:
        """Return the steps that undo it, in their order.

        Raises:
            MigrationError: One of its operations can't be undone.
        """
        try:
            return [
                Step(step.operation.undone(step.before), step.after, step.before)
                for step in reversed(self.steps)
            ]
        except ValueError as exc:
            raise MigrationError(f"revision {self.number} can't be undone: {exc}") from exc


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of the resources that one folder declares.

    Attributes:
        name: The name under which a database records them. The files say it, so a folder may move.
        folder: The folder of the files, which may not exist yet.
        revisions: The revisions, oldest first.
        declared: What the modules beside the folder declare.
    """

    name: str
    folder: Path
    revisions: tuple[ResourceRevision, ...]
    declared: tuple[ResourceSpec, ...]

    @property
    def state(self) -> State:
        """The specifications that the revisions add up to."""
        return self.revisions[-1].after if self.revisions else {}

    @property
    def numbers(self) -> list[str]:
        """The numbers of the revisions, oldest first."""
        return [revision.number for revision in self.revisions]

    def revision(self, number: str) -> ResourceRevision:
        """Return the revision with this number, which exists."""
        return next(each for each in self.revisions if each.number == number)

    def after(self, number: str | None) -> State:
        """Return the state after a revision; None and `base` stand for none."""
        return next((each.after for each in self.revisions if each.number == number), {})

    def listed(self) -> list[Revision]:
        """Return the revisions for `eitherdb migrate history`."""
        return [Revision(f"{self.name}:{each.number}", each.summary) for each in self.revisions]


def newest_state(histories: Iterable[History]) -> State:
    """Return the specifications that all revisions of all histories add up to."""
    return {name: spec for history in histories for name, spec in history.state.items()}


def history_of(name: str, specs: Sequence[ResourceSpec]) -> History:
    """Return a history without files, of one revision that adds these resources; for tests."""
    state = {spec.name: spec for spec in specs}
    operations = tuple(AddResource(spec) for spec in specs)
    revision = ResourceRevision("0001", name, operations, {}, state)
    return History(name, Path(), (revision,), tuple(specs))


def read_histories(declarations: Sequence[Declarations]) -> tuple[History, ...]:
    """Return one history for each folder that declares resources, in the order of the declarations.

    Raises:
        MigrationError: A file can't be read, or two histories have one name or declare one resource.
    """
    beside: dict[Path, list[Declarations]] = {}
    for each in declarations:
        beside.setdefault(_folder_of(each.path), []).append(each)
    histories = [_read(folder, found) for folder, found in beside.items()]
    for index, history in enumerate(histories):
        for other in histories[:index]:
            if other.name == history.name:
                raise MigrationError(
                    f"{shown_path(other.folder)} and {shown_path(history.folder)} are both the history "
                    f"{history.name!r}: give HISTORY another name in the files of one, before a database "
                    "has it"
                )
    return tuple(_in_order(histories))


def _in_order(histories: Sequence[History]) -> list[History]:
    """Return the histories so that those that others refer to come first; otherwise in their order."""
    found: list[History] = []
    left = list(histories)
    while left:
        missing = {spec.name for history in left for spec in history.declared}
        ready = [
            history
            for history in left
            if missing.isdisjoint(
                {field.target for spec in history.declared for field in spec.references}
                - {spec.name for spec in history.declared}
            )
        ] or left[:1]
        found += ready
        left = [history for history in left if history not in ready]
    return found


def _folder_of(path: Path) -> Path:
    """Return the folder of the revisions: within a package, beside a file."""
    if path.is_dir():
        return path / FOLDER
    folder = path.parent / FOLDER
    # In a checkout of EitherDB, `migrations/` is EitherDB's own package.
    return path.parent / f"{path.stem}_{FOLDER}" if folder.resolve() == ROOT / FOLDER else folder


def _read(folder: Path, modules: Sequence[Declarations]) -> History:
    files = sorted(folder.glob("[0-9]*.py")) if folder.is_dir() else []
    path = modules[0].path
    name = re.sub(r"\W", "_", path.name if path.is_dir() else path.stem).lower()
    revisions: list[ResourceRevision] = []
    names: set[str] = set()
    for index, file in enumerate(files):
        match = _FILE.fullmatch(file.name)
        if index and match is not None and file.name[:4] == files[index - 1].name[:4]:
            raise MigrationError(
                f"{shown_path(files[index - 1])} and {file.name} both come after {_number(index - 1)}: "
                f"rename the one that no database has yet to {_number(len(files))}_….py"
            )
        if match is None or int(match["number"]) != index + 1:
            raise MigrationError(
                f"{shown_path(file)}: the revisions of a folder are 0001_….py, 0002_….py and so on, each "
                f"once: this would be {index + 1:04}_….py"
            )
        state = revisions[-1].after if revisions else {}
        revision, history = _load(file, match["number"], state)
        revisions.append(revision)
        names.add(history)
    if len(names) > 1:
        raise MigrationError(
            f"{shown_path(folder)}: the files give HISTORY {' and '.join(sorted(names))}: make it one name"
        )
    specs = [cls.__resource__ for module in modules for cls in module.resources]
    return History(names.pop() if names else name, folder, tuple(revisions), tuple(specs))


def _number(number: int) -> str:
    return f"{number:04}" if number else "base"


def _load(file: Path, number: str, before: State) -> tuple[ResourceRevision, str]:
    """Execute a file under a private module name; return the revision, and the name of its history."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"_eitherdb_revision_{digest}", file)
    if spec is None or spec.loader is None:  # only for another suffix than .py
        raise MigrationError(f"{shown_path(file)}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    # A file that was just written may have the time and size of its bytecode's source.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as exc:  # the file may raise anything
        line = (str(exc).splitlines() or [""])[0]
        raise MigrationError(f"{shown_path(file)}: {type(exc).__name__}: {line}") from exc
    finally:
        sys.dont_write_bytecode = written
    history, operations = getattr(module, "HISTORY", None), getattr(module, "OPERATIONS", None)
    if not isinstance(history, str) or not re.fullmatch(r"[a-z_]\w{0,99}", history, re.ASCII):
        raise MigrationError(f'{shown_path(file)}: HISTORY is no name; write HISTORY = "library"')
    after = _apply(file, operations, before)
    summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
    return ResourceRevision(number, summary, tuple(operations or ()), before, after), history


def _apply(file: Path, operations: Iterable[Operation] | None, before: State) -> State:
    if not isinstance(operations, list | tuple) or not all(
        isinstance(each, Harmless) for each in operations
    ):
        raise MigrationError(
            f"{shown_path(file)}: OPERATIONS is no list of operations, such as AddResource"
        )
    try:
        return apply_all(operations, before)
    except ValueError as exc:
        raise MigrationError(f"{shown_path(file)}: {exc}") from exc
