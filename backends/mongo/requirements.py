"""The requirements for the MongoDB server and the privileges of its user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure

from backends.mongo.errors import translate_errors
from backends.mongo.ownership import RESOURCE_MIGRATIONS
from backends.mongo.schema import COLLECTIONS, COUNTERS, MIGRATIONS, MIGRATIONS_LOCK
from backends.requirements import Purpose, UnmetRequirement

if TYPE_CHECKING:
    from backends.mongo.driver import Driver

MIN_VERSION = (5, 0)
"""The first version with snapshot reads outside transactions.

Applies to the server's version and its feature compatibility version.
"""

_ROWS = ("find", "insert", "update", "remove")
_KEPT_ROWS = ("find", "insert")  # for append-only collections
_SCHEMA = ("createCollection", "dropCollection", "collMod", "createIndex", "dropIndex", "listIndexes")

# https://www.mongodb.com/docs/manual/reference/privilege-actions/
ACTIONS: Mapping[Purpose, Mapping[str, tuple[str, ...]]] = {
    Purpose.READ: {},
    Purpose.SERVE: {
        "": ("listCollections",),
        "users": _ROWS,
        "items": _ROWS,
        "accounts": _ROWS,
        "counters": _ROWS,
        "transfers": _KEPT_ROWS,
        "idempotency_keys": _KEPT_ROWS,
        "deleted_users": _KEPT_ROWS,
        MIGRATIONS: ("find",),
        MIGRATIONS_LOCK: ("find",),
    },
    Purpose.MIGRATE: {
        "": ("listCollections",),
        **{spec.name: ("find", "update", *_SCHEMA) for spec in COLLECTIONS},
        MIGRATIONS: _ROWS,
        MIGRATIONS_LOCK: _ROWS,
        RESOURCE_MIGRATIONS.name: ("find",),
    },
}
"""The actions on each collection; the name "" stands for the database."""

_OF_RESOURCES = {Purpose.SERVE: _ROWS, Purpose.MIGRATE: ("find", "update", *_SCHEMA)}
_OF_THEIR_RECORDS = {Purpose.SERVE: ("find",), Purpose.MIGRATE: (*_ROWS, *_SCHEMA)}

ROLES = {Purpose.SERVE: ("readWrite",), Purpose.MIGRATE: ("readWrite", "dbAdmin")}
"""The built-in roles that include these actions."""


def actions_for(purpose: Purpose, resources: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the actions on each collection, those of these resources included."""
    actions = dict(ACTIONS[purpose])
    declared = [name for name in resources if name not in actions]
    if declared and purpose in _OF_RESOURCES:
        actions |= dict.fromkeys(declared, _OF_RESOURCES[purpose])
        actions[RESOURCE_MIGRATIONS.name] = _OF_THEIR_RECORDS[purpose]
    return actions


async def unmet(
    driver: Driver, version: str, purpose: Purpose, resources: Collection[str], *, wait_seconds: float
) -> list[UnmetRequirement]:
    """Return the requirements of the purpose that the server doesn't meet.

    Args:
        driver: A connected driver.
        version: The server's version.
        purpose: The purpose for which the database is opened.
        resources: The names of the resources, those of items included.
        wait_seconds: The time that a majority of the replica set has to confirm a write.
    """
    found = [*_old_server(version)]
    with translate_errors():
        found += _old_features(await _feature_version(driver))
        if purpose is Purpose.READ:
            return found
        not_primary = [*_not_primary(await driver.admin.command("hello"))]
        if not_primary:
            return found + not_primary
        status = await driver.admin.command({"connectionStatus": 1, "showPrivileges": True})
        denied = [*_denied(status["authInfo"], driver.database.name, purpose, resources)]
        if denied:
            return found + denied
        return found + [each async for each in _try_to_write(driver, purpose, wait_seconds)]


def _old_server(version: str) -> Iterator[UnmetRequirement]:
    if _numbers(version) < MIN_VERSION:
        yield UnmetRequirement(
            subject="server",
            found=f"the server is MongoDB {version}",
            needed=f"{_text(MIN_VERSION)} or newer is needed",
            remedy="upgrade the server",
        )


async def _feature_version(driver: Driver) -> str | None:
    """Return the feature compatibility version; None on a router or without the privilege to read it."""
    try:
        reply = await driver.admin.command({"getParameter": 1, "featureCompatibilityVersion": 1})
    except OperationFailure:
        return None
    return str(reply["featureCompatibilityVersion"]["version"])


def _old_features(version: str | None) -> Iterator[UnmetRequirement]:
    if version is not None and _numbers(version) < MIN_VERSION:
        needed = _text(MIN_VERSION)
        yield UnmetRequirement(
            subject="server",
            found=f"the feature compatibility version is {version}",
            needed=f"{needed} or newer is needed",
            remedy=f'db.adminCommand({{setFeatureCompatibilityVersion: "{needed}"}}), or a newer one',
        )


