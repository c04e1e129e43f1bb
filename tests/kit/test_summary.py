"""A run that leaves out a test without a declared reason fails, and its summary names the test."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

pytest_plugins = ("pytester",)

CONFTEST = """
from types import SimpleNamespace
import pytest
from eitherdb_contract.selection import run_on_backends

def pytest_contract_provisions():
    return [
        SimpleNamespace(name="one", capabilities=frozenset({"transactions"})),
        SimpleNamespace(name="two", capabilities=frozenset()),
    ]

@pytest.fixture(scope="session")
def provision(request):
    return request.param
"""
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
markers = slow: takes minutes
"""
PASSING_TEST = """
def test_on_each(provision):
    pass

def test_of_none():
    pass
"""
UNDECLARED = "LEFT OUT WITHOUT A DECLARED REASON: "


@dataclass(frozen=True)
class Run:
    """The output of a pytest run."""

    exit_code: int
    output: str

    @property
    def table(self) -> dict[str, list[int]]:
        """Passed, refused and failed tests by backend."""
        rows = re.findall(r"^(\S+) +(\d+) +(\d+) +(\d+)$", self.output, re.MULTILINE)
        return {name: [int(number) for number in numbers] for name, *numbers in rows}

    @property
    def faults(self) -> list[str]:
        """The tests that were left out without a declared reason."""
        lines = self.output.splitlines()
        return [line.removeprefix(UNDECLARED) for line in lines if line.startswith(UNDECLARED)]

    @property
    def left_out(self) -> list[str]:
        """The tests that were left out with a declared reason."""
        lines = self.output.splitlines()
        return [line.removeprefix("left out: ") for line in lines if line.startswith("left out: ")]


@dataclass(frozen=True)
class Project:
    """A third-party project with two backends."""

    pytester: pytest.Pytester

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.pytester.path

    def run(self, tests: str, *arguments: str, conftest: str = "", settings: str = "") -> Run:
        """Run the project's tests."""
        (self.folder / "conftest.py").write_text(CONFTEST + dedent(conftest))
        (self.folder / "pytest.ini").write_text(SETTINGS + settings)
        (self.folder / "test_it.py").write_text("import pytest\n" + dedent(tests))
        plugins = ("-p", "no:schemathesis", "-p", "no:cacheprovider")
        # In this process, because a new one takes ten times as long as these tests.
        done = self.pytester.runpytest_inprocess(*plugins, *arguments)
        return Run(int(done.ret), done.stdout.str() + done.stderr.str())


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return the project in its own folder."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    pytester.syspathinsert()  # As `python -m pytest` does.
    return Project(pytester)


def test_whole_run_shows_backends_and_tests(project: Project) -> None:
    """Each test counts once per backend; tests without a backend count separately."""
    run = project.run(PASSING_TEST)

    assert (run.exit_code, run.faults, run.left_out) == (0, [], []), run.output
    assert run.table == {"one": [1, 0, 0], "two": [1, 0, 0], "(none)": [1, 0, 0]}


def test_rules_choose_the_tests_that_hold_them(project: Project) -> None:
    """Rules of modules and tests select; the summary names the option; an unknown rule is refused."""
    tests = """
        pytestmark = pytest.mark.rule("Order")

        def test_of_one_rule(provision):
            pass

        @pytest.mark.rule("Pages")
        def test_of_two():
            pass
    """
    both = project.run(tests, "--rules", "Order")
    one = project.run(tests, "--rules", "Pages,Text")
    none = project.run(tests, "--rules", "Odrer")
    unknown = project.run(tests.replace("Pages", "Pgaes"))

    assert (both.exit_code, sum(row[0] for row in both.table.values())) == (0, 3), both.output
    assert (one.exit_code, one.faults, one.left_out) == (0, [], ["2: --rules Pages,Text"]), one.output
    assert one.table["(none)"] == [1, 0, 0]
    assert none.exit_code == unknown.exit_code == 4
    assert "--rules: ['Odrer'] unknown; choose of ['Atomicity'," in none.output
    assert "test_of_two: no rules of semantics.md: ['Pgaes']" in unknown.output


