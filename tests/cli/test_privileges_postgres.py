"""The privileges of PostgreSQL's user, in `check`, `migrate` and `serve`, and at run time.

The tests apply each printed remedy, after which the command must succeed.
"""

from __future__ import annotations

import signal
from pathlib import Path

import httpx2
from pydantic import SecretStr
from sqlalchemy import make_url

from backends import open_backend
from backends.requirements import Purpose, UnmetRequirement
from backends.sql.postgres_privileges import PRIVILEGES
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.methods import METHODS, add_rows
from tests.backends.raw import opened
from tests.backends.resource_rows import Rows
from tests.cli.command import call_async, free_port, serving
from tests.cli.own_database import database, role, url_text
from tests.cli.test_check import findings
from tests.contract.declared import DECLARED
from tests.provision import Servers

# -- the user ------------------------------------------------------------------------------------

READ = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"
SERVE = [f"GRANT {', '.join(verbs)} ON {table} TO {{user}}" for table, verbs in PRIVILEGES.items()]


async def test_read_only_user_is_refused_before_anything_is_served(
    servers: Servers, tmp_path: Path
) -> None:
    """The line has the missing grants; with them the user can serve."""
    async with database(servers, migrated=True) as there, role(there, READ) as user:
        settings = there.seen_by(user)
        for command in (["check"], ["serve", "--port", str(free_port())]):
            done = await call_async(tmp_path, *command, settings=settings)
            assert done.exit_code == 2, done
            assert "INSERT, UPDATE, DELETE on " in done.out + done.err
        report = findings(await call_async(tmp_path, "check", "--json", settings=settings))
        assert report["privileges"]["status"] == "failed"
        await there.run(report["privileges"]["remedy"])
        done = await call_async(tmp_path, "check", settings=settings)
        assert done.exit_code == 0, done


async def test_user_who_may_change_rows_only_can_serve(servers: Servers, tmp_path: Path) -> None:
    """Another user owns the schema: `migrate` has nothing to do or is refused; the service runs."""
    async with database(servers, migrated=True) as there, role(there, *SERVE) as user:
        settings = there.seen_by(user)
        assert (await call_async(tmp_path, "check", settings=settings)).exit_code == 0
        done = await call_async(tmp_path, "migrate", "upgrade", settings=settings)
        assert (done.exit_code, done.out) == (0, "Nothing to do.\n")
        done = await call_async(tmp_path, "migrate", "downgrade", "base", "--yes", settings=settings)
        assert done.exit_code == 2
        assert f"the user {user} does not own accounts, alembic_version, counters" in done.err
        async with serving(tmp_path, "serve", "--migrate", settings=settings) as server:
            async with httpx2.AsyncClient(base_url=f"{server.url}/api/v1", timeout=30) as client:
                form = {"email": "ada@example.com", "password": "correct horse"}
                assert (await client.post("/users/signup", json=form)).status_code == 200
                form = {"username": "ada@example.com", "password": "correct horse"}
                assert (await client.post("/login/access-token", data=form)).status_code == 200
            await server.end(signal.SIGTERM)


async def test_privileges_to_serve_are_enough_for_every_method(servers: Servers) -> None:
    """Every method works with exactly the required privileges."""
    async with database(servers, migrated=True) as there, role(there, *SERVE) as user:
        clear = "TRUNCATE users, items, accounts, transfers, idempotency_keys, counters"
        async with (
            opened(open_backend(there.settings)) as owner,
            opened(open_backend(there.seen_by(user))) as backend,
        ):
            for call, _, _ in METHODS.values():
                await there.run(clear)
                await call(backend, await add_rows(owner))


async def test_each_privilege_is_required(servers: Servers) -> None:
    """Each revoked privilege is named with its grant; a grant on some columns is not enough."""

    async def fatal() -> list[UnmetRequirement]:
        return [each for each in await backend.check_server(Purpose.SERVE) if each.is_fatal]

    async with database(servers, migrated=True) as there, role(there, *SERVE) as user:
        opening = open_backend(there.seen_by(user))
        async with opened(opening) as backend:
            assert await fatal() == []
            for table, verbs in PRIVILEGES.items():
                for verb in verbs:
                    await there.run(f"REVOKE {verb} ON {table} FROM {user}")
                    (unmet,) = await fatal()
                    assert unmet.found == f"the user {user} lacks privileges: {verb} on {table}"
                    assert unmet.remedy == f"GRANT {verb} ON public.{table} TO {user}"
                    await there.run(unmet.remedy)
            of_columns = "REVOKE SELECT ON users FROM {0}; GRANT SELECT (id, email) ON users TO {0}"
            await there.run(of_columns.format(user))
            (unmet,) = await fatal()
            assert unmet.remedy == f"GRANT SELECT ON public.users TO {user}"


