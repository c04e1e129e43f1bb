"""Run the contract suite in this process, report its progress, and collect the results by rule."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import hypothesis
import pytest

from backends.models.resources import Resource
from cli.signals import on_signals
from eitherdb_contract.provision import Provision
from eitherdb_contract.rules import Rule
from eitherdb_contract.summary import Summary

EXAMPLE_CHARACTERS = 4000

OnProgress: TypeAlias = Callable[[int, int, str, bool], None]
"""Called after each test with the number of finished tests, the total, the test, and whether it failed."""

_ARGUMENTS = (*("--pyargs", "eitherdb_contract", "--quiet", "--capture=sys", "--tb=short", "--backends"),)
_PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "eitherdb_contract.plugin")
_SETTINGS = (
    *("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=session"),
    *("asyncio_default_test_loop_scope=session", "timeout=600", "verbosity_assertions=2"),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed, with the smallest known example."""

    test: str
    example: str


@dataclass(slots=True)
class Verdict:
    """The results of the tests of one rule."""

    rule: Rule
    passed: int = 0
    refused: int = 0
    capabilities: set[str] = field(default_factory=set)
    """The absent capabilities for which operations were refused."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`failed`, `refused` (at least in part, for a declared absent capability) or `passed`."""
        if self.failures or not self.passed + self.refused:
            return "failed"
        return "refused" if self.refused else "passed"


@dataclass(slots=True)
class ResourceVerdict:
    """The results of the tests that ran on one of the user's resources."""

    name: str
    passed: int = 0
    refused: int = 0
    failed: int = 0

    @property
    def status(self) -> str:
        """As that of a `Verdict`; `not tested` if the chosen rules have no test for resources."""
        if self.failed:
            return "failed"
        return "refused" if self.refused else "passed" if self.passed else "not tested"


class SuiteError(Exception):
    """The suite did not run to its end; the message has pytest's reason."""


class _Recorder:
    """A pytest plugin that provides the backend and records the outcome of each test."""

    def __init__(
        self,
        make_provision: Callable[[], Provision],
        resources: Sequence[type[Resource]],
        rules: Collection[Rule],
        on_progress: OnProgress,
    ) -> None:
        self._make_provision = make_provision
        self._on_progress = on_progress
        self._classes = resources
        self._resources: dict[str, ResourceVerdict] = {}
        self.resources: dict[type, ResourceVerdict] = {
            cls: ResourceVerdict(cls.__resource__.name) for cls in resources
        }
        self._total = self._done = 0
        self._failed: set[str] = set()
        self.verdicts = {rule.name: Verdict(rule) for rule in rules}
        self.left_out: list[str] = []
        self.is_interrupted = False
        self._session: pytest.Session | None = None

    def pytest_contract_provisions(self) -> list[Provision]:
        return [self._make_provision()]

    def pytest_contract_resources(self) -> Sequence[type[Resource]]:
        return self._classes

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        if self.is_interrupted:
            self.stop()

    def stop(self, *_: object) -> None:
        """Stop after the running test: an interrupted test would leave connections open."""
        self.is_interrupted = True
        if self._session is not None:
            self._session.shouldstop = "interrupted"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)
        for item in session.items:
            # Resources of the suite and of the user may have one name, but are not one class.
            subject = item.callspec.params.get("subject") if hasattr(item, "callspec") else None
            if (verdict := self.resources.get(getattr(subject, "cls", object))) is not None:
                self._resources[item.nodeid] = verdict

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        named = [(name, str(value)) for name, value in report.user_properties]
        rules = [self.verdicts[value] for name, value in named if name == "rule" and value in self.verdicts]
        refused = {value for name, value in named if name == "refused"}
        path, _, test = report.nodeid.partition("::")  # the parameters may contain slashes too
        name = f"{Path(path).name}::{test}"
        resource = self._resources.get(report.nodeid)
        if report.failed and name not in self._failed:
            self._failed.add(name)
            if resource is not None:
                resource.failed += 1
            for verdict in rules:
                verdict.failures.append(Failure(name, example_of(report.longreprtext)))
        elif report.when == "call" and report.passed:
            if resource is not None:
                resource.passed += not refused
                resource.refused += bool(refused)
            for verdict in rules:
                verdict.capabilities |= refused
                verdict.passed += not refused
                verdict.refused += bool(refused)
        if report.when == "teardown":
            self._done += 1
            self._on_progress(self._done, self._total, name, name in self._failed)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        summary = session.config.pluginmanager.get_plugin("eitherdb_contract_summary")
        if isinstance(summary, Summary):
            self.left_out = list(summary.faults())


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a run of the suite.

    Attributes:
        verdicts: One per rule, in the order of docs/semantics.md.
        left_out: Tests that did not run without a declared reason.
        resources: One per declared resource of the user, in the order of the declarations.
    """

    verdicts: list[Verdict]
    left_out: list[str]
    resources: list[ResourceVerdict]


def run_suite(
    make_provision: Callable[[], Provision],
    name: str,
    resources: Sequence[type[Resource]],
    rules: Collection[Rule],
    on_progress: OnProgress,
) -> Outcome:
    """Run the contract suite on one backend. Must not be called in an event loop.

    Args:
        make_provision: Returns a new provision at each call.
        name: The provision's name.
        resources: The declared resources of the user, on which the tests of resources run too.
        rules: The rules whose tests are run.
        on_progress: Called after each test.

    Raises:
        SuiteError: pytest did not run to its end.
        KeyboardInterrupt: The run was interrupted; the scratch database is dropped.
    """
    recorder = _Recorder(make_provision, resources, rules, on_progress)
    output = io.StringIO()
    # Without an example database, so that no files are left behind.
    hypothesis.settings.register_profile("conformance", database=None, deadline=None)
    hypothesis.settings.load_profile("conformance")
    with tempfile.TemporaryDirectory(prefix="eitherdb-") as folder:
        configuration = Path(folder) / "pytest.ini"
        configuration.write_text("[pytest]\n")
        # The configuration and the plugins of the current folder are ignored.
        environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        environment["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        with (
            patch.dict(os.environ, environment),
            redirect_stdout(output),
            redirect_stderr(output),  # pytest reports invalid arguments there
            on_signals(recorder.stop),
        ):
            code = pytest.main(
                [
                    *(*_ARGUMENTS, name, "-c", str(configuration), "-p", "no:cacheprovider"),
                    *("--rules", ",".join(rule.name for rule in rules)),
                    *(word for plugin in _PLUGINS for word in ("-p", plugin)),
                    *(word for setting in _SETTINGS for word in ("-o", setting)),
                ],
                plugins=[recorder],
            )
    # pytest's exit code is INTERRUPTED after a failed import too, so it can't decide this.
    if recorder.is_interrupted:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise SuiteError(f"the contract suite could not be run:\n{example_of(output.getvalue().strip())}")
    return Outcome(list(recorder.verdicts.values()), recorder.left_out, list(recorder.resources.values()))


def example_of(text: str) -> str:
    """Return the failure's own lines of a traceback, which pytest marks with an E in the first column.

    The middle of a long example is left out: the difference is at the start, and Hypothesis's minimal calls
    are at the end.
    """
    lines = [line[1:].removeprefix("   ") for line in text.splitlines() if line[:2].strip() == "E"]
    example = "\n".join(lines or text.splitlines()[-5:])
    if len(example) <= EXAMPLE_CHARACTERS:
        return example
    half = EXAMPLE_CHARACTERS // 2
    return f"{example[:half]}\n…\n{example[-half:]}"
