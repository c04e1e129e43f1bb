"""What is seeded: the rows of a resource, or users. Values are validated as requests validate them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from api.errors.backend_errors import problem_of
from api.resources.forms import forms_of
from api.resources.names import words
from api.schemas import UserCreate
from api.security import HASHING_THREADS, Passwords
from backends.errors import AlreadyExists, BackendError, NotFound, RuleBroken
from backends.models import NewUser
from backends.models.resources import Kind, Resource
from backends.models.resources.errors import HookFailed
from backends.models.resources.forms import values_of
from cli.seeding.references import References
from cli.user_views import unknown_email

if TYPE_CHECKING:
    from backends.protocols import Backend


class Invalid(Exception):
    """A row is refused, for one or more reasons."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A valid row of the file.

    Attributes:
        line: The line on which it begins.
        form: The row as the routes take it.
        owner_id: The owner, if the rows have owners.
    """

    line: int
    form: BaseModel
    owner_id: str | None = None


class Target(Protocol):
    """What the rows of a file become.

    Attributes:
        many: Several of them in a sentence.
        columns: The kinds of the values that a file may give, by name.
        served: The fields that nobody gives.
        needs_owner: Whether each row has to give its owner.
        batch: The number of rows to read ahead.
        step: The number of those that are stored together, all or none.
    """

    many: str
    columns: Mapping[str, Kind]
    served: frozenset[str]
    needs_owner: bool
    batch: int
    step: int

    async def read(self, line: int, values: dict[str, Any], *, first_time: bool) -> NewRow:
        """Return the row with these values.

        Raises:
            Invalid: A value is refused.
        """
        ...

    async def prepare(self, batch: Sequence[NewRow]) -> None:
        """Do what takes long and can be done for several rows at once."""
        ...

    async def store(self, rows: Sequence[NewRow]) -> None:
        """Store all of the rows, of which there are at most `step`, or none."""
        ...

    async def explain(self, rows: Sequence[NewRow], error: BackendError) -> list[tuple[int, str]]:
        """Return the lines at fault, each with the reason; nothing if the error is about no row."""
        ...


class ResourceTarget:
    """The rows of a resource; see `Target`."""

    def __init__(
        self,
        backend: Backend,
        cls: type[Resource],
        classes: Mapping[str, type[Resource]],
        *,
        owner_id: str | None,
        batch: int,
    ) -> None:
        """Add rows of this class, which belong to this user unless a row has another `owner`."""
        self._cls = cls
        self._spec = cls.__resource__
        self._backend = backend
        self._rows = backend.resources[self._spec.name]
        self._create = forms_of(cls).create
        self._owner_id = owner_id
        self._references = References(backend, classes)
        self.many = words(self._spec.name)
        given = [each for each in self._spec.fields if not each.read_only]
        columns = {each.name: each.kind for each in given}
        for each in given:
            columns |= self._references.columns_of(each)
        if self._spec.owned:
            columns.setdefault("owner", "email")
        self.columns: Mapping[str, Kind] = columns
        self.served = frozenset(self._spec.columns) - self.columns.keys()
        self.needs_owner = self._spec.owned and owner_id is None
        self.batch = self.step = batch

    async def read(self, line: int, values: dict[str, Any], *, first_time: bool) -> NewRow:
        """See `Target`. The hook of the class runs as well, because it may refuse the row."""
        del first_time
        problems = await self._references.resolve(values)
        owner_id = await self._owner_of(values, problems) if self._spec.owned else None
        if problems:
            raise Invalid(problems)
        try:
            form = self._create.model_validate(values)
            if "before_add" in self._cls.__hooks__:
                values_of(self._cls, form)
        except ValidationError as exc:
            raise Invalid(described(_errors(exc))) from None
        except RuleBroken as exc:
            raise Invalid(described(exc.problems)) from None
        except HookFailed as exc:
            raise Invalid([str(exc)]) from exc
        return NewRow(line, form, owner_id)

    async def _owner_of(self, values: dict[str, Any], problems: list[str]) -> str | None:
        """Take the owner out of the values; return the id."""
        email = values.pop("owner", None) if "owner" not in self._spec.by_name else None
        if email is None:
            if self._owner_id is None:
                problems.append("has no owner: give --owner EMAIL, or a column owner")
            return self._owner_id
        owner_id = await self._references.find("users", "email", email)
        if owner_id is None:
            problems.append(f"owner: {await unknown_email(self._backend, str(email))}")
        return owner_id

    async def prepare(self, batch: Sequence[NewRow]) -> None:
        """See `Target`."""

    async def store(self, rows: Sequence[NewRow]) -> None:
        """See `Target`."""
        owner_id = rows[0].owner_id
        if len(rows) == 1:
            await self._rows.add(rows[0].form, owner_id=owner_id)
        else:
            await self._rows.add_many([row.form for row in rows], owner_id=owner_id)

    async def explain(self, rows: Sequence[NewRow], error: BackendError) -> list[tuple[int, str]]:
        """See `Target`."""
        if isinstance(error, AlreadyExists):
            return await self._taken(rows, error)
        found: list[tuple[int, str]] = []
        for row in rows:
            if isinstance(error, RuleBroken) and row.form is error.new:
                found += [(row.line, each) for each in described(error.problems)]
            elif isinstance(error, NotFound):
                found += [
                    (row.line, f"{field.name}: No {words(error.entity)} has this id")
                    for field in self._spec.references
                    if getattr(row.form, field.name, None) == error.id
                ]
        return found

    async def _taken(self, rows: Sequence[NewRow], error: AlreadyExists) -> list[tuple[int, str]]:
        """Return the rows whose values another row has, in the database or before it in the file."""
        group = error.field.split(",")
        problem = problem_of(error)
        lines: dict[tuple[Any, ...], int] = {}
        found = []
        for row in rows if tuple(group) in self._spec.unique else ():
            values = values_of(self._cls, row.form) | {"owner_id": row.owner_id}
            values = {name: values[name] for name in group}
            key = tuple(values.values())
            if None in key or problem is None:
                continue
            if key in lines:
                found.append((row.line, f"{problem.detail}: that of line {lines[key]}"))
            elif await self._rows.find_by(**values) is not None:
                found.append((row.line, problem.detail))
            lines.setdefault(key, row.line)
        return found


class UserTarget:
    """Users; see `Target`. They are stored one by one, because the passwords take the time."""

    many = "users"
    columns: Mapping[str, Kind] = {
        "email": "email",
        "password": "text",
        "full_name": "text",
        "is_active": "boolean",
        "is_superuser": "boolean",
    }
    served = frozenset({"id", "created_at", "hashed_password", "version", "session_version"})
    needs_owner = False
    batch = 8 * HASHING_THREADS
    step = 1

    def __init__(self, backend: Backend, passwords: Passwords) -> None:
        """Add users, whose passwords are hashed by these threads."""
        self._users = backend.users
        self._passwords = passwords
        self._lines: dict[str, int] = {}
        self._hashes: dict[int, str] = {}

    async def read(self, line: int, values: dict[str, Any], *, first_time: bool) -> NewRow:
        """See `Target`. The address must be free, in the database and in the lines before."""
        try:
            form = UserCreate.model_validate(values)
        except ValidationError as exc:
            raise Invalid(described(_errors(exc))) from None
        if first_time:
            if (other := self._lines.setdefault(form.email, line)) != line:
                raise Invalid([f"email: line {other} has the same address"])
            if await self._users.find_by_email(form.email) is not None:
                raise Invalid([_EMAIL_TAKEN])
        return NewRow(line, form)

    async def prepare(self, batch: Sequence[NewRow]) -> None:
        """Hash the passwords; the threads limit how many at once."""
        forms = [(row.line, row.form) for row in batch if isinstance(row.form, UserCreate)]
        hashes = await asyncio.gather(*(self._passwords.hash(form.password) for _, form in forms))
        self._hashes = {line: hash_ for (line, _), hash_ in zip(forms, hashes, strict=True)}

    async def store(self, rows: Sequence[NewRow]) -> None:
        """See `Target`."""
        (row,) = rows
        values = row.form.model_dump(exclude={"password"})
        await self._users.add(NewUser(hashed_password=self._hashes[row.line], **values))

    async def explain(self, rows: Sequence[NewRow], error: BackendError) -> list[tuple[int, str]]:
        """See `Target`."""
        return [(row.line, _EMAIL_TAKEN) for row in rows if isinstance(error, AlreadyExists)]


_EMAIL_TAKEN = "email: User with this email already exists"


def _errors(exc: ValidationError) -> list[Any]:
    return exc.errors(include_url=False, include_context=False, include_input=False)


def described(errors: Sequence[Any]) -> list[str]:
    """Return pydantic's errors as text, without the refused values."""
    places = [".".join(map(str, each["loc"])) for each in errors]
    return [
        f"{place}: {each['msg']}" if place else each["msg"]
        for place, each in zip(places, errors, strict=True)
    ]
