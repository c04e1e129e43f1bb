"""The blocking repositories are those of the protocols, and importing `eitherdb` loads none of them."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import eitherdb
import eitherdb.errors
import eitherdb.models
from backends import errors, models, protocols
from config import Settings, SettingsError
from eitherdb import blocking, opening
from eitherdb.blocking import generate
from eitherdb.opening import DatabaseSettings
from tests.backends.methods import METHODS

ROOT = Path(__file__).parents[2]
BLOCKING: dict[type, type] = {
    protocols.AccountRepository: blocking.AccountRepository,
    protocols.Backend: blocking.Database,
    protocols.CounterRepository: blocking.CounterRepository,
    protocols.ResourceRepository: blocking.ResourceRepository,
    protocols.UserRepository: blocking.UserRepository,
}
PARTS = {"accounts", "counters", "items", "resources", "users"}
"""The repositories of a backend, which are attributes of a database."""


@pytest.mark.parametrize("module", generate.MODULES)
def test_repository_is_what_make_blocking_writes(module: str) -> None:
    """A change of a protocol is a change of the blocking repository: `make blocking` writes it."""
    path = ROOT / "eitherdb" / "blocking" / f"{module}.py"
    assert path.read_text(encoding="utf-8") == generate.blocking_source(module), "run `make blocking`"


def test_each_protocol_has_a_blocking_form() -> None:
    """A new repository needs a module in `MODULES`."""
    found = {
        each
        for each in vars(protocols).values()
        if isinstance(each, type) and getattr(each, "_is_protocol", False)
    }
    assert found == set(BLOCKING)


@pytest.mark.parametrize("protocol", BLOCKING, ids=lambda protocol: protocol.__name__)
def test_methods_have_the_signatures_of_the_protocol(protocol: type) -> None:
    """The same methods and properties, parameters, defaults and types; none is a coroutine function."""
    for name, expected in _public(protocol).items():
        if name in PARTS:
            continue
        found = inspect.getattr_static(BLOCKING[protocol], name)
        assert type(found) is type(expected), name
        assert not inspect.iscoroutinefunction(found), name
        if inspect.isfunction(expected):
            assert inspect.signature(found) == inspect.signature(expected), name


def test_reads_are_the_methods_that_send_only_queries() -> None:
    """A read-only database allows them. The tests of round trips hold the commands of each method."""
    sent: dict[str, set[str]] = {}
    for name, (_, _, commands) in METHODS.items():
        sent.setdefault(name.partition(" ")[0].partition(".")[2], set()).update(commands)
    reads = {name for name, commands in sent.items() if commands <= {"find", "aggregate"}}
    assert reads | {"find_by"} == generate.READS  # items have no unique fields to find them by
    methods = {
        name
        for protocol in set(BLOCKING) - {protocols.Backend}
        for name, method in _public(protocol).items()
        if inspect.iscoroutinefunction(method)
    }
    assert methods == set(sent) | {"find_by"}, "add the method to METHODS, and to READS if it only reads"


def test_methods_of_the_backend_itself_write_nothing() -> None:
    """`Database` is written by hand: a new method that writes has to call `_write`."""
    found = {name for name, each in _public(protocols.Backend).items() if inspect.iscoroutinefunction(each)}
    assert found == {"check_schema", "check_server", "close", "read_rows"}


def test_asynchronous_results_have_a_blocking_form() -> None:
    """A statement is the one model that has to be awaited: `generate` knows it by its name."""
    found = {
        name
        for name in models.__all__
        for annotation in getattr(vars(models)[name], "__annotations__", {}).values()
        if "Async" in str(annotation) or "Awaitable" in str(annotation)
    }
    assert found == {"Statement"}
    assert set(blocking.Statement.__annotations__) == set(models.Statement.__annotations__)


def test_settings_are_those_of_the_database() -> None:
    """The keyword arguments are fields of the settings, with the same names; others are refused."""
    assert set(DatabaseSettings.__annotations__) <= set(Settings.model_fields)
    names = [name for name in Settings.model_fields if name.startswith(("db_", "database_", "mongo_"))]
    assert set(DatabaseSettings.__annotations__) == {*names, "resources"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"DB_BACKEND": "postgres"},
            TypeError,
            "DB_BACKEND is no database setting: write db_backend=…",
        ),
        (
            {"secret_key": "x"},
            TypeError,
            "secret_key is no database setting: give one of: db_backend, ",
        ),
        ({"db_backend": "oracle"}, SettingsError, "DB_BACKEND: not a valid value; choose one of: sqlite, "),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_invalid_setting_is_refused_in_one_line(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """An unknown name would be ignored, and another database opened."""
    with pytest.raises(error) as caught:
        eitherdb.open_blocking(**arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_settings_and_single_settings_are_not_mixed() -> None:
    """It would be unclear which of them counts."""
    settings = Settings(_env_file=None)
    with pytest.raises(
        TypeError, match=r"^db_pool_size: give a Settings object or single settings, not both$"
    ):
        eitherdb.open_blocking(settings, db_pool_size=1)


def test_errors_and_models_are_complete() -> None:
    """`eitherdb.errors` has every error of a backend, `eitherdb.models` what methods take and return."""
    of_backends = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.BackendError)
    }
    assert of_backends <= set(eitherdb.errors.__all__)
    taken = {
        name
        for name in models.__all__
        if isinstance(vars(models)[name], type)
        for protocol in BLOCKING
        for method in _public(protocol).values()
        if inspect.isfunction(method) and name in str(inspect.signature(method))
    }
    assert taken <= set(eitherdb.models.__all__)


@pytest.mark.parametrize("name", eitherdb.errors.__all__)
def test_errors_survive_the_way_from_a_worker_process(name: str) -> None:
    """A pool of processes pickles them. An error that can't be read ends the pool."""
    error: Exception
    if name == "DeclarationError":
        error = eitherdb.DeclarationError("Book.title", "is wrong", "write it rightly")
    else:
        cls = vars(eitherdb.errors)[name]
        error = cls.__new__(cls)
        error.args = ("no book has the id 'x'",)
        vars(error)["entity"] = "book"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_import_of_eitherdb_is_light() -> None:
    """Declarations import it: neither the settings nor an event loop nor a driver is loaded for them."""
    code = "import eitherdb, sys; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"sqlalchemy", "asyncpg", "motor", "pymongo", "uvloop", "fastapi", "cli"}
    assert "eitherdb.blocking" not in done.stdout.split()
    assert vars(opening)["open_blocking"] is eitherdb.open_blocking


def _public(owner: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(owner).items()
        if not name.startswith("_") and isinstance(value, (property, type(_public)))
    }
