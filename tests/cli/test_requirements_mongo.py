"""The requirements of MongoDB and its user, in `check`, `migrate` and `serve`.

The tests apply each printed remedy, after which the command must succeed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from pymongo import MongoClient

from backends import open_backend
from backends.mongo import requirements
from backends.mongo.requirements import ACTIONS, actions_for
from backends.requirements import Purpose, UnmetRequirement
from cli.server_folder import wait_until
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.backends.methods import METHODS, add_rows
from tests.backends.raw import failing_commands, mongo_database, opened
from tests.backends.resource_rows import Rows
from tests.cli.command import call_async, database_on, free_port, serving
from tests.cli.guarded_mongod import PASSWORD, Guarded, mongod
from tests.cli.refusals import refused_by_all
from tests.cli.test_check import findings
from tests.contract.declared import DECLARED
from tests.provision import MongoProvision, Servers, make_settings


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Yield a server of this module: tests change its users, feature compatibility version and role."""
    folder = tmp_path_factory.mktemp("guarded")
    key = folder / "key"
    key.write_text("AKeyOfTheTests")
    key.chmod(0o400)
    with mongod(folder / "data", "--auth", "--keyFile", f"{key}", "--replSet", "rs0") as host:
        with MongoClient[dict[str, Any]](host, directConnection=True) as nobody:
            nobody.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": host}]})
            assert wait_until(lambda: nobody.admin.command("hello")["isWritablePrimary"], seconds=20)
            nobody.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        server = Guarded(host)
        yield server
        server.admin.client.close()


def role(name: str) -> dict[str, str]:
    """Return a built-in role on the database `app`."""
    return {"role": name, "db": "app"}


# -- the user ------------------------------------------------------------------------------------


async def test_read_only_user_is_refused_before_anything_is_served(
    guarded: Guarded, tmp_path: Path
) -> None:
    """The line has the missing role; with it the user can serve, but not migrate."""
    async with guarded.database("app"):
        with guarded.user("reader", role("read"), {"role": "readWrite", "db": "other"}) as user:
            settings = guarded.seen_by(user, "app")
            found = findings(await call_async(tmp_path, "check", "--json", settings=settings))["privileges"]
            assert found["status"] == "failed"
            assert "insert, update, remove on users, items, accounts, counters" in found["detail"]
            expected = 'grantRolesToUser("reader", [{role: "readWrite", db: "app"}])'
            assert found["remedy"] == f'db.getSiblingDB("admin").{expected}'
            served = await call_async(tmp_path, "serve", "--port", str(free_port()), settings=settings)
            assert expected in served.refusal()
            guarded.admin.command("grantRolesToUser", user, roles=[role("readWrite")])
            assert (await call_async(tmp_path, "check", settings=settings)).exit_code == 0
            done = await call_async(tmp_path, "migrate", "downgrade", "base", "--yes", settings=settings)
            assert 'role: "dbAdmin", db: "app"' in done.refusal()
            assert "collMod on users" in done.err


async def test_migration_by_a_user_who_may_not_change_the_schema_is_refused(
    guarded: Guarded, tmp_path: Path
) -> None:
    """It is refused before anything is created. With the roles the migration succeeds."""
    async with guarded.database("app", migrated=False):
        with guarded.user("writer", role("readWrite")) as user:
            settings = guarded.seen_by(user, "app")
            for command in (["migrate", "upgrade"], ["serve", "--migrate", "--port", str(free_port())]):
                done = await call_async(tmp_path, *command, settings=settings)
                assert 'role: "dbAdmin", db: "app"' in done.refusal()
            assert guarded.admin.client["app"].list_collection_names() == []
            guarded.admin.command("grantRolesToUser", user, roles=[role("dbAdmin")])
            done = await call_async(tmp_path, "migrate", "upgrade", settings=settings)
            assert done.exit_code == 0, done


