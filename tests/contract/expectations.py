"""What the contract tests expect: exact errors, refusals for want of a capability, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from backends.capabilities import Capability
from backends.errors import BackendError, Conflict, NotSupported
from backends.models import Item, User
from backends.protocols import MAX_LIMIT, Backend
from eitherdb_contract.refusals import note_refusal

MOST_TURNS = 2000
"""How often a test tries again what should end by itself: without an end a fault would be a silence."""

T = TypeVar("T")
Row = TypeVar("Row", User, Item)
Facts = tuple[type[BackendError], tuple[tuple[str, object], ...]]


def facts(error: BackendError) -> Facts:
    """Return what a caller can read from an error, in a form that compares."""
    return type(error), tuple(sorted(vars(error).items()))


def changed(row: Row, *, version: int | None = None, **values: Any) -> Row:
    """Return the row as an update leaves it: with these values and the next version, or this one."""
    return replace(row, version=row.version + 1 if version is None else version, **values)


@contextmanager
def raises(expected: BackendError) -> Iterator[None]:
    """Expect this error of the body: exactly the class, every attribute, and the message made of them."""
    with pytest.raises(type(expected)) as caught:
        yield
    assert facts(caught.value) == facts(expected)
    assert str(caught.value) == str(expected)
    if isinstance(expected, NotSupported):
        note_refusal(expected.capability)


@contextmanager
def refused_without(backend: Backend, capability: Capability, operation: str) -> Iterator[None]:
    """Expect the body to be refused where the backend lacks the capability; do nothing where it has it."""
    has_it = capability in backend.capabilities
    with nullcontext() if has_it else raises(NotSupported(operation, capability)):
        yield


async def delete_user(backend: Backend, id: str, *, versions: Collection[int] | None = None) -> bool:
    """Delete a user; tell whether that was done, or refused for want of the one capability it needs."""
    with refused_without(backend, Capability.TRANSACTIONS, "users.delete"):
        await backend.users.delete(id, versions=versions)
    return Capability.TRANSACTIONS in backend.capabilities


async def delete_user_in_the_end(
    backend: Backend, id: str, *, versions: Collection[int] | None = None
) -> bool:
    """Delete a user as a patient caller does: again where concurrent changes collided in every try."""
    for _ in range(20):
        with suppress(Conflict):
            return await delete_user(backend, id, versions=versions)
    pytest.fail("the deletion kept colliding")


async def race(calls: Iterable[Awaitable[T]]) -> tuple[list[T], list[Facts]]:
    """Await all calls at the same time; return the results and the facts of the domain errors."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    results: list[T] = []
    errors: list[Facts] = []
    for outcome in outcomes:
        if isinstance(outcome, BackendError):
            errors.append(facts(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(outcome)
    return results, errors


async def everything(backend: Backend) -> tuple[list[User], list[Item]]:
    """Return all that is stored, to compare before with after."""
    users = await backend.users.list(limit=MAX_LIMIT)
    items = await backend.items.list(limit=MAX_LIMIT)
    assert users.count == len(users.data), "too many rows for one page"
    assert items.count == len(items.data), "too many rows for one page"
    return users.data, items.data
