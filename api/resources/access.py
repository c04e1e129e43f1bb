"""Who may call the routes of a resource. All of it is decided when the router is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends

from api.deps import CurrentUser, Superuser, owner_scope
from api.errors import NOT_PRIVILEGED, TOKEN_PROBLEMS, Problem
from backends.models import User
from backends.models.resources.spec import Who


async def _nobody() -> None:
    """Take the place of the caller in a route without a token."""


CALLERS: Mapping[Who, Any] = {
    "anyone": Annotated[None, Depends(_nobody)],
    "signed_in": CurrentUser,
    "owner": CurrentUser,
    "superuser": Superuser,
}
"""The annotation of the caller in a route that these may call."""

CALLER_PROBLEMS: Mapping[Who, tuple[Problem, ...]] = {
    "anyone": (),
    "signed_in": TOKEN_PROBLEMS,
    "owner": TOKEN_PROBLEMS,
    "superuser": (*TOKEN_PROBLEMS, NOT_PRIVILEGED),
}
"""The problems of callers who may not call a route."""


def row_scope(who: Who) -> Callable[[User], str | None]:
    """Return the function from the caller to the owner whose rows the caller reaches; None is everybody."""
    return owner_scope if who == "owner" else _all_rows


def list_scope(who: Who, *, owned: bool) -> Callable[[User, Any], str | None]:
    """Return the function from the caller and the query of a list to the owner of its rows."""
    if not owned:
        return _every_list
    return _own_list if who == "owner" else _list_of_owner


def _all_rows(_user: User) -> None:
    return None


def _every_list(_user: User, _query: Any) -> None:
    return None


def _own_list(user: User, query: Any) -> str | None:
    return owner_scope(user, query.owner_id)


def _list_of_owner(_user: User, query: Any) -> str | None:
    owner_id: str | None = query.owner_id
    return owner_id
