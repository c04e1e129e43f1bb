"""A backend in another distribution, installed from wheels as a third party installs it."""

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
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.cli.command import free_port, is_healthy
from tests.kit.shops import AFTER, BEFORE, CHANGES
from tests.provision import SECRET_KEY

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/backend-lmdb"


@dataclass(frozen=True)
class Installation:
    """A virtual environment with both wheels and their dependencies, and a folder without the project."""

    environment: Path
    folder: Path

    @property
    def packages(self) -> Path:
        """The folder of the unpacked wheels."""
        (packages,) = self.environment.glob("lib/python*/site-packages")
        return packages

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment variables of its processes, with these added."""
        return {"PATH": os.environ["PATH"], "SECRET_KEY": SECRET_KEY, "COLUMNS": "200", **more}

    def run(
        self, *command: str, seconds: int = 60, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment and wait for it."""
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
    """Build a project's wheel offline, with the build backend that is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=60)  # noqa: S603 - (the same)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return an environment that can't import anything from the checkout."""
    folder = tmp_path_factory.mktemp("installation")
    wheels, environment, work = folder / "wheels", folder / "environment", folder / "work"
    work.mkdir()
    build_wheel(ROOT, wheels)
    build_wheel(EXAMPLE, wheels)
    uv = [str(Path(sys.executable).with_name("uv")), "--offline", "--no-config", "--quiet"]
    made = Installation(environment, work)
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True, timeout=60)  # noqa: S603 - (the same)
    install = ["pip", "install", "--no-deps", "--python", str(environment), *map(str, wheels.glob("*.whl"))]
    subprocess.run([*uv, *install], check=True, timeout=60)  # noqa: S603 - (the same)
    # The other packages come from this environment. Python reads no .pth file in a folder that a .pth file
    # adds, so the checkout, which a .pth file adds, stays out.
    (made.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    # The configuration that the example's README asks for.
    shutil.copy(EXAMPLE / "pyproject.toml", work)
    return made


@pytest.mark.timeout(300)  # The whole suite, one test after the other.
def test_example_passes_the_whole_contract_suite(installation: Installation) -> None:
    """All files of tests/contract run, and no test is refused or left out."""
    suite = installation.packages / "eitherdb_contract/suite"
    files = sorted(path.name for path in (ROOT / "tests/contract").glob("*.py"))
    assert sorted(path.name for path in suite.glob("*.py")) == files
    assert filecmp.cmpfiles(ROOT / "tests/contract", suite, files, shallow=False) == (files, [], [])

    plugins = ("-p", "no:schemathesis", "-p", "no:cacheprovider")
    done = installation.run(
        "python", "-m", "pytest", "--pyargs", "eitherdb_contract", *plugins, seconds=280
    )

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "left out" not in done.stdout.lower()
    row = re.search(r"^lmdb +(\d+) +(\d+) +(\d+)$", done.stdout, re.MULTILINE)
    assert row is not None, done.stdout
    assert int(row[1]) > 300
    assert row.groups()[1:] == ("0", "0")


MISDECLARED = """
from backends.capabilities import Capability
from eitherdb_lmdb.contract import LmdbProvision

def pytest_contract_provisions():
    provision = LmdbProvision()
    provision.name, provision.capabilities = "misdeclared", frozenset(Capability)
    return [provision]
"""


def test_wrongly_declared_capability_fails_the_tests(installation: Installation) -> None:
    """The opened backend's capabilities are compared with the declared ones."""
    (installation.folder / "misdeclared.py").write_text(MISDECLARED)

    plugins = ("-p", "misdeclared", "-p", "no:schemathesis", "-p", "no:cacheprovider")
    chosen = ("--pyargs", "eitherdb_contract", "-k", "test_server_names and misdeclared")
    done = installation.run("python", "-m", "pytest", *plugins, *chosen)

    assert done.returncode == 1
    assert "misdeclared declares schema_validation, transactions; it has transactions" in done.stdout


def test_commands_work_on_the_example(installation: Installation) -> None:
    """`migrate`, `check` and `serve` work with the backend's name and with declared resources."""
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{installation.folder}/data"}
    lmdb["RESOURCES"] = str(ROOT / "examples/library/library.py")

    empty = installation.run("eitherdb", "check", "--json", variables=lmdb)
    migrated = installation.run("eitherdb", "migrate", "upgrade", variables=lmdb)
    checked = installation.run("eitherdb", "check", "--json", "--rows", variables=lmdb)

    assert empty.returncode == 1, empty.stderr
    assert migrated.stdout == "0001 applied\nlibrary:0001 applied\n", migrated.stderr
    assert checked.returncode == 0, checked.stdout
    findings = {finding["subject"]: finding for finding in json.loads(checked.stdout)["findings"]}
    assert re.fullmatch(r"LMDB [\d.]+ through lmdb .+ at lmdb://.+", findings["connection"]["detail"])
    assert findings["schema"]["status"] == findings["transactions"]["status"] == "ok"
    assert findings["schema_validation"]["status"] == "warning"

    port = free_port()
    with subprocess.Popen(  # noqa: S603 - this test's own words
        [installation.environment / "bin/eitherdb", "serve", "--port", str(port)],
        cwd=installation.folder,
        env=installation.variables(**lmdb),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + 30
            while not is_healthy(f"http://127.0.0.1:{port}"):
                assert server.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
            with pytest.raises(HTTPError) as refused:  # a route, which wants a user
                urlopen(f"http://127.0.0.1:{port}/api/v1/books/")
            refused.value.close()
            assert refused.value.code == 401
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(15)


def test_example_changes_rows_as_revisions_say(installation: Installation) -> None:
    """Rows and indexes are those of the new declaration; rows that break a rule are named, and undone."""
    folder = installation.folder
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{folder}/shops", "RESOURCES": "shop.py"}

    def run(*command: str) -> str:
        done = installation.run(*command, variables=lmdb)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    script = str(ROOT / "tests/kit/shop_script.py")
    (folder / "shop.py").write_text(BEFORE)
    run("eitherdb", "migrate", "revision", "-m", "Shops")
    run("eitherdb", "migrate", "upgrade")
    kinds = {"b": "shut", "a": "open", "c": "open"}
    rows = [{"title": title, "kind": kind, "code": title} for title, kind in kinds.items()]
    run("python", script, json.dumps([*rows, {"title": "b", "kind": "open", "code": None}]))
    (folder / "shop.py").write_text(AFTER)
    (folder / "migrations/0002_changes.py").write_text(CHANGES)

    refused = installation.run("eitherdb", "migrate", "upgrade", "--destructive", variables=lmdb)
    assert refused.returncode == 2, refused.stdout
    problem = "eitherdb: revision shop:0002: shops.name has the same value in [0-9a-f]{24}, [0-9a-f]{24}; "
    assert re.match(problem, refused.stderr), refused.stderr
    assert run("eitherdb", "migrate", "downgrade", "shop:base", "--yes") == "shop:0001 undone\n"
    assert run("eitherdb", "migrate", "upgrade", "shop:0001") == "shop:0001 applied\n"

    (folder / "shop.py").write_text(BEFORE)
    run("python", script, json.dumps(rows))
    (folder / "shop.py").write_text(AFTER)
    assert run("eitherdb", "migrate", "upgrade", "--destructive") == "shop:0002 applied\n"
    assert run("python", script).splitlines() == [
        "[('a', 'Köln', 'open'), ('b', 'Köln', 'gone'), ('c', 'Köln', 'open')]",
        "[('c', 'Köln', 'open'), ('a', 'Köln', 'open'), ('b', 'Köln', 'gone')]",
        "Köln",
    ]
    run("eitherdb", "check", "--rows")


def test_example_refuses_an_environment_of_another_application(installation: Installation) -> None:
    """`upgrade` and `downgrade` both refuse, as the migrators' contract asks; the foreign key stays."""
    folder = installation.folder / "theirs"
    put = (
        "import lmdb, sys; t = lmdb.open(sys.argv[1]).begin(write=True); t.put(b'theirs', b'1'); t.commit()"
    )
    assert installation.run("python", "-c", put, str(folder)).returncode == 0
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{folder}"}

    up = installation.run("eitherdb", "migrate", "upgrade", variables=lmdb)
    down = installation.run("eitherdb", "migrate", "downgrade", "base", "--yes", variables=lmdb)

    assert (up.returncode, down.returncode, up.stderr) == (2, 2, down.stderr)
    assert up.stderr.startswith("eitherdb: the database has key b'theirs', which EitherDB's migrations")
    get = "import lmdb, sys; print(lmdb.open(sys.argv[1]).stat()['entries'])"
    assert installation.run("python", "-c", get, str(folder)).stdout == "1\n"


def test_example_conforms(installation: Installation) -> None:
    """`eitherdb conformance` works, because the example has scratch databases, and leaves none behind."""
    lmdb = {"DB_BACKEND": "lmdb", "DATABASE_URL": f"lmdb://{installation.folder}/lmdb/data"}
    (installation.folder / "lmdb").mkdir()

    done = installation.run("eitherdb", "conformance", "--rule", "Durability", variables=lmdb)

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((installation.folder / "conformance.json").read_text())
    assert [(rule["status"], rule["passed"]) for rule in found["rules"]] == [("passed", 2)]
    assert [finding["in_eitherdb"] for finding in found["isolation"]] == ["prevented"] * 4
    assert list((installation.folder / "lmdb").iterdir()) == []


def test_unknown_backend_names_the_example(installation: Installation) -> None:
    """The error lists the installed backends."""
    done = installation.run("eitherdb", "migrate", "current", variables={"DB_BACKEND": "ldmb"})

    assert done.returncode == 2
    valid = "not a valid value; choose one of: sqlite, postgres, mongo, lmdb"
    assert done.stderr == f"eitherdb: DB_BACKEND: {valid}\n"


def test_project_does_not_depend_on_the_example() -> None:
    """No file of the project mentions the example: it uses only the protocols and the kit."""
    for folder in (
        "api",
        "backends",
        "cli",
        "config",
        "eitherdb",
        "eitherdb_contract",
        "migrations",
        "tests/contract",
    ):
        files = [path for path in (ROOT / folder).rglob("*.py") if "lmdb" in path.read_text().lower()]
        assert files == []
