"""The requirements of a PostgreSQL server, in `check`, `migrate`, `serve` and `conformance`.

The tests apply each printed remedy, after which the command must succeed.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy import make_url

from backends import open_backend
from backends.requirements import Purpose
from tests.backends.methods import add_rows
from tests.backends.raw import opened
from tests.cli.command import call_async, eitherdb, serving
from tests.cli.own_database import database
from tests.cli.refusals import refused_by_all
from tests.provision import Servers

# -- the server ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_encoding_that_lacks_characters_is_refused(
    encoding: str, servers: Servers, tmp_path: Path
) -> None:
    """The server would refuse a title in Cyrillic; the remedy creates a database with UTF8."""
    remedy = "CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
    async with database(servers, f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0") as unfit:
        reason = f"server_encoding is {encoding}; UTF8 is needed, which holds all text"
        await refused_by_all(tmp_path, unfit.settings, reason=reason, remedy=remedy)
        report = await eitherdb(tmp_path, "conformance", "--rule", "Text", settings=unfit.settings)
        assert (report.exit_code, reason in report.err) == (2, True), report
        assert await unfit.tables() == set()
    async with database(servers, remedy.removeprefix("CREATE DATABASE name ")) as fit:
        done = await call_async(tmp_path, "migrate", "upgrade", settings=fit.settings)
        assert done.exit_code == 0, done


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("standard_conforming_strings", "off", "on"),
        ("session_replication_role", "replica", "origin"),
        ("default_transaction_read_only", "on", "off"),
    ],
)
async def test_setting_of_the_database_that_breaks_the_contract_is_refused(
    name: str, value: str, right: str, servers: Servers, tmp_path: Path
) -> None:
    """The remedy is a statement that takes precedence over the database's setting."""
    async with database(servers) as unfit:
        user = make_url(unfit.settings.url).username or "postgres"
        await unfit.run(f"ALTER DATABASE {unfit.name} SET {name} = {value}")
        remedy = f"ALTER ROLE {user} IN DATABASE {unfit.name} SET {name} = {right}"
        await refused_by_all(tmp_path, unfit.settings, reason=f"{name} is {value}", remedy=remedy)
        await unfit.run("SET default_transaction_read_only = off", remedy)
        done = await call_async(tmp_path, "migrate", "upgrade", settings=unfit.settings)
        assert done.exit_code == 0, done


@pytest.mark.parametrize(
    "settings",
    [
        "timezone = 'Asia/Kolkata'",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = 'sql_standard'",
        "bytea_output = 'escape'",
        "extra_float_digits = 0",
        "lc_messages = 'C'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "client_encoding = 'LATIN1'",
        "lock_timeout = '7s'",
        "idle_session_timeout = '1h'",
        "transform_null_equals = on",
        "row_security = off",
    ],
)
async def test_setting_of_the_database_that_breaks_nothing_is_accepted(
    settings: str, servers: Servers
) -> None:
    """EitherDB depends on none of them: text and times are returned unchanged."""
    async with database(servers, migrated=True) as fit:
        await fit.run(f"ALTER DATABASE {fit.name} SET {settings}")
        async with opened(open_backend(fit.settings)) as backend:
            assert [each for each in await backend.check_server(Purpose.SERVE) if each.is_fatal] == []
            await backend.check_schema()
            rows = await add_rows(backend)
            assert await backend.users.get(rows.owner.id) == rows.owner
            assert await backend.accounts.get_transfer(rows.entry.id) == rows.entry


async def test_setting_that_costs_durability_or_time_is_a_warning(servers: Servers, tmp_path: Path) -> None:
    """`check` names it with its remedy and exits with 0; the service logs it."""
    async with database(servers, migrated=True) as slack:
        user = make_url(slack.settings.url).username or "postgres"
        await slack.run(
            f"ALTER DATABASE {slack.name} SET synchronous_commit = off",
            f"ALTER DATABASE {slack.name} SET statement_timeout = '5s'",
        )
        done = await call_async(tmp_path, "check", settings=slack.settings)
        assert done.exit_code == 0, done
        assert "synchronous_commit is off" in done.out
        assert "statement_timeout is 5 seconds" in done.out
        async with serving(tmp_path, "serve", settings=slack.settings) as server:
            assert "synchronous_commit is off" in server.output
            await server.end(signal.SIGTERM)
        alter = f"ALTER ROLE {user} IN DATABASE {slack.name} SET"
        await slack.run(f"{alter} synchronous_commit = on", f"{alter} statement_timeout = 0")
        mended = await call_async(tmp_path, "check", settings=slack.settings)
        assert "synchronous_commit" not in mended.out
        assert "statement_timeout" not in mended.out