def as_privileges(actions: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Return the privileges of a role that has these actions on the database `app`."""
    return [
        {"resource": {"db": "app", "collection": collection}, "actions": list(names)}
        for collection, names in actions.items()
        if names
    ]


async def test_privileges_to_serve_are_sufficient_and_each_is_required(
    guarded: Guarded, tmp_path: Path
) -> None:
    """Every method works with exactly the required privileges; each revoked one is named."""

    async def fatal() -> list[UnmetRequirement]:
        return [each for each in await backend.check_server(Purpose.SERVE) if each.is_fatal]

    actions = ACTIONS[Purpose.SERVE]
    app = guarded.admin.client["app"]
    async with guarded.database("app") as settings:
        app.command("createRole", "rows", privileges=as_privileges(actions), roles=[])
        with guarded.user("service", {"role": "rows", "db": "app"}) as user:
            done = await call_async(tmp_path, "check", settings=guarded.seen_by(user, "app"))
            assert done.exit_code == 0, done
            assert "could not be compared" in done.out
            async with (
                opened(open_backend(settings)) as owner,
                opened(open_backend(guarded.seen_by(user, "app"))) as backend,
            ):
                for call, _, _ in METHODS.values():
                    for collection in actions:
                        if not collection.startswith("schema_") and collection:
                            app[collection].delete_many({})
                    await call(backend, await add_rows(owner))
                assert await fatal() == []
                for collection, names in actions.items():
                    for name in names:
                        fewer = {**actions, collection: tuple(other for other in names if other != name)}
                        app.command("updateRole", "rows", privileges=as_privileges(fewer))
                        (unmet,) = await fatal()
                        assert f"{name} on {collection or 'the database'}" in unmet.found
        app.command("dropRole", "rows")


async def test_declared_collections_need_the_same_privileges(guarded: Guarded) -> None:
    """Each action is required, and these suffice to write and to delete rows."""

    async def fatal(purpose: Purpose) -> list[UnmetRequirement]:
        return [each for each in await backend.check_server(purpose) if each.is_fatal]

    history = history_of("declared", [cls.__resource__ for cls in DECLARED])
    app = guarded.admin.client["app"]
    async with guarded.database("app", migrated=False) as settings:
        await open_migrator(settings, [history]).upgrade()
        names = [cls.__resource__.name for cls in DECLARED]
        actions = actions_for(Purpose.SERVE, names)
        app.command("createRole", "rows", privileges=as_privileges(ACTIONS[Purpose.SERVE]), roles=[])
        with guarded.user("service", {"role": "rows", "db": "app"}) as user:
            async with opened(open_backend(guarded.seen_by(user, "app"), resources=DECLARED)) as backend:
                (unmet,) = await fatal(Purpose.SERVE)
                assert f"find, insert, update, remove on {', '.join(names)}" in unmet.found
                assert "find on resource_migrations" in unmet.found
                app.command("updateRole", "rows", privileges=as_privileges(actions))
                assert await fatal(Purpose.SERVE) == []
                await backend.check_schema()
                sample = await Rows(backend).add("samples", 1)
                await backend.resources["samples"].update(sample, {"flag": False})
                await backend.resources["samples"].delete(sample)
                for name in names:
                    fewer = {**actions, name: ("find", "insert", "update")}
                    app.command("updateRole", "rows", privileges=as_privileges(fewer))
                    (unmet,) = await fatal(Purpose.SERVE)
                    assert unmet.found.endswith(f"remove on {name}")
                (unmet,) = await fatal(Purpose.MIGRATE)
                assert "createCollection" in unmet.found
                assert "samples" in unmet.found
                app.command("updateRole", "rows", privileges=[], roles=[role("readWrite"), role("dbAdmin")])
                assert await fatal(Purpose.MIGRATE) == []
        app.command("dropRole", "rows")


async def test_url_without_the_required_user_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    """The line shows where the URL has the user."""
    url = f"mongodb://{guarded.host}/app?replicaSet=rs0"
    settings = make_settings(db_backend="mongo", database_url=url)
    for command in (["check"], ["migrate", "upgrade"], ["serve", "--port", str(free_port())]):
        done = await call_async(tmp_path, *command, settings=settings)
        assert done.exit_code == 2
        assert "mongodb://user:password@" in done.out + done.err, done


async def test_privilege_that_is_revoked_from_a_running_service_is_503(
    guarded: Guarded, tmp_path: Path
) -> None:
    """A login that can't be counted is refused and logged with the reason, until the privilege is back."""
    async with guarded.database("app"):
        with guarded.user("service", role("readWrite")) as user:
            async with (
                serving(tmp_path, "serve", settings=guarded.seen_by(user, "app")) as server,
                httpx2.AsyncClient(base_url=f"{server.url}/api/v1", timeout=30) as client,
            ):
                form = {"username": "root@example.com", "password": "wrong"}
                for roles in ([role("read")], []):
                    answer = await client.post("/login/access-token", data=form)
                    assert (answer.status_code, answer.json()["code"]) == (400, "incorrect_login")
                    told = len(server.output)
                    guarded.admin.command("updateUser", user, roles=roles)
                    answer = await client.post("/login/access-token", data=form)
                    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                    assert int(answer.headers["Retry-After"]) >= 1
                    assert "(13: " in server.output[told:]
                    guarded.admin.command("updateUser", user, roles=[role("readWrite")])
                assert "Traceback" not in server.output
                await server.end(signal.SIGTERM)


# -- the server ----------------------------------------------------------------------------------


async def test_old_feature_compatibility_version_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    """It counts independently of the server's version; the minimum is accepted."""
    guarded.admin.command({"setFeatureCompatibilityVersion": "5.0"})
    try:
        async with guarded.database("app", migrated=False) as settings:
            with patch.object(requirements, "MIN_VERSION", (6, 0)):
                await refused_by_all(
                    tmp_path,
                    settings,
                    reason="the feature compatibility version is 5.0; 6.0 or newer is needed",
                    remedy='db.adminCommand({setFeatureCompatibilityVersion: "6.0"})',
                )
            assert guarded.admin.client["app"].list_collection_names() == []
            done = await call_async(tmp_path, "migrate", "upgrade", settings=settings)
            assert done.exit_code == 0, done
    finally:
        guarded.admin.command({"setFeatureCompatibilityVersion": "6.0"})


@pytest.mark.parametrize(("version", "count"), [("4.4.29", 1), ("5.0.0", 0), ("8.2.1-rc0", 0)])
def test_old_server_is_refused(version: str, count: int) -> None:
    """These versions are compared as text, because none of them can be started here."""
    assert len([*requirements._old_server(version)]) == count
    assert len([*requirements._old_features(version)]) == count


async def test_secondary_is_refused(guarded: Guarded, tmp_path: Path) -> None:
    """With `directConnection=true` the driver stays on the secondary; the set's name is the remedy."""
    guarded.admin.command({"replSetStepDown": 600, "force": True})
    try:
        settings = guarded.seen_by("root", "app", "directConnection=true")
        await refused_by_all(
            tmp_path,
            settings,
            reason="the server is a secondary of the replica set rs0, which can't be written",
            remedy="`replicaSet=rs0` in place of `directConnection=true`",
        )
    finally:
        guarded.admin.command({"replSetFreeze": 0})
    assert wait_until(lambda: guarded.admin.command("hello")["isWritablePrimary"], seconds=20)


async def test_server_without_a_journal_is_refused(tmp_path: Path) -> None:
    """Every write requires the journal, so every write would fail."""
    with mongod(tmp_path / "data", "--nojournal") as host:
        settings = make_settings(db_backend="mongo", database_url=f"mongodb://{host}/app")
        await refused_by_all(
            tmp_path,
            settings,
            reason="does not have journaling enabled",
            remedy="run each member with its journal",
        )
        with MongoClient[dict[str, Any]](host) as client:
            assert client["app"].list_collection_names() == []


async def test_replica_set_that_is_not_initiated_is_refused(tmp_path: Path) -> None:
    """The line has the command that initiates it."""
    with mongod(tmp_path / "data", "--replSet", "rs0") as host:
        url = f"mongodb://{host}/app?directConnection=true"
        settings = make_settings(db_backend="mongo", database_url=url)
        await refused_by_all(
            tmp_path, settings, reason="a replica set that was never made", remedy="run rs.initiate()"
        )


async def test_write_that_no_majority_confirms_is_refused(servers: Servers, tmp_path: Path) -> None:
    """With an arbiter and a dead secondary, for example, every write would time out."""
    async with (
        database_on(MongoProvision(servers, "pymongo")) as settings,
        mongo_database(settings) as database,
        failing_commands(
            database,
            "update",
            writeConcernError={"code": 64, "errmsg": "waiting for replication timed out"},
        ),
    ):
        await refused_by_all(
            tmp_path,
            settings,
            reason="no majority of the replica set confirms a write within 5 seconds: waiting for",
            remedy="look at rs.status()",
        )
        assert await database.list_collection_names() == []