async def test_schema_that_may_not_be_used_is_not_taken_for_an_empty_one(
    servers: Servers, tmp_path: Path
) -> None:
    """PostgreSQL skips such a schema; advice to migrate would mislead."""
    async with database(servers) as there:
        await there.run("CREATE SCHEMA ours")
        url = make_url(there.settings.url).update_query_dict({"search_path": "ours"})
        there.settings = there.settings.model_copy(update={"database_url": SecretStr(url_text(url))})
        await open_migrator(there.settings).upgrade()
        grants = [grant.replace(" ON ", " ON ours.") for grant in SERVE]
        async with role(there, *grants) as user:
            settings = there.seen_by(user)
            report = findings(await call_async(tmp_path, "check", "--json", settings=settings))
            assert report["privileges"]["remedy"] == f"GRANT USAGE ON SCHEMA ours TO {user}"
            await there.run(report["privileges"]["remedy"])
            assert (await call_async(tmp_path, "check", settings=settings)).exit_code == 0


async def test_row_level_security_is_refused(servers: Servers, tmp_path: Path) -> None:
    """Hidden rows would not exist for clients."""
    async with database(servers, migrated=True) as there, role(there, *SERVE) as user:
        await there.run("ALTER TABLE items ENABLE ROW LEVEL SECURITY")
        settings = there.seen_by(user)
        done = await call_async(tmp_path, "serve", "--port", str(free_port()), settings=settings)
        assert f"row-level security hides rows of items from the user {user}" in done.refusal()
        for remedy, undo in (
            (f"ALTER ROLE {user} BYPASSRLS", f"ALTER ROLE {user} NOBYPASSRLS"),
            ("ALTER TABLE public.items DISABLE ROW LEVEL SECURITY", "SELECT"),
        ):
            assert remedy in done.err
            await there.run(remedy)
            assert (await call_async(tmp_path, "check", settings=settings)).exit_code == 0
            await there.run(undo)


async def test_migration_by_a_user_who_may_not_create_is_refused(servers: Servers, tmp_path: Path) -> None:
    """It is refused before anything is created; with the grant the migration succeeds."""
    async with database(servers) as there:
        await there.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        async with role(there) as user:
            settings = there.seen_by(user)
            for command in (["migrate", "upgrade"], ["serve", "--migrate", "--port", str(free_port())]):
                done = await call_async(tmp_path, *command, settings=settings)
                assert f"GRANT CREATE ON SCHEMA public TO {user}" in done.refusal()
            assert await there.tables() == set()
            await there.run(f"GRANT CREATE ON SCHEMA public TO {user}")
            assert (await call_async(tmp_path, "migrate", "upgrade", settings=settings)).exit_code == 0
            assert (await call_async(tmp_path, "check", settings=settings)).exit_code == 0


async def test_declared_tables_need_the_same_privileges(servers: Servers) -> None:
    """Each is named with its grant, in the one query; with exactly these, rows are written and deleted."""

    async def fatal(purpose: Purpose) -> list[UnmetRequirement]:
        return [each for each in await backend.check_server(purpose) if each.is_fatal]

    history = history_of("declared", [cls.__resource__ for cls in DECLARED])
    tables = [cls.__resource__.name for cls in DECLARED]
    async with database(servers) as there, role(there) as user:
        await open_migrator(there.settings, [history]).upgrade()
        await there.run(*(grant.format(user=user) for grant in SERVE))
        async with opened(open_backend(there.seen_by(user), resources=DECLARED)) as backend:
            (unmet,) = await fatal(Purpose.SERVE)
            verbs = "SELECT, INSERT, UPDATE, DELETE"
            assert f"{verbs} on samples, authors, books, chapters, periods, loans" in unmet.found
            assert "SELECT on resource_migrations" in unmet.found
            await there.run(unmet.remedy)
            assert await fatal(Purpose.SERVE) == []
            sample = await Rows(backend).add("samples", 1)
            await backend.resources["samples"].update(sample, {"flag": False})
            await backend.resources["samples"].delete(sample)
            for table in tables:
                await there.run(f"REVOKE DELETE ON {table} FROM {user}")
                (unmet,) = await fatal(Purpose.SERVE)
                assert unmet.remedy == f"GRANT DELETE ON public.{table} TO {user}"
                await there.run(unmet.remedy)
            found = [each.found for each in await fatal(Purpose.MIGRATE)]
            assert found[0].endswith("may not create tables in the schema public")
            assert "does not own accounts, alembic_version, authors, books, chapters," in found[1]


