"""The user repository in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from backends.errors import AccountNotEmpty, AlreadyExists, NotFound, StillReferenced, VersionMismatch
from backends.ids import Clock, IdSource
from backends.ledger import Refused
from backends.models import (
    NewUser,
    Page,
    Position,
    User,
    UserChanges,
    UserFilter,
    UserSort,
    normalise_email,
)
from backends.retry import retry_conflicts
from backends.sql.errors import ConstraintViolation
from backends.sql.functions import is_one_of
from backends.sql.lookups import ById
from backends.sql.pages import Lists, SortKey
from backends.sql.resource_statements import emptying, restrictions
from backends.sql.schema import ACCOUNTS, USERS
from backends.sql.statements import Statement

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.sql.connections import Connections, Steps
    from backends.sql.resource_statements import ResourceStatements


_OF_ID = USERS.c.id == bindparam("of_id")
_LISTS = Lists(
    USERS,
    User,
    columns=USERS.c.keys(),
    conditions={
        "is_active": USERS.c.is_active == bindparam("is_active"),
        "created_after": USERS.c.created_at > bindparam("created_after"),
        "created_before": USERS.c.created_at < bindparam("created_before"),
    },
    sorts={"email": SortKey(unique=True)},
)
_ADD = insert(USERS)
_FIND = select(USERS).where(USERS.c.email == bindparam("email"))
_EXISTS = select(USERS.c.id).where(_OF_ID)
_REPLACE_HASH = (
    update(USERS)
    .where(_OF_ID, USERS.c.hashed_password == bindparam("old_hash"))
    .values(hashed_password=bindparam("new_hash"))
    .returning(USERS.c.id)
)
_DELETE = delete(USERS).where(_OF_ID)
_MONEY = select(ACCOUNTS.c.id).where(ACCOUNTS.c.owner_id == bindparam("of_id")).limit(1)
_DELETE_EMPTY_ACCOUNTS = delete(ACCOUNTS).where(
    ACCOUNTS.c.owner_id == bindparam("of_id"), ACCOUNTS.c.balance_minor == 0
)


def _matches(*, of_versions: bool) -> list[ColumnElement[bool]]:
    return [_OF_ID, is_one_of(USERS.c.version, "of_versions")] if of_versions else [_OF_ID]


@cache
def _update(changed: frozenset[str], *, ends_sessions: bool, of_versions: bool) -> Statement:
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=USERS.c[name].type) for name in changed}
    values["version"] = USERS.c.version + 1
    if ends_sessions:
        values["session_version"] = USERS.c.session_version + 1
    return update(USERS).where(*_matches(of_versions=of_versions)).values(values).returning(USERS)


@cache
def _lock(*, of_versions: bool) -> Statement:
    return select(USERS.c.id).where(*_matches(of_versions=of_versions)).with_for_update()


def _taken(violation: ConstraintViolation) -> AlreadyExists:
    return AlreadyExists("user", "id" if violation.kind == "primary_key" else "email")


class SqlUserRepository:
    """`backends.protocols.UserRepository`. Each method except `delete` is one statement."""

    def __init__(
        self,
        connections: Connections,
        *,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
        resources: Sequence[ResourceStatements] = (),
    ) -> None:
        """Use these connections, this clock and this source of ids.

        The rows of `resources` may be deleted or changed with a user.
        """
        self._has_references = any(each.spec.references for each in resources)
        self._restrictions = restrictions("users", resources)
        self._emptying = emptying("users", resources)
        self._connections = connections
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source
        self._by_id = ById(connections, USERS, User, USERS.c.keys())

    async def add(self, new: NewUser) -> User:
        """See the protocol."""
        values = {
            "id": self._id_source(),
            "created_at": self._clock(),
            "version": 1,
            "session_version": 0,
            **new.model_dump(),
        }
        try:
            await self._connections.write(_ADD, values)
        except ConstraintViolation as violation:
            raise _taken(violation) from violation
        return User(**values)

    async def get(self, id: str) -> User:
        """See the protocol."""
        user = await self._by_id.get(id)
        if user is None:
            raise NotFound("user", id)
        return user

    async def find_by_email(self, email: str) -> User | None:
        """See the protocol."""
        try:
            address = normalise_email(email)
        except ValueError:
            return None
        rows = await self._connections.look_up(_FIND, {"email": address})
        return User.of_fields(rows[0]) if rows else None

    async def list(
        self,
        *,
        where: UserFilter = UserFilter(),  # noqa: B008 - frozen
        sort: UserSort = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[User]:
        """See the protocol."""
        return await _LISTS.page(
            self._connections, sort=sort, skip=skip, limit=limit, after=after, count=count, **dict(where)
        )

    async def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """See the protocol."""
        new = changes.model_dump(exclude_unset=True)
        if not new and not end_sessions:
            user = await self.get(id)
            if versions is not None and user.version not in versions:
                raise VersionMismatch("user", id)
            return user
        statement = _update(frozenset(new), ends_sessions=end_sessions, of_versions=versions is not None)
        values = {f"new_{name}": value for name, value in new.items()}
        values |= {"of_id": id, "of_versions": versions}
        try:
            rows = await self._connections.write(statement, values)
        except ConstraintViolation as violation:
            raise _taken(violation) from violation
        if not rows:
            raise await self._refusal(id)
        return User.of_fields(rows[0])

    async def replace_hash(self, id: str, *, old: str, new: str) -> bool:
        """See the protocol."""
        values = {"of_id": id, "old_hash": old, "new_hash": new}
        return bool(await self._connections.write(_REPLACE_HASH, values))

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """See the protocol. Items are deleted by `ON DELETE CASCADE`; accounts with money prevent it."""

        def steps() -> Steps[None]:
            values = {"of_id": id, "of_versions": versions}
            # Inserting an account locks its owner, so none is added between the two deletions.
            if not (yield _lock(of_versions=versions is not None), values):
                raise Refused
            # If this waits for the lock of an account, it sees the new balance: no money is deleted.
            yield _DELETE_EMPTY_ACCOUNTS, values
            for statement in self._emptying:
                yield statement, values
            yield _DELETE, values

        try:
            await retry_conflicts(
                lambda: self._connections.transact(steps), deadline_seconds=self._retry_deadline_seconds
            )
        except Refused:
            raise await self._refusal(id) from None
        except ConstraintViolation as violation:
            if not self._has_references or await self._connections.run(_MONEY, {"of_id": id}):
                raise AccountNotEmpty("user", id) from violation
            raise StillReferenced("user", id, await self._referring(id)) from violation

    async def _referring(self, id: str) -> str:
        """Return the entity of a row that would remain and refer to what would be deleted."""
        for each in self._restrictions:
            if await self._connections.run(each.find, {"of_id": id}):
                return each.entity
        return "row"

    async def _refusal(self, id: str) -> NotFound | VersionMismatch:
        """Return the reason why a conditional write matched no row. This query runs for errors only."""
        rows = await self._connections.look_up(_EXISTS, {"of_id": id})
        return VersionMismatch("user", id) if rows else NotFound("user", id)
