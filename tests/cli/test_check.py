"""`eitherdb check`, and the refusals of every command for an unusable database."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from cli.local_servers import LocalServer, start_postgres
from config import Settings
from migrations import open_migrator
from tests.cli.command import Result, call, call_async, free_port, run
from tests.provision import Provision, make_settings

CONNECT_SECONDS = 1
START_SECONDS = 9
"""The time that Python may take to start on a busy machine."""

HBA = "local all eitherdb_app scram-sha-256\nlocal all postgres trust\n"


def findings(result: Result) -> dict[str, dict[str, Any]]:
    """Return the findings of `check --json` by subject; assert the format."""
    report = json.loads(result.out)
    assert set(report) == {"ok", "findings"}
    assert report["ok"] is (result.exit_code == 0)
    for finding in report["findings"]:
        assert set(finding) == {"subject", "status", "detail", "remedy"}
        assert finding["status"] in {"ok", "warning", "failed"}
    return {finding["subject"]: finding for finding in report["findings"]}


# -- findings ------------------------------------------------------------------------------------


async def test_check_of_a_sound_database_is_all_ok(migrated: Provision, tmp_path: Path) -> None:
    """The exit code is 0, with one finding per subject."""
    report = await call_async(tmp_path, "check", "--json", settings=migrated.settings)
    assert (report.exit_code, report.err) == (0, "")
    found = findings(report)
    subjects = ["configuration", "connection", "server", "privileges", "durability", "schema"]
    assert list(found) == [*subjects, "transactions", "schema_validation"]
    durability = found.pop("durability")  # the servers of a test run are fast and need not be durable
    assert durability["status"] in {"ok", "warning"}
    assert {finding["status"] for finding in found.values()} == {"ok"}
    products = {"sqlite": "SQLite ", "postgres": "PostgreSQL ", "mongo": "MongoDB "}
    assert found["connection"]["detail"].startswith(products[migrated.settings.db_backend])


def test_check_as_text_equals_the_json(tmp_path: Path) -> None:
    """Each subject has a line with an aligned status, and the remedy below."""
    shown = run(tmp_path, "check")
    assert (shown.exit_code, shown.err) == (1, "")
    lines = shown.out.splitlines()
    found = findings(call(tmp_path, "check", "--json"))
    assert len(found) == 8
    columns = set()
    for subject, finding in found.items():
        line = lines.pop(0)
        assert line.split()[:2] == [subject, finding["status"]]
        assert line.endswith(finding["detail"])
        columns.add(line.index(f" {finding['status']} "))
        if finding["remedy"]:
            assert lines.pop(0).endswith(f"→ {finding['remedy']}")
    assert lines == []
    assert len(columns) == 1


async def test_check_of_an_empty_database_exits_1(migrated: Provision, tmp_path: Path) -> None:
    """Only the schema fails, and the remedy is the command that fixes it."""
    async with migrated.empty_database() as settings:
        report = await call_async(tmp_path, "check", "--json", settings=settings)
        assert await open_migrator(settings).current() is None
    assert report.exit_code == 1
    failed = [finding for finding in findings(report).values() if finding["status"] == "failed"]
    assert [finding["subject"] for finding in failed] == ["schema"]
    assert "eitherdb migrate upgrade" in failed[0]["remedy"]


def test_check_of_invalid_settings_exits_2(tmp_path: Path) -> None:
    """Each invalid setting is a finding; no connection is opened."""
    report = run(tmp_path, "check", "--json", DB_BACKEND="oracle", DB_POOL_SIZE="0")
    assert report.exit_code == 2
    details = [finding["detail"] for finding in json.loads(report.out)["findings"]]
    assert [detail.partition(":")[0] for detail in details] == ["DB_BACKEND", "DB_POOL_SIZE"]
    shown = call(tmp_path, "check", DB_BACKEND="oracle", DB_POOL_SIZE="0")
    assert (shown.exit_code, shown.err) == (2, "")
    for detail in details:
        assert detail in shown.out
    assert list(tmp_path.iterdir()) == []


def test_check_warns_of_the_public_secret(tmp_path: Path) -> None:
    """The public secret is valid for local use, so the status is warning."""
    call(tmp_path, "migrate", "upgrade")
    report = call(tmp_path, "check", "--json", SECRET_KEY="")
    assert report.exit_code == 0
    finding = findings(report)["configuration"]
    assert (finding["status"], "SECRET_KEY" in finding["remedy"]) == ("warning", True)


# -- an unusable database ------------------------------------------------------------------------


def unreachable(backend: str) -> Settings:
    """Return settings of a database that can't exist; the password must not be shown."""
    address = f"app:hunter2@127.0.0.1:{free_port()}/eitherdb"
    values = {
        "sqlite": {"db_backend": "sqlite", "database_url": "sqlite:////dev/null/eitherdb.db"},
        "postgres": {"db_backend": "postgres", "database_url": f"postgresql://{address}"},
        "mongo-motor": {
            "db_backend": "mongo",
            "database_url": f"mongodb://{address}",
            "mongo_driver": "motor",
        },
        "mongo-pymongo": {
            "db_backend": "mongo",
            "database_url": f"mongodb://{address}",
            "mongo_driver": "pymongo",
        },
    }
    return make_settings(**values[backend])


@pytest.fixture(params=["sqlite", "postgres", "mongo-motor", "mongo-pymongo"])
def nowhere(request: pytest.FixtureRequest) -> Settings:
    """Return the settings of an unreachable database of each kind in turn."""
    return unreachable(request.param)


