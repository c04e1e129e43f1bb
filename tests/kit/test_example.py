"""A backend of another distribution, installed as a stranger installs it: from wheels."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.command import free_port, is_healthy
from tests.provision import SECRET_KEY

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/backend-lmdb"


@dataclass(frozen=True)
class Stranger:
    """A virtual environment with the two wheels and what they need, and a folder without the project."""

    environment: Path
    folder: Path

    @property
    def packages(self) -> Path:
        """Where the wheels were unpacked."""
        (packages,) = self.environment.glob("lib/python*/site-packages")
        return packages

    def variables(self, **more: str) -> dict[str, str]:
        """Return the variables that its processes have, and these."""
        return {"PATH": os.environ["PATH"], "SECRET_KEY": SECRET_KEY, "COLUMNS": "200", **more}

    def run(
        self, *command: str, seconds: int = 60, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment to its end."""
        return subprocess.run(  # noqa: S603 - this test's own words
            [self.environment / "bin" / command[0], *command[1:]],
            cwd=self.folder,
            env=self.variables(**(variables or {})),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


def build_wheel(project: Path, folder: Path) -> None:
    """Build a project's wheel without a network: the build backend is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)  # noqa: S603 - (the same)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Return an environment into which nothing of the checkout leads."""
    folder = tmp_path_factory.mktemp("stranger")
    wheels, environment, work = folder / "wheels", folder / "environment", folder / "work"
    work.mkdir()
    build_wheel(ROOT, wheels)
    build_wheel(EXAMPLE, wheels)
    uv = [str(Path(sys.executable).with_name("uv")), "--offline", "--no-config", "--quiet"]
    made = Stranger(environment, work)
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True, timeout=60)  # noqa: S603 - (the same)
    install = ["pip", "install", "--no-deps", "--python", str(environment), *map(str, wheels.glob("*.whl"))]
    subprocess.run([*uv, *install], check=True, timeout=60)  # noqa: S603 - (the same)
    # The other packages are those of this environment. Of a folder that a .pth adds no .pth is read: the
    # checkout, which stands in one, stays out of it.
    (made.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    # What the README of the example tells to put there.
    shutil.copy(EXAMPLE / "pyproject.toml", work)
    return made


@pytest.mark.timeout(300)  # the whole suite, one test after the other
def test_example_passes_the_whole_contract_suite(stranger: Stranger) -> None:
    """The tests are those of tests/contract, every file of them, and none is refused or left out."""
    suite = stranger.packages / "eitherdb_contract/suite"
    files = sorted(path.name for path in (ROOT / "tests/contract").glob("*.py"))
    assert sorted(path.name for path in suite.glob("*.py")) == files
    assert filecmp.cmpfiles(ROOT / "tests/contract", suite, files, shallow=False) == (files, [], [])

    plugins = ("-p", "no:schemathesis", "-p", "no:cacheprovider")
    done = stranger.run("python", "-m", "pytest", "--pyargs", "eitherdb_contract", *plugins, seconds=280)

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "left out" not in done.stdout.lower()
    row = re.search(r"^lmdb +(\d+) +(\d+) +(\d+)$", done.stdout, re.MULTILINE)
    assert row is not None, done.stdout
    assert int(row[1]) > 300
    assert row.groups()[1:] == ("0", "0")


LIAR = """
from backends.capabilities import Capability
from eitherdb_lmdb.contract import LmdbProvision

def pytest_contract_provisions():
    provision = LmdbProvision()
    provision.name, provision.capabilities = "liar", frozenset(Capability)
    return [provision]
"""


def test_capability_that_is_declared_in_vain_fails_the_tests(stranger: Stranger) -> None:
    """What a backend says of itself when it is opened is held against what its author declared."""
    (stranger.folder / "liar.py").write_text(LIAR)

    plugins = ("-p", "liar", "-p", "no:schemathesis", "-p", "no:cacheprovider")
    chosen = ("--pyargs", "eitherdb_contract", "-k", "test_server_names and liar")
    done = stranger.run("python", "-m", "pytest", *plugins, *chosen)

    assert done.returncode == 1
    assert "liar declares schema_validation, transactions; it has transactions" in done.stdout


def test_commands_work_on_the_example(stranger: Stranger) -> None:
    """`migrate`, `check` and `serve`, selected by its name."""
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{stranger.folder}/data"}

    empty = stranger.run("eitherdb", "check", "--json", variables=lmdb)
    migrated = stranger.run("eitherdb", "migrate", "upgrade", variables=lmdb)
    checked = stranger.run("eitherdb", "check", "--json", variables=lmdb)

    assert (empty.returncode, migrated.stdout) == (1, "0001 applied\n"), empty.stderr + migrated.stderr
    assert checked.returncode == 0, checked.stdout
    findings = {finding["subject"]: finding for finding in json.loads(checked.stdout)["findings"]}
    assert re.fullmatch(r"LMDB [\d.]+ through lmdb .+ at lmdb://.+", findings["connection"]["detail"])
    assert findings["schema"]["status"] == findings["transactions"]["status"] == "ok"
    assert findings["schema_validation"]["status"] == "warning"

    port = free_port()
    with subprocess.Popen(  # noqa: S603 - this test's own words
        [stranger.environment / "bin/eitherdb", "serve", "--port", str(port)],
        cwd=stranger.folder,
        env=stranger.variables(**lmdb),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + 30
            while not is_healthy(f"http://127.0.0.1:{port}"):
                assert server.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(15)


def test_example_refuses_an_environment_of_another_application(stranger: Stranger) -> None:
    """In both directions, as the contract of migrators asks; the key stays."""
    folder = stranger.folder / "theirs"
    put = (
        "import lmdb, sys; t = lmdb.open(sys.argv[1]).begin(write=True); t.put(b'theirs', b'1'); t.commit()"
    )
    assert stranger.run("python", "-c", put, str(folder)).returncode == 0
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{folder}"}

    up = stranger.run("eitherdb", "migrate", "upgrade", variables=lmdb)
    down = stranger.run("eitherdb", "migrate", "downgrade", "base", "--yes", variables=lmdb)

    assert (up.returncode, down.returncode, up.stderr) == (2, 2, down.stderr)
    assert up.stderr.startswith("eitherdb: the database has key b'theirs', which EitherDB's migrations")
    get = "import lmdb, sys; print(lmdb.open(sys.argv[1]).stat()['entries'])"
    assert stranger.run("python", "-c", get, str(folder)).stdout == "1\n"


def test_example_conforms(stranger: Stranger) -> None:
    """`eitherdb conformance` works on it, because it makes scratch places; none is left."""
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{stranger.folder}/lmdb/data"}
    (stranger.folder / "lmdb").mkdir()

    done = stranger.run("eitherdb", "conformance", "--rule", "Durability", variables=lmdb)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((stranger.folder / "conformance.json").read_text())
    assert [(rule["status"], rule["passed"]) for rule in found["rules"]] == [("passed", 2)]
    assert [finding["in_eitherdb"] for finding in found["isolation"]] == ["prevented"] * 4
    assert list((stranger.folder / "lmdb").iterdir()) == []


def test_unknown_backend_names_the_example(stranger: Stranger) -> None:
    """What is installed is what may be chosen."""
    done = stranger.run("eitherdb", "migrate", "current", variables={"DB_BACKEND": "ldmb"})

    assert done.returncode == 2
    valid = "not a valid value; choose one of: sqlite, postgres, mongo, lmdb"
    assert done.stderr == f"eitherdb: DB_BACKEND: {valid}\n"


def test_nothing_in_the_project_knows_the_example() -> None:
    """It stands on the protocols and the kit alone."""
    for folder in ("api", "backends", "cli", "config", "eitherdb_contract", "migrations", "tests/contract"):
        files = [path for path in (ROOT / folder).rglob("*.py") if "lmdb" in path.read_text().lower()]
        assert files == []
