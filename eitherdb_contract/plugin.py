"""The pytest plugin: backends from `pytest_contract_provisions`, fixtures and a complete summary.

Without a provision, the plugin only reports that to a test that needs one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from eitherdb_contract import hooks
from eitherdb_contract.clock import ManualClock
from eitherdb_contract.declared import DeclaredBackends
from eitherdb_contract.refusals import take_refusals
from eitherdb_contract.rules import DOCUMENT, all_rules, rules_of
from eitherdb_contract.selection import CHOICES, backend_of, provisions_of, run_on_backends
from eitherdb_contract.summary import Summary, file_of_suite

if TYPE_CHECKING:
    from backends.models.resources import Resource
    from backends.protocols import Backend
    from eitherdb_contract.provision import Provision

_SETTINGS = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "session",
    "asyncio_default_test_loop_scope": "session",
}
"""Required settings of pytest-asyncio: tests share backends, which belong to one event loop."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select backends and rules."""
    group = parser.getgroup("eitherdb_contract")
    group.addoption("--backends", help="Comma-separated names of backends to test; default: all.")
    group.addoption("--rules", help="Comma-separated names of the rules whose tests to run; default: all.")
    parser.addini(
        "may_leave_out",
        "Markers whose tests a run may leave out: the marker's description says why.",
        type="args",
        default=[],
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hook that returns the backends."""
    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check pytest's configuration and register the summary."""
    config.addinivalue_line(
        "markers", "rule(*names): the rules of docs/semantics.md that a test of the contract suite holds"
    )
    names = [provision.name for provision in provisions_of(config)]
    if not names:
        return
    if config.option.backends is None:
        config.option.backends = ",".join(names)
    check_settings(config, "the contract suite")
    config.pluginmanager.register(Summary(config), "eitherdb_contract_summary")


def check_settings(config: pytest.Config, plugin: str) -> None:
    """Check that pytest-asyncio is installed, and has the settings that a plugin needs.

    Raises:
        pytest.UsageError: A setting is missing.
    """
    try:
        wrong = [f"{name} = {value}" for name, value in _SETTINGS.items() if config.getini(name) != value]
    except ValueError:
        raise pytest.UsageError(f"{plugin} needs pytest-asyncio") from None
    if wrong:
        raise pytest.UsageError(f"{plugin} needs in pytest's configuration: {'; '.join(wrong)}")


@pytest.hookimpl(trylast=True)
def pytest_contract_resources() -> Sequence[type[Resource]]:
    """Load the resources of `RESOURCES`, and the installed ones.

    Raises:
        pytest.UsageError: They can't be loaded.
    """
    # Imported here, because the plugin is loaded in every run of pytest.
    from backends.models.resources import DeclarationError  # noqa: PLC0415
    from backends.models.resources.loading import load_resources  # noqa: PLC0415
    from config import DatabaseChoice, SettingsError  # noqa: PLC0415

    try:
        return load_resources(DatabaseChoice.load().resources)
    except (DeclarationError, SettingsError) as exc:
        raise pytest.UsageError(str(exc)) from exc


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests that use `provision` with the selected backends, unless a conftest has done so."""
    names = [provision.name for provision in provisions_of(metafunc.config)]
    chosen = metafunc.config.stash.get(CHOICES, {})
    if names and "provision" in metafunc.fixturenames and metafunc.definition.nodeid not in chosen:
        run_on_backends(metafunc, "provision", names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the rules that the test proves to the report of a failure."""
    report = yield
    if report.failed:
        texts = {rule.name: rule.text for rule in all_rules()}
        rules = [f"{name}: {texts[name]}" for name in rules_of(item) if name in texts]
        if rules:
            report.sections.append((f"Rules of {DOCUMENT.name}", "\n".join(rules)))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Add to the report the capabilities whose absence was reported, in the test or its fixtures."""
    try:
        return (yield)
    finally:
        item.user_properties += [("refused", str(capability)) for capability in sorted(take_refusals())]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check that each test of the suite names its rules, and deselect tests by `--rules`.

    Raises:
        pytest.UsageError: A test names no rule, or there is no such rule.
    """
    of_suite = {path for path in {item.path for item in items} if file_of_suite(path)}
    if of_suite and not provisions_of(config):
        raise pytest.UsageError("no backend to test: implement the hook pytest_contract_provisions")
    known = {rule.name for rule in all_rules()}
    for item in items:
        rules = rules_of(item)
        if unknown := set(rules) - known:
            raise pytest.UsageError(f"{item.nodeid}: no rules of {DOCUMENT.name}: {sorted(unknown)}")
        if not rules and item.path in of_suite:
            raise pytest.UsageError(f"{item.nodeid}: holds no rule; mark it with pytest.mark.rule")
    if config.option.rules is None:
        return
    chosen = set(config.option.rules.split(","))
    if unknown := chosen - known:
        raise pytest.UsageError(f"--rules: {sorted(unknown)} unknown; choose of {sorted(known)}")
    config.hook.pytest_deselected(items=[item for item in items if chosen.isdisjoint(rules_of(item))])
    items[:] = [item for item in items if not chosen.isdisjoint(rules_of(item))]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Add the backend and the rules of the test to the report."""
    take_refusals()
    item.user_properties += [("rule", name) for name in rules_of(item)]
    backend = backend_of(item)
    if backend is not None:
        item.user_properties.append(("backend", backend))


@pytest.fixture(scope="session")
async def provision(request: pytest.FixtureRequest) -> AsyncIterator[Provision]:
    """Return a backend's migrated database, ready to be opened."""
    name = getattr(request, "param", None)
    found = [provision for provision in provisions_of(request.config) if provision.name == name]
    if not found:
        pytest.fail("no backend to test: implement the hook pytest_contract_provisions", pytrace=False)
    (provision,) = found
    await provision.start()
    yield provision
    await provision.stop()


@pytest.fixture(scope="session")
async def declared_backends(
    request: pytest.FixtureRequest, provision: Provision
) -> AsyncIterator[DeclaredBackends]:
    """Return the opener of backends with declared resources: `await declared_backends.open([Book])`."""

    def make_provision() -> Provision:
        found = provisions_of(request.config)
        return next(each for each in found if each.name == provision.name)

    backends = DeclaredBackends(make_provision)
    yield backends
    await backends.close()


@pytest.fixture(scope="session")
async def shared(provision: Provision) -> AsyncIterator[tuple[Backend, ManualClock]]:
    """Return the backend that the tests of one provision share, and its clock."""
    clock = ManualClock()
    backend = await provision.open(clock=clock)
    yield backend, clock
    await backend.close()


@pytest.fixture
def clock(shared: tuple[Backend, ManualClock]) -> ManualClock:
    """Return the clock of `backend`, reset to the initial time."""
    _, clock = shared
    clock.reset()
    return clock


@pytest.fixture
async def backend(
    provision: Provision,
    shared: tuple[Backend, ManualClock],
    clock: ManualClock,  # noqa: ARG001 - sets it back
) -> AsyncIterator[Backend]:
    """Return an open, empty backend. After the test no connection may be in use."""
    await provision.clean()
    backend, _ = shared
    if backend.capabilities != provision.capabilities:
        declared, has = (", ".join(sorted(one.capabilities)) or "none" for one in (provision, backend))
        pytest.fail(f"{provision.name} declares {declared}; it has {has}", pytrace=False)
    yield backend
    assert backend.connections_in_use == 0, "the test left a connection checked out"