def test_failure_quotes_the_rules(project: Project) -> None:
    """The report of a failure has the text of the rules."""
    run = project.run(
        "@pytest.mark.rule('Order')\ndef test_it(provision):\n    assert provision == 'one'\n"
    )

    assert run.exit_code == 1
    assert run.table["two"] == [0, 0, 1]
    assert "Order: By code point. The id is always the last sort key" in run.output


def test_suite_without_a_backend_says_what_is_missing(pytester: pytest.Pytester) -> None:
    """Without a provision the error names the hook, not a missing fixture."""
    scope = "asyncio_default_fixture_loop_scope=session"
    plugins = ("-p", "no:schemathesis", "-o", scope)
    done = pytester.runpytest_inprocess("--pyargs", "eitherdb_contract", *plugins)

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "no backend to test: implement the hook pytest_contract_provisions" in done.stderr.str()


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("def test_a(provision):\n    if provision == 'two':\n        pytest.skip('no time')\n", "no time"),
        ("@pytest.mark.skip('no time')\ndef test_a(provision):\n    pass\n", "no time"),
        ("@pytest.mark.skipif(True, reason='no time')\ndef test_a():\n    pass\n", "no time"),
        (
            "@pytest.mark.xfail(reason='no time')\ndef test_a():\n    assert False\n",
            "expected to fail: no time",
        ),
        ("@pytest.mark.parametrize('n', [])\ndef test_a(n):\n    pass\n", "got empty parameter set"),
    ],
    ids=["skip", "mark", "skipif", "xfail", "empty"],
)
def test_skipped_test_fails_the_run(test: str, reason: str, project: Project) -> None:
    """Every way to skip a test fails the run, on any backend."""
    run = project.run(PASSING_TEST + test)

    assert run.exit_code == 1, run.output
    assert run.faults
    assert all(fault.startswith("test_it.py::test_a") and reason in fault for fault in run.faults)


def test_skipped_module_fails_the_run(project: Project) -> None:
    """A skipped module would hide all its tests."""
    run = project.run("pytest.skip('no time', allow_module_level=True)", conftest="collect_ignore = []")

    assert run.faults == ["test_it.py: Skipped: no time", *(f"{name}: no test ran on it" for name in NAMES)]


NAMES = ("one", "two")

DESELECT = """
def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[items.pop()])
"""


def test_deselected_test_fails_the_run(project: Project) -> None:
    """A test that a hook deselects has no declared reason."""
    run = project.run(PASSING_TEST, conftest=DESELECT)

    assert (run.exit_code, len(run.faults)) == (1, 1), run.output
    assert run.faults[0].endswith(": deselected")


@pytest.mark.parametrize(
    "arguments", [("-k", "none"), ("-knone",), ("--deselect=test_it.py::test_on_each",)]
)
def test_choice_on_the_command_line_is_shown(arguments: tuple[str, ...], project: Project) -> None:
    """A developer may run some of the tests; the summary names the option."""
    run = project.run(PASSING_TEST, *arguments)

    assert (run.exit_code, run.faults) == (0, []), run.output
    assert run.left_out == [f"2: {' '.join(arguments)}"]


SLOW = "@pytest.mark.slow\ndef test_slow(provision):\n    pass\n"


@pytest.mark.parametrize(
    ("settings", "faults", "left_out"),
    [
        ("addopts = -m 'not slow'\nmay_leave_out = slow\n", 0, ["2: slow: takes minutes"]),
        ("addopts = -m 'not slow'\n", 2, []),
        ("addopts = -k 'not slow'\n", 2, []),
    ],
)
def test_configuration_leaves_out_what_is_declared(
    settings: str, faults: int, left_out: list[str], project: Project
) -> None:
    """An option in a configuration file is only allowed with declared markers."""
    run = project.run(PASSING_TEST + SLOW, settings=settings)

    assert (run.exit_code, len(run.faults), run.left_out) == (1 if faults else 0, faults, left_out), (
        run.output
    )