async def test_owner_who_may_not_refer_to_users_is_told_so(servers: Servers) -> None:
    """An owner may have given up REFERENCES, without which a table can't refer to users."""
    async with database(servers, migrated=True) as there:
        await there.run("CREATE ROLE eitherdb_owner LOGIN PASSWORD 'secret'")
        try:
            owned = [*PRIVILEGES]
            await there.run(
                "GRANT CREATE ON SCHEMA public TO eitherdb_owner",
                *(f"ALTER TABLE {table} OWNER TO eitherdb_owner" for table in owned),
                "REVOKE REFERENCES ON users FROM eitherdb_owner",
            )
            settings = there.seen_by("eitherdb_owner")
            async with opened(open_backend(settings, resources=DECLARED)) as backend:
                (unmet,) = [each for each in await backend.check_server(Purpose.MIGRATE) if each.is_fatal]
                assert unmet.remedy == "GRANT REFERENCES ON public.users TO eitherdb_owner"
                assert not [each for each in await backend.check_server(Purpose.SERVE) if each.is_fatal]
        finally:
            await there.run("DROP OWNED BY eitherdb_owner CASCADE", "DROP ROLE eitherdb_owner")


RENEW = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
"""Ends the sessions of a user; new sessions have the changed privileges."""

TAKEN = {
    "REVOKE INSERT ON counters FROM {user}": ("GRANT INSERT ON counters TO {user}", "42501"),
    "REVOKE USAGE ON SCHEMA public FROM PUBLIC": ("GRANT USAGE ON SCHEMA public TO PUBLIC", "42P01"),
    "ALTER TABLE counters RENAME TO others": ("ALTER TABLE others RENAME TO counters", "42P01"),
    "ALTER ROLE {user} SET default_transaction_read_only = on": (
        "ALTER ROLE {user} RESET default_transaction_read_only",
        "25006",
    ),
    "ALTER ROLE {user} NOLOGIN": ("ALTER ROLE {user} LOGIN", "28000"),
    "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC": (
        "GRANT CONNECT ON DATABASE {database} TO PUBLIC",
        "42501",
    ),
}
"""Maps statements that revoke something to the statement that restores it and PostgreSQL's SQLSTATE."""


async def test_privilege_that_is_revoked_from_a_running_service_is_503(
    servers: Servers, tmp_path: Path
) -> None:
    """A login that can't be counted is refused and logged with the reason, until the privilege is back."""
    async with (
        database(servers, migrated=True) as there,
        role(there, *SERVE) as user,
        serving(tmp_path, "serve", settings=there.seen_by(user)) as server,
        httpx2.AsyncClient(base_url=f"{server.url}/api/v1", timeout=30) as client,
    ):
        form = {"username": "root@example.com", "password": "wrong"}
        for taken, (given, code) in TAKEN.items():
            answer = await client.post("/login/access-token", data=form)
            assert (answer.status_code, answer.json()["code"]) == (400, "incorrect_login")
            told = len(server.output)
            await there.run(*(text.format(user=user, database=there.name) for text in (taken, RENEW)))
            for _ in range(2):
                answer = await client.post("/login/access-token", data=form)
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), taken
                assert int(answer.headers["Retry-After"]) >= 1
            assert f"({code}: " in server.output[told:], taken
            await there.run(*(text.format(user=user, database=there.name) for text in (given, RENEW)))
        assert "Traceback" not in server.output
        await server.end(signal.SIGTERM)
