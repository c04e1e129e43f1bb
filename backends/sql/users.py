"""Users in SQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, select, update

from backends.errors import AccountNotEmpty, AlreadyExists, NotFound, VersionMismatch
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
from backends.sql.pages import Order, page_statement, to_page
from backends.sql.schema import ACCOUNTS, USERS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from backends.sql.connections import Connections


def _to_user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        email=row.email,
        hashed_password=row.hashed_password,
        full_name=row.full_name,
        is_active=row.is_active,
        is_superuser=row.is_superuser,
        created_at=row.created_at,
        version=row.version,
        session_version=row.session_version,
    )


def _matches(id: str, versions: Collection[int] | None) -> list[ColumnElement[bool]]:
    matches = [USERS.c.id == id]
    return matches if versions is None else [*matches, USERS.c.version.in_(versions)]


def _fits(where: UserFilter) -> list[ColumnElement[bool]]:
    fits = []
    if where.is_active is not None:
        fits.append(USERS.c.is_active == where.is_active)
    if where.created_after is not None:
        fits.append(USERS.c.created_at > where.created_after)
    if where.created_before is not None:
        fits.append(USERS.c.created_at < where.created_before)
    return fits


def _taken(violation: ConstraintViolation) -> AlreadyExists:
    return AlreadyExists("user", "id" if violation.kind == "primary_key" else "email")


class SqlUserRepository:
    """`backends.protocols.UserRepository`: one statement a method, but for `delete`."""

    def __init__(
        self,
        connections: Connections,
        *,
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use these connections, this clock and this source of ids."""
        self._connections = connections
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source

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
            await self._connections.write(insert(USERS), values)
        except ConstraintViolation as violation:
            raise _taken(violation) from violation
        return User(**values)

    async def get(self, id: str) -> User:
        """See the protocol."""
        rows = await self._connections.read(select(USERS).where(USERS.c.id == id))
        if not rows:
            raise NotFound("user", id)
        return _to_user(rows[0])

    async def find_by_email(self, email: str) -> User | None:
        """See the protocol."""
        try:
            address = normalise_email(email)
        except ValueError:
            return None
        rows = await self._connections.read(select(USERS).where(USERS.c.email == address))
        return _to_user(rows[0]) if rows else None

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
        order = Order.by(sort, unique=("email",))
        statement = page_statement(
            USERS, *_fits(where), order=order, skip=skip, limit=limit, after=after, count=count
        )
        rows = await self._connections.read(statement)
        return to_page(rows, _to_user, order=order, limit=limit, count=count)

    async def update(
        self,
        id: str,
        changes: UserChanges,
        *,
        versions: Collection[int] | None = None,
        end_sessions: bool = False,
    ) -> User:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)
        if end_sessions:
            values["session_version"] = USERS.c.session_version + 1
        if not values:
            user = await self.get(id)
            if versions is not None and user.version not in versions:
                raise VersionMismatch("user", id)
            return user
        values["version"] = USERS.c.version + 1
        statement = update(USERS).where(*_matches(id, versions)).values(values).returning(USERS)
        try:
            rows = await self._connections.write(statement)
        except ConstraintViolation as violation:
            raise _taken(violation) from violation
        if not rows:
            raise await self._refusal(id)
        return _to_user(rows[0])

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """See the protocol. `ON DELETE CASCADE` takes the items along; accounts with money refuse."""

        async def write(connection: AsyncConnection) -> None:
            # Who adds an account locks its owner: none comes between its accounts' end and the user's.
            locked = select(USERS.c.id).where(*_matches(id, versions)).with_for_update()
            if (await connection.execute(locked)).first() is None:
                raise Refused
            # What waits for a row of an account sees what it then holds: no money is deleted.
            await connection.execute(
                delete(ACCOUNTS).where(ACCOUNTS.c.owner_id == id, ACCOUNTS.c.balance_minor == 0)
            )
            await connection.execute(delete(USERS).where(USERS.c.id == id))

        try:
            await retry_conflicts(
                lambda: self._connections.transact(write), deadline_seconds=self._retry_deadline_seconds
            )
        except Refused:
            raise await self._refusal(id) from None
        except ConstraintViolation as violation:
            raise AccountNotEmpty("user", id) from violation

    async def _refusal(self, id: str) -> NotFound | VersionMismatch:
        """Say why a guarded write matched no row: a second look, on the way to an error only."""
        rows = await self._connections.read(select(USERS.c.id).where(USERS.c.id == id))
        return VersionMismatch("user", id) if rows else NotFound("user", id)