ONLY = """
def pytest_generate_tests(metafunc):
    if "only" in metafunc.definition.name:
        run_on_backends(metafunc, "provision", ["two"])
"""


def test_backends_option_is_a_declared_reason(project: Project) -> None:
    """A test that runs on none of the chosen backends is left out, not skipped."""
    run = project.run(
        PASSING_TEST + "def test_only_two(provision):\n    pass\n", "--backends", "one", conftest=ONLY
    )

    assert (run.exit_code, run.faults) == (0, []), run.output
    assert run.table == {"one": [1, 0, 0], "two": [0, 0, 0], "(none)": [1, 0, 0]}
    assert run.left_out == ["2 on two: not in --backends"]
    assert "skipped" not in run.output


def test_unknown_backend_is_refused(project: Project) -> None:
    """A misspelt name would leave out all tests."""
    run = project.run(PASSING_TEST, "--backends", "three")

    assert run.exit_code not in {0, 5}
    assert "--backends: ['three'] unknown; choose of ['one', 'two']" in run.output


def test_backend_without_a_test_fails_the_run(project: Project) -> None:
    """A backend without any test needs a declared reason."""
    run = project.run("def test_only(provision):\n    pass\n", conftest=ONLY)

    assert (run.exit_code, run.faults) == (1, ["one: no test ran on it"]), run.output


REFUSED = """
from eitherdb_contract.refusals import note_refusal

def test_refused(provision):
    note_refusal("transactions")
"""


def test_refusal_of_a_declared_capability_fails_the_run(project: Project) -> None:
    """A test counts as refused only where the capability is not declared."""
    run = project.run(REFUSED)

    assert run.exit_code == 1, run.output
    assert run.faults == [
        "test_it.py::test_refused[one]: refused, though the backend declares the capability"
    ]
    assert run.table["two"] == [0, 1, 0]


def test_worker_processes_report_left_out_tests(project: Project) -> None:
    """With worker processes the tests are counted as in one process."""
    skipped = "\ndef test_skipped():\n    pytest.skip('no time')\n"

    run = project.run(REFUSED + skipped + PASSING_TEST, "-n2", "--backends", "one", conftest=DESELECT)

    assert run.exit_code == 1, run.output
    assert [fault.partition(": ")[2] for fault in run.faults] == [
        "Skipped: no time",
        "refused, though the backend declares the capability",
        "deselected",
    ]
    assert run.left_out == ["2 on two: not in --backends"]
    assert run.table == {"one": [1, 1, 0], "two": [0, 0, 0], "(none)": [0, 0, 0]}


IGNORE = """
def pytest_ignore_collect(collection_path):
    name = collection_path.name
    return True if collection_path.match("test_*.py") and name != "test_input_models.py" else None
"""


def test_file_of_the_suite_that_is_ignored_fails_the_run(project: Project) -> None:
    """Every file of the suite runs, or the summary names it."""
    run = project.run(
        PASSING_TEST, "--pyargs", "eitherdb_contract", conftest=IGNORE, settings="addopts = -p conftest\n"
    )

    assert run.exit_code == 1, run.output
    assert "test_items.py: a file of the contract suite, not collected" in run.faults
    assert not [fault for fault in run.faults if fault.startswith("test_input_models.py")]


def test_settings_that_the_suite_needs_are_demanded(project: Project) -> None:
    """With pytest-asyncio's defaults each test has its own event loop, in which no shared backend works."""
    run = project.run(
        PASSING_TEST, "-o", "asyncio_mode=strict", "-o", "asyncio_default_test_loop_scope=function"
    )

    assert run.exit_code == 4
    assert "needs in pytest's configuration: asyncio_mode = auto; asyncio_default_test_loop" in run.output
