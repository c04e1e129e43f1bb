"""Third-party backends: selected by entry point, with clear errors."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType, SimpleNamespace

import pytest

from backends import open_backend
from backends.models import Item
from config import DatabaseChoice, Settings, SettingsError, installed
from migrations import open_migrator
from migrations.resources.history import history_of

MODULE = "tests.unit.an_installed_backend"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module that is installed as the backend `oracle`."""

    async def opened(settings: Settings, **given: object) -> tuple[str, list[str]]:
        return settings.url, sorted(given)

    module = ModuleType(MODULE)
    vars(module).update(
        URL_SCHEMES=("oracle", "oracles"), open_backend=opened, open_migrator=lambda settings: settings.url
    )
    monkeypatch.setitem(sys.modules, MODULE, module)
    install(monkeypatch, ("oracle", MODULE))
    return module


def install(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Let these entry points be all that are installed."""
    found = [EntryPoint(name, value, installed.GROUP) for name, value in points]
    for point in found:
        vars(point).update(dist=SimpleNamespace(name=f"dist-of-{point.name}"))
    monkeypatch.setattr(
        installed,
        "entry_points",
        lambda *, group, **chosen: EntryPoints(found).select(group=group, **chosen),
    )


def load(**values: str) -> Settings:
    """Load settings from these alone."""
    return Settings.load(_env_file=None, **values)


@pytest.mark.usefixtures("module")
async def test_installed_backend_is_opened_and_migrated_by_its_own_module() -> None:
    """Everything that is asked of EitherDB's own backends is asked of it."""
    settings = load(db_backend="oracle", database_url="oracles://somewhere")

    opened: object = await open_backend(settings)
    migrator: object = open_migrator(settings)
    assert opened == ("oracles://somewhere", ["clock", "id_source"])
    assert migrator == "oracles://somewhere"


async def test_backend_with_declared_resources_gets_them(module: ModuleType) -> None:
    """The classes when it is opened, and their revisions when it is migrated."""
    vars(module).update(open_migrator=lambda _settings, histories=(): [each.name for each in histories])
    settings = load(db_backend="oracle", database_url="oracles://somewhere")

    opened: object = await open_backend(settings, resources=[Item])
    migrator: object = open_migrator(settings, [history_of("library", [Item.__resource__])])
    assert opened == ("oracles://somewhere", ["clock", "id_source", "resources"])
    assert migrator == ["library"]


async def opened_without(_settings: Settings, *, clock: object, id_source: object) -> None:
    """Open a backend that knows no declared resources."""
    raise AssertionError(clock, id_source)


@pytest.mark.parametrize(
    "parts",
    [{"open_migrator": lambda _settings, histories=(): histories, "open_backend": opened_without}, {}],
    ids=["not opened with them", "not migrated with them"],
)
async def test_backend_without_declared_resources_refuses_them(
    module: ModuleType, parts: dict[str, object]
) -> None:
    """In one line, before anything is opened or migrated."""
    vars(module).update(parts)
    settings = load(db_backend="oracle", database_url="oracles://somewhere")
    refusal = (
        "RESOURCES: the backend oracle serves no declared resources (Item); leave them out, or choose "
        "another DB_BACKEND"
    )
    with pytest.raises(SettingsError) as caught:
        await open_backend(settings, resources=[Item])
    assert str(caught.value) == refusal
    with pytest.raises(SettingsError) as caught:
        open_migrator(settings, [history_of("library", [Item.__resource__])])
    assert str(caught.value) == refusal


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (
            "mongodb://somewhere",
            (
                "DATABASE_URL: the scheme 'mongodb' does not fit DB_BACKEND=oracle; "
                "give oracle://… or oracles://…"
            ),
        ),
        (None, "DATABASE_URL: needed with DB_BACKEND=oracle; give oracle://… or oracles://…"),
    ],
)
def test_url_must_have_one_of_its_schemes(url: str | None, fault: str) -> None:
    """And there must be one: nobody can start a server of it."""
    with pytest.raises(SettingsError) as refused:
        load(db_backend="oracle", **({} if url is None else {"database_url": url}))

    assert str(refused.value) == fault
    assert not DatabaseChoice.load(_env_file=None, db_backend="oracle").needs_local_server


@pytest.mark.usefixtures("module")
def test_unknown_backend_lists_what_is_installed() -> None:
    """A name that is nobody's is answered with all that there are."""
    with pytest.raises(
        SettingsError, match=r"^DB_BACKEND: .*choose one of: sqlite, postgres, mongo, oracle$"
    ):
        load(db_backend="orcale")


def test_backend_that_two_distributions_bring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one is meant can't be told."""
    install(monkeypatch, ("oracle", MODULE), ("oracle", "elsewhere"))

    with pytest.raises(SettingsError, match=r"^DB_BACKEND: needs one distribution .* 'oracle'"):
        load(db_backend="oracle", database_url="oracle://somewhere")


def test_backend_that_can_not_be_imported_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is not installed is named."""
    install(monkeypatch, ("oracle", "no_such_driver"))

    with pytest.raises(SettingsError, match=r"^DB_BACKEND: .*can't be loaded: .*no_such_driver"):
        load(db_backend="oracle", database_url="oracle://somewhere")


def test_backend_that_lacks_a_part_is_refused(module: ModuleType) -> None:
    """The part is named before anything is opened."""
    del module.open_migrator

    with pytest.raises(SettingsError, match=r"^DB_BACKEND: .*has no open_migrator$"):
        load(db_backend="oracle", database_url="oracle://somewhere")


def test_own_backend_can_not_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that takes the name of one is never asked."""
    install(monkeypatch, ("sqlite", "no_such_driver"))

    assert load(db_backend="sqlite", database_url="sqlite:///file.db").db_backend == "sqlite"
