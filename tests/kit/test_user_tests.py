"""`eitherdb.testing`: pytest on resources that a user declares, in a folder of the user's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import call, environment

CONFIGURATION = """\
[pytest]
addopts = -p eitherdb.testing -p no:schemathesis -p no:cacheprovider
eitherdb_resources = garden
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
"""
# Roses lean on each other: they are deleted in the order of the references, which is not that of their ids.
ROSES = """\
from typing import Annotated
from pydantic import Field
from eitherdb import Reference, Resource, Unique

class Rose(Resource, path="roses"):
    name: Annotated[str, Field(max_length=9), Unique()]
    leans_on: Annotated[str | None, Reference("roses", on_delete="restrict")] = None
"""
TESTS = """\
import pytest
from garden.roses import Rose
from eitherdb.testing import PASSWORD

@pytest.mark.parametrize("_", "ab")
async def test_database_is_empty(_, service):
    ada = await service.sign_up("ada@example.com")
    first = await service.repository(Rose).add(Rose(name="Alba"), owner_id=ada.user.id)
    second = await ada.post("/roses/", json={"name": "Rugosa", "leans_on": first.id})
    assert (await ada.get("/roses/")).json()["count"] == 2
    await service.repository(Rose).update(first.id, {"leans_on": second.json()["id"]})
    await service.repository(Rose).update(second.json()["id"], {"leans_on": None})

async def test_repositories_return_the_imported_class(service):
    ada = await service.sign_up()
    rose = await service.repository(Rose).add(Rose(name="Alba"), owner_id=ada.user.id)
    assert type(rose) is Rose and not ada.user.is_superuser

async def test_users_sign_in_with_the_password(service):
    root = await service.sign_up("root@example.com", is_superuser=True)
    form = {"username": "root@example.com", "password": PASSWORD}
    assert (await service.anyone.post("/login/access-token", data=form)).status_code == 200
    assert (await service.anyone.get("/users/")).status_code == 401
    assert (await root.get("/users/")).json()["count"] == 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a package that declares resources, its tests, and pytest's configuration."""
    (tmp_path / "pytest.ini").write_text(CONFIGURATION)
    (tmp_path / "garden").mkdir()
    (tmp_path / "garden/__init__.py").write_text("from . import roses\n")
    (tmp_path / "garden/roses.py").write_text(ROSES)
    (tmp_path / "test_garden.py").write_text(TESTS)
    return tmp_path


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest like a user, whose DATABASE_URL is not set."""
    return subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_tests_run_on_an_empty_database(project: Path) -> None:
    """The folder gets no database; classes that tests import are those of the repositories."""
    assert call(project, "migrate", "revision", "-m", "roses", RESOURCES="garden").exit_code == 0

    done = run_pytest(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    assert not (project / ".data").exists()


def test_declaration_without_a_revision_fails_in_one_line(project: Path) -> None:
    """The line names the command that writes it."""
    done = run_pytest(project, "-k", "sign_in")

    assert done.returncode == 1
    assert "add roses; run `eitherdb migrate revision" in done.stdout, done.stdout
    assert "exception" not in done.stdout


@pytest.mark.parametrize(
    ("line", "instead", "refusal"),
    [
        ("asyncio_mode = auto", "", "needs in pytest's configuration: asyncio_mode = auto"),
        (
            "eitherdb_resources = garden",
            "",
            "no resource is declared: write eitherdb_resources = library.py",
        ),
        ("= garden", "= gardem.py", "gardem.py: no such file"),
    ],
)
def test_wrong_configuration_is_refused_in_one_line(
    project: Path, line: str, instead: str, refusal: str
) -> None:
    """It names what is missing."""
    (project / "pytest.ini").write_text(CONFIGURATION.replace(line, instead))

    done = run_pytest(project)

    assert done.returncode == 4
    assert refusal in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
