"""Import rules, checked in the source and in a fresh interpreter.

`lint-imports` (`make check`) holds more rules; these hold without it, and see names in text as well.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BACKEND_NAMES

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "backends", "cli", "config", "eitherdb", "migrations")
DRIVERS = {"sqlalchemy", "alembic", "asyncpg", "psycopg", "aiosqlite", "motor", "pymongo", "bson"}
API_FILES = sorted((ROOT / "api").rglob("*.py"))
CONTRACT_FILES = sorted((ROOT / "tests/contract").glob("*.py"))

_LOADED = """
import asyncio, sys
{code}
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {drivers}))
"""

_OPEN = """
from backends import open_backend
from backends.errors import BackendError
from config import Settings
settings = Settings(_env_file=None, db_connect_timeout_seconds=0.1, db_command_timeout_seconds=0.1, {0})
async def run():
    try:
        await (await open_backend(settings)).close()
    except BackendError:
        pass  # nothing listens there: what was imported is all that matters
asyncio.run(run())
"""


def drivers_loaded_by(code: str, folder: Path) -> set[str]:
    """Run the code in a fresh interpreter and an empty folder; return which drivers it has loaded."""
    script = _LOADED.format(code=code, drivers=DRIVERS)
    result = subprocess.run(  # noqa: S603 - this file's own script
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def imported_modules(path: Path) -> set[str]:
    """Return every module that the file imports or names, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # as import_module and patches would take it
    return found


@pytest.mark.parametrize("path", API_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_api_names_no_driver(path: Path) -> None:
    """Routes know the protocols alone: no driver's and no backend's module, not even in a string."""
    modules = imported_modules(path)
    assert not {module for module in modules if module.partition(".")[0] in DRIVERS}
    assert not {module for module in modules if module.startswith(("backends.sql", "backends.mongo"))}


@pytest.mark.parametrize("path", CONTRACT_FILES, ids=lambda path: path.name)
def test_contract_names_no_backend(path: Path) -> None:
    """A contract test runs unchanged on every backend, so it can't even say which one it is on."""
    words = re.findall(
        r"sqlite|postgres|mongo|motor|sqlalchemy|asyncpg|alembic|bson", path.read_text(), re.IGNORECASE
    )
    assert words == []


@pytest.mark.parametrize("code", ["import config", "from config.settings import Settings"])
def test_config_loads_no_driver(code: str, tmp_path: Path) -> None:
    """Settings are checked before anything of a database is there."""
    assert drivers_loaded_by(code, tmp_path) == set()


@pytest.mark.parametrize("code", ["import backends, backends.protocols", "import api.app"])
def test_neutral_modules_load_no_driver(code: str, tmp_path: Path) -> None:
    """`bson` makes the ids (`backends.ids`); it is part of PyMongo's wheel and loads nothing else of it."""
    assert drivers_loaded_by(code, tmp_path) == {"bson"}


@pytest.mark.parametrize("module", ["cli.commands", "migrations"])
def test_commands_load_no_driver(module: str, tmp_path: Path) -> None:
    """`eitherdb --help` waits for no driver; each command loads its own, also `shell`."""
    of_shell = {"cli.prompt", "eitherdb.blocking", "eitherdb.sql"}
    code = f"import {module}; assert not {of_shell} & set(sys.modules)"
    assert drivers_loaded_by(code, tmp_path) <= {"bson"}


@pytest.mark.parametrize(
    ("arguments", "drivers"),
    [
        ('db_backend="sqlite", database_url="sqlite:///none.db"', set()),
        ('db_backend="postgres", database_url="postgresql://127.0.0.1:1/none"', {"asyncpg"}),
    ],
)
def test_open_sql_backend_loads_its_own_driver_only(
    arguments: str, drivers: set[str], tmp_path: Path
) -> None:
    """PostgreSQL needs no SQLite driver, neither needs MongoDB's, and serving needs no Alembic."""
    assert drivers_loaded_by(_OPEN.format(arguments), tmp_path) == {"bson", "sqlalchemy", *drivers}


@pytest.mark.parametrize(("driver", "others"), [("motor", {"motor"}), ("pymongo", set())])
def test_open_mongo_backend_loads_its_own_driver_only(
    driver: str, others: set[str], tmp_path: Path
) -> None:
    """MongoDB needs nothing of SQL, and PyMongo's own client no Motor."""
    arguments = (
        f'db_backend="mongo", mongo_driver="{driver}", '
        'database_url="mongodb://127.0.0.1:1/none?serverSelectionTimeoutMS=100"'
    )
    assert drivers_loaded_by(_OPEN.format(arguments), tmp_path) == {"bson", "pymongo", *others}


_START = """
import sys
from api.app import create_app
from config import Settings
create_app(Settings(_env_file=None))
print(*sorted({"jinja2", "limits", "iso4217", "alembic", "sqlalchemy"} & set(sys.modules)))
"""


def test_start_waits_for_nothing_that_the_first_login_or_letter_needs(tmp_path: Path) -> None:
    """Slow modules are imported when they are needed; the driver is imported when it is selected."""
    command = [sys.executable, "-c", _START]
    result = subprocess.run(  # noqa: S603 - this test's own words
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_rules_look_at_something() -> None:
    """An empty list of files would pass every rule above."""
    assert len(API_FILES) > 5
    assert len(CONTRACT_FILES) > 1
    assert len(BACKEND_NAMES) > 4


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_visible_to_users(package: str) -> None:
    """Without the marker (PEP 561), the type of `Book.title` in a user's module is Any."""
    assert (ROOT / package / "py.typed").exists()


def test_declarations_load_no_web_framework(tmp_path: Path) -> None:
    """A module of declarations without routes is loaded without FastAPI."""
    code = "import eitherdb, sys; assert 'fastapi' not in sys.modules"
    assert drivers_loaded_by(code, tmp_path) <= {"bson"}