def _not_primary(hello: Mapping[str, Any]) -> Iterator[UnmetRequirement]:
    """Report a member that isn't the primary.

    https://www.mongodb.com/docs/manual/reference/command/hello/
    """
    if hello.get("isWritablePrimary"):
        return
    if hello.get("isreplicaset"):
        yield UnmetRequirement(
            subject="server",
            found="the server was started as a replica set that was never made",
            needed="a primary is needed",
            remedy="run rs.initiate() on it, once",
        )
        return
    role = "an arbiter" if hello.get("arbiterOnly") else "a secondary"
    name = hello.get("setName", "")
    yield UnmetRequirement(
        subject="server",
        found=f"the server is {role} of the replica set {name}, which can't be written",
        needed="the primary is needed",
        remedy=f"give DATABASE_URL `replicaSet={name}` in place of `directConnection=true`, "
        "so that the driver finds the primary",
    )


def _denied(
    auth: Mapping[str, Any], database: str, purpose: Purpose, resources: Collection[str]
) -> Iterator[UnmetRequirement]:
    """Report missing privileges; without a user, the server has no access control.

    https://www.mongodb.com/docs/manual/reference/command/connectionStatus/
    """
    if not auth["authenticatedUsers"]:
        return
    privileges = auth["authenticatedUserPrivileges"]
    by_actions: dict[str, list[str]] = {}
    for collection, actions in actions_for(purpose, resources).items():
        allowed = _allowed(privileges, database, collection)
        if lacking := [action for action in actions if action not in allowed]:
            by_actions.setdefault(", ".join(lacking), []).append(collection or "the database")
    if by_actions:
        user = auth["authenticatedUsers"][0]
        roles = ", ".join(f'{{role: "{role}", db: "{database}"}}' for role in ROLES[purpose])
        denied = "; ".join(f"{actions} on {', '.join(names)}" for actions, names in by_actions.items())
        serves = ", or migrate as a user who has them" if purpose is Purpose.MIGRATE else ""
        yield UnmetRequirement(
            subject="privileges",
            found=f"the user {user['user']} lacks privileges in the database {database}: {denied}",
            needed=f"they are needed to {purpose}",
            remedy=f'db.getSiblingDB("{user["db"]}").grantRolesToUser("{user["user"]}", [{roles}]){serves}',
        )


def _allowed(privileges: Iterable[Mapping[str, Any]], database: str, collection: str) -> set[str]:
    """Return the actions that the privileges allow on a collection.

    https://www.mongodb.com/docs/manual/reference/resource-document/
    """
    return {
        action
        for privilege in privileges
        for action in privilege["actions"]
        if privilege["resource"].get("anyResource")
        or (
            privilege["resource"].get("db") in {"", database}
            and privilege["resource"].get("collection") in {"", collection}
        )
    }


async def _try_to_write(
    driver: Driver, purpose: Purpose, wait_seconds: float
) -> AsyncIterator[UnmetRequirement]:
    """Send an update that matches no document, with the write concern of every write."""
    collection = MIGRATIONS if purpose is Purpose.MIGRATE else COUNTERS.name
    write = {
        "update": collection,
        "updates": [{"q": {"_id": ""}, "u": {"$set": {"value": 1}}}],
        "writeConcern": {"w": "majority", "j": True, "wtimeout": int(wait_seconds * 1000)},
    }
    try:
        reply = await driver.database.command(write)
    except OperationFailure as exc:
        if exc.code not in _REFUSED:
            raise
        yield _REFUSED[exc.code](str((exc.details or {}).get("errmsg", exc)))
        return
    if error := reply.get("writeConcernError"):
        yield UnmetRequirement(
            subject="durability",
            found=f"no majority of the replica set confirms a write within {wait_seconds:g} seconds: "
            f"{error['errmsg']}",
            needed="every write waits for that",
            remedy="look at rs.status(): more than half of the voting members must be up and hold data, "
            "which an arbiter does not",
        )


def _no_user(message: str) -> UnmetRequirement:
    return UnmetRequirement(
        subject="privileges",
        found=f"the server refuses a write: {message}",
        needed="a user is needed who may read and write",
        remedy="give DATABASE_URL a user and a password: mongodb://user:password@host/name",
    )


def _no_journal(message: str) -> UnmetRequirement:
    return UnmetRequirement(
        subject="durability",
        found=f"the server refuses a write that is to be in the journal: {message}",
        needed="every write is",
        remedy="run each member with its journal and the storage engine wiredTiger",
    )


# https://www.mongodb.com/docs/manual/reference/error-codes/
_REFUSED = {
    13: _no_user,  # Unauthorized
    2: _no_journal,  # BadValue: the server has no journal
}


def _numbers(version: str) -> tuple[int, ...]:
    major, _, rest = version.partition(".")
    return int(major), int(rest.partition(".")[0] or 0)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
