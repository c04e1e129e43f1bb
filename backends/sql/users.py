"""Users in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, insert, select, update

from backends.errors import AlreadyExists, NotFound
from backends.ids import Clock, IdSource
from backends.models import NewUser, Page, Position, User, UserChanges, normalise_email
from backends.sql.errors import ConstraintViolation
from backends.sql.pages import page_statement, to_page
from backends.sql.schema import USERS

if TYPE_CHECKING:
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
    )


def _taken(violation: ConstraintViolation) -> AlreadyExists:
    return AlreadyExists("user", "id" if violation.kind == "primary_key" else "email")


class SqlUserRepository:
    """`backends.protocols.UserRepository`: one statement a method, the cascade a foreign key's."""

    def __init__(self, connections: Connections, *, clock: Clock, id_source: IdSource) -> None:
        """Use these connections, this clock and this source of ids."""
        self._connections = connections
        self._clock = clock
        self._id_source = id_source

    async def add(self, new: NewUser) -> User:
        """See the protocol."""
        values = {"id": self._id_source(), "created_at": self._clock(), **new.model_dump()}
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
        self, *, skip: int = 0, limit: int = 100, after: Position | None = None, count: bool = True
    ) -> Page[User]:
        """See the protocol."""
        statement = page_statement(USERS, skip=skip, limit=limit, after=after, count=count)
        return to_page(await self._connections.read(statement), _to_user, limit=limit, count=count)

    async def update(self, id: str, changes: UserChanges) -> User:
        """See the protocol."""
        values = changes.model_dump(exclude_unset=True)
        if not values:
            return await self.get(id)
        statement = update(USERS).where(USERS.c.id == id).values(values).returning(USERS)
        try:
            rows = await self._connections.write(statement)
        except ConstraintViolation as violation:
            raise _taken(violation) from violation
        if not rows:
            raise NotFound("user", id)
        return _to_user(rows[0])

    async def delete(self, id: str) -> None:
        """See the protocol. `ON DELETE CASCADE` takes the items along in the same statement."""
        statement = delete(USERS).where(USERS.c.id == id).returning(USERS.c.id)
        if not await self._connections.write(statement):
            raise NotFound("user", id)
