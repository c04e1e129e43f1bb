"""`eitherdb conformance`: its results, its reports, and the removal of the scratch database."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import MongoClient
from sqlalchemy import make_url

from backends.scratch import SCRATCH_PREFIX
from cli.conformance import command
from cli.conformance.suite import EXAMPLE_CHARACTERS, example_of
from cli.local_servers import MONGOD_IS_READY, find_mongod, mongod_command, start_mongo
from cli.server_folder import ServerFolder
from config import Settings
from eitherdb_contract.rules import all_rules
from tests.backends.raw import mongo_database, sql_connection
from tests.cli.command import EITHERDB, call, eitherdb, environment, free_port, run
from tests.conftest import ONE_BACKEND
from tests.provision import Provision, Servers, make_settings

ANOMALIES = ["lost update", "write skew", "dirty read", "phantom"]
ALLOWED_ANOMALIES = {
    "sqlite": set[str](),
    "postgres": {"lost update", "write skew", "phantom"},
    "mongo": {"write skew"},
}
"""The anomalies that each database's transactions allow at their defaults, according to its documentation.

https://www.postgresql.org/docs/current/transaction-iso.html: read committed.
https://www.mongodb.com/docs/manual/core/transactions/: snapshots; one of two writes to a row is refused.
https://www.sqlite.org/isolation.html: one writer at a time.
"""


async def leftovers(settings: Settings) -> list[str]:
    """Return the scratch databases on the server of these settings."""
    if settings.db_backend == "mongo":
        async with mongo_database(settings) as database:
            names = await database.client.list_database_names()
    elif settings.db_backend == "postgres":
        async with sql_connection(settings) as connection:
            names = list((await connection.exec_driver_sql("SELECT nspname FROM pg_namespace")).scalars())
    else:
        names = [path.name for path in Path(make_url(settings.url).database or "").parent.iterdir()]
    return [name for name in names if name.startswith(SCRATCH_PREFIX)]


class Page(HTMLParser):
    """Collects a page's text and the URLs that it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the URLs, and the tag as open."""
        self.fetched += [str(value) for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in {"meta", "br", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Assert that the tag closes the last open one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record the text."""
        self.words += data


def report(folder: Path) -> dict[str, Any]:
    """Return the JSON report; assert that the page has the same results and is self-contained."""
    found: dict[str, Any] = json.loads((folder / "conformance.json").read_text())
    text = (folder / "conformance.html").read_text()
    page = Page(text)
    assert page.open == page.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    words = " ".join(page.words.split())
    assert ("does not conform" in words.lower()) is not found["conforms"]
    for rule in found["rules"]:
        assert f"{rule['name']} {rule['status']} {rule['passed']} passed" in words
        assert all(" ".join(failure["example"].split()) in words for failure in rule["failures"])
    for finding in found["isolation"]:
        assert finding["seen_in_eitherdb"] in words
    assert all(latency["method"] in words for latency in found["latencies"])
    return found


def is_written(folder: Path) -> bool:
    """Return whether there is any report."""
    return any(folder.glob("conformance.*"))


def rule_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the results of one rule."""
    (rule,) = [rule for rule in found["rules"] if rule["name"] == name]
    assert isinstance(rule, dict)
    return rule


@pytest.mark.timeout(240)
async def test_conformance_writes_its_results(migrated: Provision, tmp_path: Path) -> None:
    """The report has server, isolation, latencies and the given rules; no scratch database is left."""
    async with migrated.empty_database() as settings:
        rules = ("--rule", "Search", "--rule", "Durability")
        done = await eitherdb(tmp_path, "conformance", *rules, settings=settings)
        assert await leftovers(settings) == []

    found = report(tmp_path)
    assert done.exit_code == (0 if found["conforms"] else 1), done
    assert done.err == ""
    assert [rule["name"] for rule in found["rules"]] == ["Search", "Durability"]
    search = rule_of(found, "Search")
    assert (search["status"], search["passed"], search["failed"]) == ("passed", 9, 0)
    assert "case folding" in search["rule"]
    assert found["left_out"] == []
    products = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mongo": "MongoDB"}
    assert found["database"]["product"] == products[settings.db_backend]
    assert found["database"]["backend"] == settings.db_backend
    assert set(found["capabilities"].values()) == {True}
    assert f"{found['database']['product']} {found['database']['version']}" in done.out
    assert "tests       11 of 11" in done.out

    # Each setting that loses writes is a failure. The servers of a test run may not sync.
    durability = rule_of(found, "Durability")
    faults = await durability_faults(settings, servers_url=migrated.settings.url)
    assert durability["passed"] == 2
    assert [failure["example"] for failure in durability["failures"]] == faults
    assert found["conforms"] is (not faults)

    assert [finding["anomaly"] for finding in found["isolation"]] == ANOMALIES
    assert {finding["in_eitherdb"] for finding in found["isolation"]} == {"prevented"}
    possible = {f["anomaly"] for f in found["isolation"] if f["in_transactions"] == "possible"}
    assert possible == ALLOWED_ANOMALIES[settings.db_backend]
    prevented = {f["anomaly"] for f in found["isolation"] if f["in_transactions"] == "prevented"}
    assert prevented == set(ANOMALIES) - possible

    assert len(found["latencies"]) == 7
    for latency in found["latencies"]:
        assert latency["calls"] == 100
        assert 0 < latency["p50_ms"] <= latency["p99_ms"] <= latency["max_ms"]


async def durability_faults(settings: Settings, *, servers_url: str) -> list[str]:
    """Return the expected failures of a server that acknowledges writes before they are on disk."""
    if settings.db_backend != "postgres":
        return []
    connection = await asyncpg.connect(servers_url)
    names = ("fsync", "full_page_writes", "synchronous_commit")
    values = {name: await connection.fetchval(f"SHOW {name}") for name in names}
    await connection.close()
    return [f"{name} is off" for name, value in values.items() if value == "off"]


FAULTY = """
from dataclasses import replace

import backends.sql.backend
import backends.sql.scratch
import migrations.sql.migrator
from backends.errors import AccountNotEmpty

URL_SCHEMES = ("faulty",)

def settings_for(name, settings):
    scheme, _, rest = settings.url.partition("://")
    url = type(settings.database_url)(f"{name.partition('/')[0]}://{rest}")
    return settings.model_copy(update={"db_backend": name, "database_url": url})

async def open_backend(settings, **given):
    backend = await backends.sql.backend.open_backend(settings_for("sqlite", settings), **given)
    items, users, accounts = backend.items, backend.users, backend.accounts
    list_items, update, delete = items.list, items.update, users.delete
    list_accounts, statement = accounts.list, accounts.statement

    async def count_one_too_many(**asked):
        page = await list_items(**asked)
        return page if page.count is None else replace(page, count=page.count + 1)

    async def update_any_version(id, changes, *, versions=None, **asked):
        return await update(id, changes, **asked)

    async def delete_with_a_shrug(id, **asked):
        try:
            await delete(id, **asked)
        except AccountNotEmpty:
            pass

    async def show_one_too_many(**asked):
        page = await list_accounts(**asked)
        data = [replace(one, balance_minor=one.balance_minor + 1) for one in page.data]
        return page.of(data, count=page.count, next=page.next)

    async def fetch_when_it_is_read(id, **asked):
        async def entries():
            async for part in (await statement(id, **asked)).entries:
                yield part

        return replace(await statement(id, **asked), entries=entries())

    items.list, items.update, users.delete = count_one_too_many, update_any_version, delete_with_a_shrug
    accounts.list, accounts.statement = show_one_too_many, fetch_when_it_is_read
    return backend

async def open_scratch(settings):
    return Scratch(await backends.sql.scratch.open_scratch(settings_for("sqlite", settings)))

class Scratch:
    def __init__(self, scratch):
        self.scratch = scratch
        self.settings = settings_for("faulty/1", scratch.settings)

    def __getattr__(self, name):
        return getattr(self.scratch, name)

def open_migrator(settings):
    return migrations.sql.migrator.open_migrator(settings_for("sqlite", settings))
"""
# The slash tests the parsing of test ids, which contain the backend's name in brackets.
DIST_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: eitherdb-faulty\nVersion: 1.0\n",
    "entry_points.txt": "[eitherdb.backends]\nfaulty/1 = eitherdb_faulty\n",
}


def install_faulty(packages: Path, source: str, url: str) -> dict[str, Any]:
    """Install a backend as a distribution; return the environment variables that select it."""
    dist_info = packages / "eitherdb_faulty-1.0.dist-info"
    dist_info.mkdir(parents=True)
    for name, text in DIST_INFO.items():
        (dist_info / name).write_text(text)
    (packages / "eitherdb_faulty.py").write_text(source)
    return {"PYTHONPATH": str(packages), "DB_BACKEND": "faulty/1", "DATABASE_URL": url}


def test_broken_rule_fails_with_the_smallest_example(tmp_path: Path) -> None:
    """The report names the rule, the test and the expectation, for a third-party backend too.

    It also names each anomaly that the backend's methods allow.
    """
    chosen = install_faulty(tmp_path / "packages", FAULTY, f"faulty:///{tmp_path}/data/app.db")
    done = run(tmp_path, "conformance", "--rule", "Counts", **chosen)

    found = report(tmp_path)
    assert done.exit_code == 1, done
    assert found["conforms"] is False
    counts = rule_of(found, "Counts")
    assert counts["status"] == "failed"
    assert counts["passed"] > 0
    assert counts["failed"] == len(counts["failures"]) > 5
    name = "test_pages.py::test_list_of_no_rows_is_empty[items-faulty/1]"
    (empty,) = [failure for failure in counts["failures"] if failure["test"] == name]
    assert "count=1" in empty["example"]
    assert "count=0" in empty["example"]
    assert f"FAILED      {empty['test']}" in done.out
    seen = {finding["anomaly"]: finding["seen_in_eitherdb"] for finding in found["isolation"]}
    assert {finding["in_eitherdb"] for finding in found["isolation"]} == {"possible"}
    assert "of two changes of version 1 not exactly one was made" in seen["lost update"]
    assert "the deletion gave None, the deposit Transfer(" in seen["write skew"]
    assert seen["dirty read"] == "the balances were read as 102 in all, and are 100 at every moment"
    assert seen["phantom"] == "a statement of 0 entries had 1 when it was read after one more"
    assert {finding["in_transactions"] for finding in found["isolation"]} == {"prevented"}
    assert "does not conform" in done.out
    assert list((tmp_path / "data").iterdir()) == []


def test_example_that_is_too_long_keeps_its_beginning_and_its_end() -> None:
    """The difference is at the beginning, and the calls that led to it are at the end."""
    difference = [f"E         item {number}" for number in range(1000)]
    text = "\n".join(
        ["def test():", "E   assert [] == [0]", *difference, "E   state.deposit(amount=1)", "here"]
    )
    example = example_of(text).splitlines()
    assert example[:2] == ["assert [] == [0]", "      item 0"]
    assert "…" in example
    assert example[-2:] == ["      item 999", "state.deposit(amount=1)"]
    assert len("\n".join(example)) < EXAMPLE_CHARACTERS + 5


async def test_absent_capability_is_refused_and_no_failure(tmp_path: Path) -> None:
    """A standalone MongoDB refuses money; the report names the capability that is missing."""
    with start_mongo(tmp_path / "server", replica_set=False) as server:
        settings = make_settings(db_backend="mongo", database_url=server.url, mongo_driver="pymongo")
        rules = ("--rule", "Deletion of money", "--rule", "Durability")
        done = await eitherdb(tmp_path, "conformance", *rules, settings=settings)
        left = await leftovers(settings)

    found = report(tmp_path)
    assert (done.exit_code, found["conforms"], left) == (0, True, [])
    money = rule_of(found, "Deletion of money")
    assert (money["status"], money["refused_for"], money["failed"]) == ("refused", ["transactions"], 0)
    assert rule_of(found, "Durability")["status"] == "passed"
    assert found["capabilities"]["transactions"] is False
    assert {finding["in_transactions"] for finding in found["isolation"]} == {None}
    assert [finding["in_eitherdb"] for finding in found["isolation"]] == ["prevented", None, None, None]


@pytest.mark.parametrize("line", ["database  ", "server  "])
async def test_interrupted_run_leaves_nothing_behind(
    migrated: Provision, tmp_path: Path, line: str
) -> None:
    """The server and the folder are clean after an interruption of the migration or the measurements."""
    await interrupt_at(line, migrated, tmp_path)


@ONE_BACKEND
async def test_interrupted_tests_leave_nothing_behind(migrated: Provision, tmp_path: Path) -> None:
    """The tests are a process of their own, which ends too."""
    await interrupt_at("tests       50 of", migrated, tmp_path)


async def interrupt_at(line: str, migrated: Provision, tmp_path: Path) -> None:
    """Interrupt the command when it prints this line; assert that nothing is left."""
    async with migrated.empty_database() as settings:
        with subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; the installed command
            [EITHERDB, "conformance"],
            cwd=tmp_path,
            env=environment(tmp_path, settings, PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            lines = process.stdout or ()
            await asyncio.to_thread(lambda: any(printed.startswith(line) for printed in lines))
            while await leftovers(settings) == []:
                assert process.poll() is None
            # SIGINT is Ctrl-C; SIGTERM is how a container is stopped.
            process.send_signal(signal.SIGINT if settings.db_backend == "sqlite" else signal.SIGTERM)
            process.send_signal(signal.SIGINT)  # a second, impatient Ctrl-C
            _, err = await asyncio.to_thread(process.communicate, timeout=30)

        assert process.returncode == 2
        assert err == "eitherdb: interrupted; the scratch database was dropped, no report was written\n"
        assert await leftovers(settings) == []
    assert not is_written(tmp_path)


# -- refusals ------------------------------------------------------------------------------------


def refused(folder: Path, *arguments: str, **variables: Any) -> str:
    """Return the line with which the command refuses; assert that no report is written."""
    line = call(folder, "conformance", *arguments, **variables).refusal()
    assert not is_written(folder)
    return line


def test_unknown_rule_is_refused_with_the_valid_names(tmp_path: Path) -> None:
    """The line lists all rules."""
    names = ", ".join(rule.name for rule in all_rules())
    line = refused(tmp_path, "--rule", "Serch")
    assert line == f"--rule: there is no rule Serch; choose from: {names}"


def test_unwritable_report_file_is_refused_before_the_tests(tmp_path: Path) -> None:
    """The folder is missing, or the path is a folder."""
    for name in ("missing/report.html", "."):
        assert refused(tmp_path, "--html", name) == f"{name} can't be written: use another file"


def test_missing_requirement_of_the_suite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the command that installs it."""
    monkeypatch.setattr(command, "_NEEDED", ("pytest", "a_module_that_is_missing"))
    line = "conformance needs a_module_that_is_missing: run `pip install 'eitherdb[contract]'`"
    assert refused(tmp_path) == line


def test_suite_that_can_not_be_collected_is_refused_with_the_reason(tmp_path: Path) -> None:
    """It is no interruption, although pytest has the same exit code; no report is written."""
    source = FAULTY + "import sys, hypothesis\nsys.modules['hypothesis.strategies'] = None\n"
    chosen = install_faulty(tmp_path / "packages", source, f"faulty:///{tmp_path}/data/app.db")
    done = run(tmp_path, "conformance", "--rule", "Counts", **chosen)
    assert done.exit_code == 2
    assert done.err.splitlines() == [
        "eitherdb: the contract suite could not be run:",
        "ModuleNotFoundError: import of hypothesis.strategies halted; None in sys.modules",
    ]
    assert not is_written(tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_backend_without_scratch_databases_is_refused(tmp_path: Path) -> None:
    """The line names the missing function; nothing runs in the configured database instead."""
    without = FAULTY[: FAULTY.index("async def open_scratch")]
    without += FAULTY[FAULTY.index("def open_migrator") :]
    chosen = install_faulty(tmp_path / "packages", without, f"faulty:///{tmp_path}/data/app.db")
    done = run(tmp_path, "conformance", **chosen)
    assert done.exit_code == 2
    assert "the backend faulty/1 makes no scratch databases: it has no `open_scratch`" in done.err
    assert not (tmp_path / "data").exists()


async def test_user_without_create_privilege_is_refused_with_its_name(
    servers: Servers, tmp_path: Path
) -> None:
    """A PostgreSQL user may use the database but not create a schema in it."""
    user = f"poor_{secrets.token_hex(6)}"
    url = make_url(servers.postgres_url).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    await connection.execute(f"CREATE USER {user} PASSWORD 'secret'")
    try:
        poor = url.set(username=user, password="secret").render_as_string(hide_password=False)
        settings = make_settings(db_backend="postgres", database_url=poor)
        done = await eitherdb(tmp_path, "conformance", settings=settings)
    finally:
        await connection.execute(f"DROP USER {user}")
        await connection.close()
    assert done.exit_code == 2
    assert "permission denied for database" in done.err
    assert "a user is needed that has the privilege CREATE on it" in done.err
    assert "secret" not in done.out + done.err


async def test_user_who_may_only_write_or_only_drop_is_refused_with_the_roles(tmp_path: Path) -> None:
    """MongoDB has a role for each; with one role nothing is created, and both are enough."""
    pairs = {"writes": ["readWriteAnyDatabase"], "removes": ["dbAdminAnyDatabase"]}
    both = [role for roles in pairs.values() for role in roles]
    with mongod_with_users(tmp_path / "server", {**pairs, "both": both}) as host:

        def settings_of(user: str) -> Settings:
            url = f"mongodb://{user}:secret@{host}/app?authSource=admin"
            return make_settings(db_backend="mongo", database_url=url, mongo_driver="pymongo")

        for user in pairs:
            done = await eitherdb(tmp_path, "conformance", settings=settings_of(user))
            assert done.exit_code == 2
            assert f"a user is needed that has the roles {' and '.join(both)}" in done.err
            assert "secret" not in done.out + done.err
            assert await leftovers(settings_of("root")) == []

        done = await eitherdb(tmp_path, "conformance", "--rule", "Search", settings=settings_of("both"))
        assert done.exit_code == 0, done
        assert await leftovers(settings_of("root")) == []


@contextmanager
def mongod_with_users(folder: Path, users: Mapping[str, list[str]]) -> Iterator[str]:
    """Start a mongod with `root` and these users and roles; all have the password `secret`."""
    with ExitStack() as cleanup:
        server = ServerFolder(folder, cleanup)
        server.db.mkdir()
        port = free_port()
        host = f"127.0.0.1:{port}"
        programs, _ = find_mongod()
        server.run([*mongod_command(programs, server.db, port), "--auth"], host, ready=MONGOD_IS_READY)
        with MongoClient[dict[str, Any]](host) as client:  # the first user needs no authentication
            client.admin.command("createUser", "root", pwd="secret", roles=["root"])
        with MongoClient[dict[str, Any]](f"mongodb://root:secret@{host}/") as client:
            for user, roles in users.items():
                client.admin.command("createUser", user, pwd="secret", roles=roles)
        yield host
