"""Users in MongoDB."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from backends.cancellation import run_to_completion
from backends.capabilities import Capability
from backends.errors import (
    AccountNotEmpty,
    AlreadyExists,
    BackendError,
    NotFound,
    NotSupported,
    VersionMismatch,
)
from backends.ids import Clock, IdSource, write_time
from backends.models import (
    NewUser,
    Page,
    Position,
    Row,
    User,
    UserChanges,
    UserFilter,
    UserSort,
    normalise_email,
)
from backends.mongo.driver import Document
from backends.mongo.errors import DuplicateKey, translate_errors
from backends.mongo.lookups import ById
from backends.mongo.pages import Order, created_between, fetch_page
from backends.mongo.rows import stored_fields
from backends.mongo.schema import ACCOUNTS, DELETED_USERS, USERS, object_id
from backends.rows import unreadable

if TYPE_CHECKING:
    from bson import ObjectId

    from backends.mongo.driver import Driver, Session
    from backends.mongo.references import References

logger = logging.getLogger(__name__)


def _to_row(document: Document) -> Row:
    try:
        return {
            "id": str(document["_id"]),
            "email": document["email"],
            "hashed_password": document["hashed_password"],
            "full_name": document["full_name"],
            "is_active": document["is_active"],
            "is_superuser": document["is_superuser"],
            "created_at": write_time(document["created_at"]),
            "version": document["version"],
            "session_version": document["session_version"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise unreadable("users", stored_fields("users", document)) from exc


def _to_user(document: Document) -> User:
    return User.from_row(_to_row(document))


def _matches(id: str, versions: Collection[int] | None) -> Document:
    matches: Document = {"_id": object_id(id)}
    return matches if versions is None else {**matches, "version": {"$in": list(versions)}}


def _conditions(where: UserFilter) -> list[Document]:
    conditions = created_between(where.created_after, where.created_before)
    return conditions if where.is_active is None else [*conditions, {"is_active": where.is_active}]


class MongoUserRepository:
    """`backends.protocols.UserRepository`: each method is one command, except `delete`."""

    def __init__(
        self,
        driver: Driver,
        *,
        references: References,
        capabilities: frozenset[Capability],
        retry_deadline_seconds: float,
        clock: Clock,
        id_source: IdSource,
    ) -> None:
        """Use this driver, clock and source of ids."""
        self._driver = driver
        self._users = driver.database[USERS.name]
        self._accounts = driver.database[ACCOUNTS.name]
        self._deleted_users = driver.database[DELETED_USERS.name]
        self._references = references
        self._capabilities = capabilities
        self._retry_deadline_seconds = retry_deadline_seconds
        self._clock = clock
        self._id_source = id_source
        self._by_id = ById(driver, self._users, _to_user)

    async def add(self, new: NewUser) -> User:
        """See the protocol."""
        values = {"created_at": self._clock(), "version": 1, "session_version": 0, **new.model_dump()}
        id_ = self._id_source()
        try:
            with translate_errors():
                await self._users.insert_one({"_id": object_id(id_), "accounts_opened": 0, **values})
        except DuplicateKey as duplicate:
            raise AlreadyExists("user", duplicate.fields[0]) from duplicate
        return User(id=id_, **values)

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
        with translate_errors():
            document = await self._users.find_one({"email": address})
        return _to_user(document) if document else None

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
        return await fetch_page(
            self._driver,
            self._users,
            _conditions(where),
            _to_row,
            User,
            order=Order.by(sort, unique=("email",)),
            skip=skip,
            limit=limit,
            after=after,
            count=count,
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
        values = changes.model_dump(exclude_unset=True)
        if not values and not end_sessions:
            user = await self.get(id)
            if versions is not None and user.version not in versions:
                raise VersionMismatch("user", id)
            return user
        change: Document = {"$inc": {"version": 1, "session_version": int(end_sessions)}}
        if values:
            change["$set"] = values
        try:
            with translate_errors():
                document = await self._users.find_one_and_update(
                    _matches(id, versions), change, return_document=True
                )
        except DuplicateKey as duplicate:
            raise AlreadyExists("user", duplicate.fields[0]) from duplicate
        if document is None:
            raise await self._refusal(id)
        return _to_user(document)

    async def replace_hash(self, id: str, *, old: str, new: str) -> bool:
        """See the protocol."""
        with translate_errors():
            result = await self._users.update_one(
                {"_id": object_id(id), "hashed_password": old}, {"$set": {"hashed_password": new}}
            )
        return result.matched_count > 0

    async def delete(self, id: str, *, versions: Collection[int] | None = None) -> None:
        """See the protocol; `docs/adr/0005-references-on-mongodb.md` shows why no orphan remains.

        A transaction deletes the user and its rows. It can't see the concurrent insert of
        `Inserts.insert` into a collection without other references. Documents inserted before the commit
        are deleted by a sweep after it. Later ones are deleted by `insert`, which checks the owner after
        the insert. If a process dies in between, the next start finishes the work from the record in
        `deleted_users`.
        """
        if Capability.TRANSACTIONS not in self._capabilities:
            raise NotSupported("users.delete", Capability.TRANSACTIONS)
        user_id = object_id(id)
        if user_id is None:
            raise NotFound("user", id)
        if not await run_to_completion(self._delete_with_rows(user_id, _matches(id, versions))):
            raise await self._refusal(id)

    async def _refusal(self, id: str) -> NotFound | VersionMismatch:
        """Return why a guarded write matched nothing; reads again, on the error path only."""
        with translate_errors():
            document = await self._users.find_one({"_id": object_id(id)}, {"_id": 1})
        return VersionMismatch("user", id) if document else NotFound("user", id)

    async def _delete_with_rows(self, user_id: ObjectId, matches: Document) -> bool:
        """Delete in a transaction and sweep after it; return False if no user matches."""

        async def delete(session: Session) -> bool:
            deleted = await self._users.delete_one(matches, session=session)
            if deleted.deleted_count:
                # A concurrent posting to an account conflicts with the account's deletion.
                money = {"owner_id": user_id, "balance_minor": {"$gt": 0}}
                if await self._accounts.find_one(money, {"_id": 1}, session=session) is not None:
                    raise AccountNotEmpty("user", str(user_id))
                await self._accounts.delete_many({"owner_id": user_id}, session=session)
                await self._references.delete_referring(USERS.name, user_id, session)
                await self._deleted_users.insert_one(
                    {"_id": user_id, "deleted_at": self._clock()}, session=session
                )
            return bool(deleted.deleted_count)

        if not await self._references.run(delete, ids=[str(user_id)]):
            return False
        try:
            with translate_errors():
                await self._sweep({"owner_id": user_id})
        except BackendError:
            # The user is deleted, so the call succeeds; the next start sweeps again.
            logger.warning("could not sweep the rows of the deleted user %s", user_id, exc_info=True)
        return True

    async def sweep_deleted(self) -> None:
        """Delete the rows of deleted users that a dead process left."""
        with translate_errors():
            recent = self._deleted_users.find({}).sort([("deleted_at", -1)]).limit(10_000)
            ids = [document["_id"] for document in await recent.to_list(10_000)]
            if ids:
                await self._sweep({"owner_id": {"$in": ids}})

    async def _sweep(self, is_owned: Document) -> None:
        for name in self._references.swept:
            await self._driver.database[name].delete_many(is_owned)
