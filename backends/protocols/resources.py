"""The contract of the rows of one resource."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from backends.models import Idempotency, Page, Position
from backends.models.resources import Resource, ResourceSpec

R = TypeVar("R", bound=Resource)

NO_FILTERS: Mapping[str, Any] = MappingProxyType({})


class ResourceRepository(Protocol[R]):
    """The rows of a resource: `backend.resources["books"]`.

    `entity` in errors is `spec.entity`. A method that takes `owner_id` is limited to the rows of that user;
    None allows every owner. A resource that is not owned is always called without it.

    `public` widens a method that is limited to an owner: it also finds the rows that fit
    `spec.public_when`, whoever owns them. Without `owner_id`, a list with `public` has those rows only.

    *References*: a row refers to a row that exists. If the other row is deleted concurrently, one of the
    two calls fails, or this row is deleted or changed with it. No interleaving, and no crash, leaves a
    reference to nothing, or deletes a row that is referred to with `on_delete="restrict"`. While `add`
    runs, a row of an owner who does not exist may be visible.
    """

    @property
    def spec(self) -> ResourceSpec:
        """The specification of the resource."""
        ...

    async def add(
        self,
        new: BaseModel,
        *,
        owner_id: str | None = None,
        idempotency: Idempotency | None = None,
        ordered_by: str | None = None,
    ) -> R:
        """Store a row with a new id and the current time.

        Args:
            new: An instance of the class, or of a form derived from it. Its declared fields are stored.
            owner_id: The owner; required if and only if the resource is owned.
            idempotency: A repeated call of the same user with the same key returns the first row as it was
                returned, and adds none. A refusal is not an outcome: it is not stored.
            ordered_by: The user to whom the idempotency key belongs. Default: `owner_id`.

        Raises:
            NotFound: entity "user", id `owner_id`: the owner does not exist. Then, for the first reference
                in the order of the fields: entity and id of what does not exist.
            AlreadyExists: The fields of the first unique group that another row has, joined by a comma;
                "id" if the id source returned an id that is in use.
            RuleBroken: The hook `before_add` of the class refuses the row, before all others.
            IdempotencyKeyReused: The key was used with another fingerprint.
            NotSupported: operation "items.add with an idempotency key", capability TRANSACTIONS.
            Conflict: Concurrent changes of the same rows collided in every attempt.
        """
        ...

    async def add_many(self, new: Sequence[BaseModel], *, owner_id: str | None = None) -> list[R]:
        """Store all of the rows, or none, with the current time.

        Args:
            new: 1 to `MAX_ADDED` rows.
            owner_id: As in `add`.

        Returns:
            The rows in the order of `new`, with ascending new ids.

        Raises:
            NotFound: As in `add`. A concurrent deletion of the owner finds all of the rows or none.
            AlreadyExists: As in `add`, also if two of the new rows collide.
            NotSupported: operation "items.add_many", capability TRANSACTIONS; before all others.
            Conflict: Concurrent changes of the same rows collided in every attempt.
        """
        ...

    async def get(self, id: str, *, owner_id: str | None = None, public: bool = False) -> R:
        """Return the row with this id.

        Raises:
            NotFound: The row does not exist.
            NotOwner: The row belongs to another user than `owner_id`, and is not public or not asked for.
        """
        ...

    async def find_by(self, **values: Any) -> R | None:
        """Return the row with these values of a unique group of fields, or None.

        Args:
            values: A value other than None for each field of one of `spec.unique`.

        Raises:
            ValueError: The fields are no unique group.
        """
        ...

    async def list(
        self,
        *,
        owner_id: str | None = None,
        public: bool = False,
        where: BaseModel | Mapping[str, Any] = NO_FILTERS,
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[R]:
        """Return a page of the rows; see `UserRepository.list` for the other arguments and the result.

        The page of an unknown owner is empty.

        Args:
            owner_id: See the class.
            public: See the class.
            where: The filters by name (`resources.filters_of`, and `q`, `created_after` and
                `created_before`), with values as `filter_form` validates them. None is no condition.
            sort: One of `spec.sorts`, with `-` for descending order. Null sorts before every value.
            skip: As there.
            limit: As there.
            after: As there; the key is the value of the sorted field, in Python, which may be None.
            count: As there.

        Raises:
            ValueError: The resource has no such filter or order.
        """
        ...

    async def update(
        self,
        id: str,
        changes: BaseModel | Mapping[str, Any],
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> R:
        """Update the fields that are set in `changes`, in one atomic step; return the row.

        If no field is set, nothing changes and the row is returned. Owner and version are checked in the
        same step. If the class has rules (`spec.has_rules`), the row that results is validated as a whole,
        and written only if nobody changed the row meanwhile. The hook `before_change` sees that row, and
        the row before it. The row is unchanged after an error.

        Raises:
            NotFound: The row does not exist.
            NotOwner: The row belongs to another user than `owner_id`.
            VersionMismatch: The row's version is not in `versions`.
            NotFound: As in `add`, for a changed reference.
            AlreadyExists: As in `add`.
            RuleBroken: The resulting row is refused by a rule or by the hook of the class.
        """
        ...

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """Delete the row. Owner and version are checked in the same step.

        Rows that refer to it with `cascade` are deleted in the same step, and those that refer to them.
        References with `set_null` become null; those rows get a new version.

        Of any number of concurrent calls for one row, exactly one returns; the others raise NotFound. The
        row is unchanged after any other error.

        Raises:
            NotFound: The row does not exist.
            NotOwner: The row belongs to another user than `owner_id`.
            VersionMismatch: The row's version is not in `versions`.
            StillReferenced: A row that would remain refers to it, or to a row that would be deleted with
                it, with `on_delete="restrict"`; names the entity of that row.
            NotSupported: operation "authors.delete", capability TRANSACTIONS, if other resources refer to
                this one.
        """
        ...
