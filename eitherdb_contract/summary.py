"""The summary of a run by backends. The run fails if a test is left out without a declared reason.

Declared reasons are options on the command line, reasons for `run_on_backends`, and markers in
`may_leave_out`. A skip or an expected failure is never declared.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest

from eitherdb_contract.selection import UNSELECTED, backend_of, choice_of, provisions_of

SUITE = Path(__file__).parent / "suite"
NO_BACKEND = "(none)"

_TAKING_A_VALUE = ("-k", "-m", "--deselect", "--ignore", "--ignore-glob", "--rules")
_NARROWING = (*_TAKING_A_VALUE, "--lf", "--last-failed", "--sw", "--stepwise")


def file_of_suite(path: Path) -> str | None:
    """Return the name of a file of the suite, by any path to it; None for any other file."""
    resolved = path.resolve()
    return resolved.name if resolved.parent == SUITE.resolve() else None


class Collection(TypedDict):
    """The collected and left-out tests of a process, in types that test processes can send each other.

    Attributes:
        left_out: Backend, reason, number of tests.
        deselected: The tests that a hook deselected: name, names of markers.
        missing: The files of the suite without a collected test.
    """

    left_out: list[tuple[str, str, int]]
    deselected: list[tuple[str, list[str]]]
    missing: list[str]


class Summary:
    """Counts a run. With pytest-xdist the workers collect, and the controller counts and decides."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        provisions = provisions_of(config)
        self._declared = {provision.name: provision.capabilities for provision in provisions}
        self._collection: Collection = {"left_out": [], "deselected": [], "missing": []}
        self._outcomes: dict[str, tuple[str, str]] = {}
        """Backend and what became of it, by the test's node id."""
        self._skipped: dict[str, str] = {}
        self._refused_though_declared: set[str] = set()

    # -- what is collected -------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Record left-out tests after all other hooks, and remove the tests without a backend."""
        collected = {name for path in {item.path for item in items} if (name := file_of_suite(path))}
        if collected:
            missing = {path.name for path in SUITE.glob("test_*.py")} - collected
            self._collection["missing"] = sorted(missing)
        result = yield
        left_out: Counter[tuple[str, str]] = Counter()
        for item in items:
            choice = choice_of(item)
            if choice is not None and backend_of(item) == (choice.chosen or [UNSELECTED])[0]:
                left_out.update(choice.left_out.items())
        self._collection["left_out"] = [(*key, number) for key, number in left_out.items()]
        items[:] = [item for item in items if backend_of(item) != UNSELECTED]
        if hasattr(config, "workeroutput"):
            config.workeroutput["eitherdb_contract"] = self._collection
        return result

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Record deselected tests."""
        self._collection["deselected"] += [
            (item.nodeid, sorted({mark.name for mark in item.iter_markers()})) for item in items
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Copy a worker's collection. All workers collect the same tests."""
        self._collection = getattr(node, "workeroutput", {}).get("eitherdb_contract", self._collection)

    # -- what runs ---------------------------------------------------------------------------------

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a module that is skipped."""
        if report.skipped:
            self._skipped[report.nodeid] = _reason(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the outcome of a test."""
        properties = dict(report.user_properties)
        backend = str(properties.get("backend", NO_BACKEND))
        refused = {str(value) for name, value in report.user_properties if name == "refused"}
        if report.failed:
            self._outcomes[report.nodeid] = backend, "failed"
        elif report.skipped or hasattr(report, "wasxfail"):
            self._skipped[report.nodeid] = _reason(report)
        elif report.when == "call":
            self._outcomes[report.nodeid] = backend, "refused" if refused else "passed"
            if refused & self._declared.get(backend, frozenset()):
                self._refused_though_declared.add(report.nodeid)

    # -- the verdict -------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run if a test was left out without a declared reason."""
        if session.exitstatus == pytest.ExitCode.OK and any(self.faults()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table of backends and tests, and the left-out tests."""
        if self._config.option.collectonly:
            return
        counts: Counter[tuple[str, str]] = Counter(self._outcomes.values())
        columns = ("passed", "refused", "failed")
        terminalreporter.section("backends x tests")
        terminalreporter.line(
            f"{'':<24}{columns[0]:>10}{'refused by declared capability':>34}{columns[2]:>10}"
        )
        for backend in (*self._declared, NO_BACKEND):
            passed, refused, failed = (counts[backend, column] for column in columns)
            terminalreporter.line(f"{backend:<24}{passed:>10}{refused:>34}{failed:>10}", red=bool(failed))
        for backend, why, number in self._collection["left_out"]:
            terminalreporter.line(f"left out: {number} on {backend}: {why}")
        deselected = Counter(reason for _, reason in self._deselected() if reason)
        for reason, number in deselected.items():
            terminalreporter.line(f"left out: {number}: {reason}")
        for fault in self.faults():
            terminalreporter.line(f"LEFT OUT WITHOUT A DECLARED REASON: {fault}", red=True, bold=True)

    def faults(self) -> Iterator[str]:
        """Return a line for each test that was left out without a declared reason."""
        if self._config.option.collectonly:
            return
        for nodeid, why in self._skipped.items():
            yield f"{nodeid}: {why}"
        for nodeid in sorted(self._refused_though_declared):
            yield f"{nodeid}: refused, though the backend declares the capability"
        for nodeid, reason in self._deselected():
            if reason is None:
                yield f"{nodeid}: deselected"
        if self._choices():
            return
        for name in self._collection["missing"]:
            yield f"{name}: a file of the contract suite, not collected"
        ran = {backend for backend, _ in self._outcomes.values()}
        reasons = {backend for backend, _, _ in self._collection["left_out"]}
        for backend in self._declared:
            if backend not in ran | reasons:
                yield f"{backend}: no test ran on it"

    def _deselected(self) -> Iterator[tuple[str, str | None]]:
        """Return the deselected tests, each with its declared reason if it has one."""
        markers = dict(line.split(":", 1) for line in self._config.getini("markers") if ":" in line)
        may = self._config.getini("may_leave_out")
        chosen = " ".join(self._choices()) or None
        for nodeid, names in self._collection["deselected"]:
            declared = next((f"{name}:{markers.get(name, '')}" for name in names if name in may), None)
            yield nodeid, declared or chosen

    def _choices(self) -> list[str]:
        """Return the command-line options that make the run incomplete."""
        arguments = [
            *self._config.invocation_params.args,
            *shlex.split(os.environ.get("PYTEST_ADDOPTS", "")),
        ]
        texts = [str(argument) for argument in arguments]
        given = [
            " ".join(texts[place : place + 2]) if text in _TAKING_A_VALUE else text
            for place, text in enumerate(texts)
            if text.partition("=")[0] in _NARROWING or text.startswith(("-k", "-m"))
        ]
        if self._config.args_source is pytest.Config.ArgsSource.ARGS:
            whole = {str(SUITE.parent), SUITE.parent.name}
            given += [argument for argument in self._config.args if argument not in whole]
        return given


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return "skipped"
