"""Expectations of the contract tests: exact errors, refusals without a capability, unchanged rows."""

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

MAX_ATTEMPTS = 2000
"""Maximum attempts of a retry loop.

Without a limit, a bug would be an endless loop instead of a failure.
"""

T = TypeVar("T")
Row = TypeVar("Row", User, Item)
Facts = tuple[type[BackendError], tuple[tuple[str, object], ...]]


def facts(error: BackendError) -> Facts:
    """Return the attributes of an error that a caller can read, in a comparable form."""
    return type(error), tuple(sorted(vars(error).items()))


def changed(row: Row, *, version: int | None = None, **values: Any) -> Row:
    """Return the row as an update leaves it, with these values and the next version, or the given one."""
    values["version"] = row.version + 1 if version is None else version
    return row.model_copy(update=values) if isinstance(row, Item) else replace(row, **values)


@contextmanager
def raises(expected: BackendError) -> Iterator[None]:
    """Expect this error from the body: the exact class, all attributes, and the message built from them."""
    with pytest.raises(type(expected)) as caught:
        yield
    assert facts(caught.value) == facts(expected)
    assert str(caught.value) == str(expected)
    if isinstance(expected, NotSupported):
        note_refusal(expected.capability)


@contextmanager
def refused_without(backend: Backend, capability: Capability, operation: str) -> Iterator[None]:
    """Expect a refusal if the backend lacks the capability; otherwise do nothing."""
    has_it = capability in backend.capabilities
    with nullcontext() if has_it else raises(NotSupported(operation, capability)):
        yield


async def delete_user(backend: Backend, id: str, *, versions: Collection[int] | None = None) -> bool:
    """Delete a user. Return False if it was refused because the backend lacks the required capability."""
    with refused_without(backend, Capability.TRANSACTIONS, "users.delete"):
        await backend.users.delete(id, versions=versions)
    return Capability.TRANSACTIONS in backend.capabilities


async def delete_user_with_retries(
    backend: Backend, id: str, *, versions: Collection[int] | None = None
) -> bool:
    """Delete a user. Retry after each conflict with a concurrent change."""
    for _ in range(20):
        with suppress(Conflict):
            return await delete_user(backend, id, versions=versions)
    pytest.fail("the deletion kept colliding")


async def race(calls: Iterable[Awaitable[T]]) -> tuple[list[T], list[Facts]]:
    """Await all calls concurrently. Return the results, and the facts of the domain errors."""
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


async def all_rows(backend: Backend) -> tuple[list[User], list[Item]]:
    """Return all stored rows, to compare the state before and after a call."""
    users = await backend.users.list(limit=MAX_LIMIT)
    items = await backend.items.list(limit=MAX_LIMIT)
    assert users.count == len(users.data), "too many rows for one page"
    assert items.count == len(items.data), "too many rows for one page"
    return users.data, items.data