def test_check_of_an_unreachable_database_exits_2_in_time(nowhere: Settings, tmp_path: Path) -> None:
    """It ends within the connect timeout and names the variable and the address, but no password."""
    began = time.monotonic()
    report = run(
        tmp_path, "check", "--json", settings=nowhere, DB_CONNECT_TIMEOUT_SECONDS=str(CONNECT_SECONDS)
    )
    assert time.monotonic() - began < CONNECT_SECONDS + START_SECONDS
    assert (report.exit_code, report.err) == (2, "")
    found = findings(report)
    assert list(found) == ["configuration", "connection"]
    assert found["connection"]["status"] == "failed"
    detail = found["connection"]["detail"]
    assert "DATABASE_URL" in detail
    assert nowhere.url.rpartition("@")[2].rpartition("/")[0] in detail
    assert "hunter2" not in report.out


def on_a_free_port(arguments: list[str]) -> list[str]:
    """Add a free port to the arguments of `serve`, which checks the port first."""
    return [*arguments, "--port", str(free_port())] if arguments[0] == "serve" else arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "--migrate"],
        ["migrate", "upgrade"],
        ["migrate", "downgrade", "base"],
        ["migrate", "downgrade", "base", "--yes"],
        ["migrate", "current"],
        ["migrate", "check"],
        ["migrate", "revision", "-m", "none"],
        ["user", "create-superuser", "root@example.com", "--password-stdin"],
        ["user", "set-password", "root@example.com", "--password-stdin"],
    ],
    ids=" ".join,
)
def test_command_on_an_unreachable_database_refuses_in_one_line(
    arguments: list[str], tmp_path: Path
) -> None:
    """Each command that connects names the variable at fault and exits with 2."""
    words = on_a_free_port(arguments)
    line = call(tmp_path, *words, settings=unreachable("postgres"), stdin="correct horse\n").refusal()
    assert line.startswith("DATABASE_URL: ")
    assert "127.0.0.1" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["check", "serve", "serve --migrate", "migrate upgrade"])
def test_command_creates_only_the_last_folder_of_a_path(command: str, tmp_path: Path) -> None:
    """A path with several missing folders is refused in one line, and nothing is created."""
    url = f"sqlite:///{tmp_path}/no/such/folder/x.db"
    shown = call(tmp_path, *on_a_free_port(command.split()), DATABASE_URL=url)
    assert shown.exit_code == 2
    (line,) = [line for line in (shown.out + shown.err).splitlines() if "DATABASE_URL" in line]
    assert f"the folder of {tmp_path}/no/such/folder/x.db can't be made: No such file or directory" in line
    assert list(tmp_path.iterdir()) == []


def test_check_creates_the_last_folder(tmp_path: Path) -> None:
    """The default's folder `.data` is missing in a fresh checkout."""
    assert call(tmp_path, "check", DATABASE_URL=f"sqlite:///{tmp_path}/new/x.db").exit_code == 1
    assert (tmp_path / "new/x.db").is_file()


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("sqlite", "sqlite://relative.db"),
        ("postgres", "postgresql://app:hunter2@127.0.0.1:port/eitherdb"),
        ("postgres", "postgresql://app:hunter2@127.0.0.1:99999/eitherdb"),
        ("postgres", "postgresql://app:hunter2@127.0.0.1:1/eitherdb?bogus=1"),
        ("postgres", "postgresql://app:hunter2/@127.0.0.1:1/eitherdb"),
        ("mongo", "mongodb://app:hunter2@127.0.0.1:99999/eitherdb"),
        ("mongo", "mongodb://app:hunter2/@127.0.0.1:1/eitherdb"),
        ("mongo", "mongodb://app:hunter2@"),
        ("mongo", "mongodb://app:hunter2@127.0.0.1:1/eitherdb?bogus=1"),
    ],
)
def test_command_with_an_unusable_url_refuses_in_one_line(backend: str, url: str, tmp_path: Path) -> None:
    """A URL that only the driver refuses is reported like any other invalid URL."""
    line = call(
        tmp_path,
        "migrate",
        "current",
        DB_BACKEND=backend,
        DATABASE_URL=url,
        DB_CONNECT_TIMEOUT_SECONDS="0.5",
        DB_COMMAND_TIMEOUT_SECONDS="0.5",
    ).refusal()
    assert "DATABASE_URL" in line
    assert "hunter2" not in line


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Yield a PostgreSQL server that requires a password from everyone but its owner."""
    folder = tmp_path_factory.mktemp("guarded")
    with start_postgres(folder, durable=False) as server:
        (folder / "db/pg_hba.conf").write_text(HBA)
        yield server


@asynccontextmanager
async def owner_of(server: LocalServer) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection of the server's owner."""
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("password", "database", "words"),
    [
        ("hunter3", "postgres", 'password authentication failed for user "eitherdb_app"'),
        ("hunter2", "nowhere", 'database "nowhere" does not exist'),
    ],
)
async def test_check_shows_the_error_message_of_postgres(
    guarded: LocalServer, password: str, database: str, words: str, tmp_path: Path
) -> None:
    """A wrong password and an unknown database have different messages; no password is shown."""
    async with owner_of(guarded) as owner:
        await owner.execute("DROP ROLE IF EXISTS eitherdb_app")
        await owner.execute("CREATE ROLE eitherdb_app LOGIN PASSWORD 'hunter2'")
        await owner.execute("SELECT pg_reload_conf()")
    url = make_url(guarded.url).set(username="eitherdb_app", password=password, database=database)
    settings = make_settings(db_backend="postgres", database_url=url.render_as_string(hide_password=False))
    report = await call_async(tmp_path, "check", "--json", settings=settings)
    assert report.exit_code == 2
    detail = findings(report)["connection"]["detail"]
    assert detail.startswith("DATABASE_URL: ")
    assert words in detail
    assert password not in report.out
