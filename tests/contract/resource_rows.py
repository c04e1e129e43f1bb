"""Rows of any declared resources, and the rows that they refer to."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from backends.capabilities import Capability
from backends.models import NewUser, User
from backends.models.resources import FieldSpec, Resource
from backends.protocols import Backend, ResourceRepository

from .resource_values import values_of
from .samples import OTHER_USER

ATTEMPTS = 2_000
"""How many rows are tried out until the validators of a class accept one."""


class Rows:
    """Makes rows of one database. No two rows have a value of a unique group in common."""

    def __init__(self, backend: Backend, classes: Sequence[type[Resource]]) -> None:
        self.backend = backend
        self._classes = {cls.__resource__.name: cls for cls in classes}
        self._made: Counter[str] = Counter()

    def of(self, cls: type[Resource]) -> ResourceRepository[Any]:
        """Return the repository of a class."""
        return self.backend.resources[cls.__resource__.name]

    def capacity(self, cls: type[Resource], most: int) -> int:
        """Return how many rows of a class a test may add: a unique choice has few values."""
        spec = cls.__resource__
        numbers = [len(values_of(cls, each.name)) for each in spec.fields if is_unique(cls, each)]
        is_one = ("owner_id",) in spec.unique
        return min([1 if is_one else most, *(number for number in numbers if number)])

    async def user(self) -> User:
        """Add a user."""
        self._made["users"] += 1
        new = NewUser(**OTHER_USER | {"email": f"owner{self._made['users']}@example.com"})
        return await self.backend.users.add(new)

    async def new(self, cls: type[Resource], **given: Any) -> Resource:
        """Return a row to add, whose references exist.

        Each row has other values than the row before it, null among them.

        Args:
            cls: Its class.
            given: Values of the row. A reference that is given as None is null.
        """
        self._made[cls.__name__] += 1
        values = dict(given)
        for field in cls.__resource__.references:
            if field.name not in values:
                values[field.name] = await self._referred_to(cls, field)
        return self._valid(cls, self._made[cls.__name__], values)

    async def add(self, cls: type[Resource], owner: User | None = None, **given: Any) -> Any:
        """Add a row, of this owner or of a new one."""
        return await self.of(cls).add(await self.new(cls, **given), **await self.owner(cls, owner))

    async def owner(self, cls: type[Resource], owner: User | None = None) -> dict[str, Any]:
        """Return the argument for the owner of a new row, which is a new user by default."""
        if not cls.__resource__.owned:
            return {}
        return {"owner_id": (owner or await self.user()).id}

    async def referred_to(self, field: FieldSpec) -> Any:
        """Add a row that a reference may name."""
        return await (self.user() if field.target == "users" else self.add(self._target(field)))

    def delete_of(self, field: FieldSpec) -> Callable[[str], Awaitable[None]]:
        """Return the method that deletes what a reference names."""
        return (self.backend.users if field.target == "users" else self.of(self._target(field))).delete

    def deletes(self, cls: type[Resource]) -> bool:
        """Return whether the backend deletes rows of a class: others may refer to them."""
        targets = {
            field.target for each in self._classes.values() for field in each.__resource__.references
        }
        has_transactions = Capability.TRANSACTIONS in self.backend.capabilities
        return has_transactions or cls.__resource__.name not in targets

    def _target(self, field: FieldSpec) -> type[Resource]:
        return self._classes[field.target or ""]

    async def _referred_to(self, cls: type[Resource], field: FieldSpec) -> str | None:
        """Return the id of a new row to refer to. A reference that may be null ends a circle."""
        if field.target == "users":
            return (await self.user()).id
        target = self._target(field)
        if field.nullable and (target is cls or target.__resource__.references):
            return None
        return str((await self.add(target)).id)

    def _valid(self, cls: type[Resource], number: int, given: Mapping[str, Any]) -> Resource:
        """Return a row with these values and others that the validators of the class accept."""
        chosen = random.Random(f"{cls.__name__} {number}")  # noqa: S311 - no secret
        message = ""
        for attempt in range(ATTEMPTS if cls.__resource__.has_rules else 1):
            values = {
                field.name: self._value(cls, field, number, chosen if attempt else None)
                for field in cls.__resource__.fields
                if field.name not in given
            }
            try:
                return cls(**values, **given)
            except ValidationError as exc:
                message = str(exc)
        pytest.fail(
            f"the suite found no row that the validators of {cls.__name__} accept: give its fields "
            f"examples, such as Field(examples=[1, 2]), that fit together; the last try: {message}",
            pytrace=False,
        )

    def _value(
        self, cls: type[Resource], field: FieldSpec, number: int, chosen: random.Random | None
    ) -> Any:
        values = values_of(cls, field.name)
        if not values:
            if field.nullable:
                return None
            place = f"{cls.__name__}.{field.name}"
            pytest.fail(f"the suite found no value of {place}: give it Field(examples=[…])", pytrace=False)
        if is_unique(cls, field):
            if number > len(values):
                pytest.fail(
                    f"the suite needs {number} values of {cls.__name__}.{field.name}, which is unique, and "
                    f"found {len(values)}: give it Field(examples=[…])",
                    pytrace=False,
                )
            return values[number - 1]
        several = [*values[:1], None, *values[1:]] if field.nullable else values
        if chosen is not None:
            return chosen.choice(several)
        # Each field starts elsewhere, so that values do not meet in the same order in all fields.
        offset = 3 * list(cls.__resource__.by_name).index(field.name)
        return several[(number - 1 + offset) % len(several)]


def is_unique(cls: type[Resource], field: FieldSpec) -> bool:
    """Return whether the rows of `Rows` must differ in this field: it is the last of a unique group."""
    spec = cls.__resource__
    groups = [[name for name in group if name != "owner_id"] for group in spec.unique]
    return any(group and group[-1] == field.name for group in groups)


def values(row: Resource) -> dict[str, Any]:
    """Return the declared values of a row."""
    return {name: getattr(row, name) for name in row.__resource__.by_name}
