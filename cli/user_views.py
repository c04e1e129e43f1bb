"""Users for `eitherdb user`: look-ups, and users as text and JSON, without their hashes."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from backends.errors import NotFound
from backends.ids import is_id
from backends.models import Position, UserFilter, fold_case
from backends.protocols import MAX_LIMIT
from cli.usage_error import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backends.models import Row, User
    from backends.protocols import Backend

PUBLIC = ("id", "email", "full_name", "is_active", "is_superuser", "created_at")
"""The fields that are shown."""

_NEAR = 100
"""The number of addresses before and after an unknown one that are compared with it."""


async def existing_user(backend: Backend, text: str) -> User:
    """Return the user with this id or email address.

    Raises:
        typer.Exit: There is none; the reason is printed, with addresses that are spelt alike.
    """
    if is_id(text):
        try:
            return await backend.users.get(text)
        except NotFound:
            raise refusal(f"no user has the id {text}; `eitherdb user list` shows the ids") from None
    user = await backend.users.find_by_email(text)
    if user is None:
        raise refusal(await unknown_email(backend, text))
    return user


async def unknown_email(backend: Backend, text: str) -> str:
    """Return the message about an address that no user has, with addresses that are spelt alike."""
    near = await _similar(backend, text)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else "`eitherdb user list --search TEXT` finds users"
    )
    return f"no user has the address {printable(text)}; {hint}"


async def _similar(backend: Backend, text: str) -> list[str]:
    """Return addresses that are spelt alike, of those that are next to it in alphabetical order.

    An index gives these, however many users there are.
    """
    place = Position(text.lower().replace("\x00", ""), "0" * 24)
    beside: list[str] = []
    for sort in ("email", "-email"):
        page = await backend.users.list(sort=sort, limit=_NEAR, after=place, count=False)
        beside += [row["email"] for row in page.rows]
    return get_close_matches(place.key, beside, n=3, cutoff=0.85)


async def matching_users(
    backend: Backend, *, active: bool | None = None, superusers: bool = False, search: str | None = None
) -> AsyncIterator[list[Row]]:
    """Yield the matching users of each page, the newest first, without secret fields.

    Args:
        backend: The database.
        active: Whether only active users match, or only inactive ones; None for both.
        superusers: Whether only superusers match.
        search: A part of the address or the name, in any case; None for all.
    """
    where = UserFilter(is_active=active)
    part = None if search is None else fold_case(search)
    after: Position | None = None
    while True:
        page = await backend.users.list(where=where, limit=MAX_LIMIT, after=after, count=False)
        yield [
            {name: row[name] for name in PUBLIC}
            for row in page.rows
            if (row["is_superuser"] or not superusers)
            and (part is None or part in fold_case(f"{row['email']}\n{row['full_name'] or ''}"))
        ]
        if page.next is None:
            return
        after = page.next


async def has_other_superuser(backend: Backend, user: User) -> bool:
    """Return whether another superuser is active."""
    async for page in matching_users(backend, active=True, superusers=True):
        if any(row["id"] != user.id for row in page):
            return True
    return False


async def owned_counts(backend: Backend, user: User) -> dict[str, int]:
    """Return the number of the user's rows of each owned resource, and of accounts."""
    lists = {name: rows.list for name, rows in backend.resources.items() if rows.spec.owned} | {
        "accounts": backend.accounts.list
    }
    return {name: (await each(owner_id=user.id, limit=0)).count or 0 for name, each in lists.items()}


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Return a line for each user, in columns."""
    width = max((len(row["email"]) for row in rows), default=0)
    return [
        f"{row['id']}  {row['created_at'][:10]}  {'active  ' if row['is_active'] else 'inactive'}  "
        f"{'superuser' if row['is_superuser'] else '':<9}  {printable(row['email']):<{width}}  "
        f"{printable(row['full_name'] or '')}".rstrip()
        for row in rows
    ]


def user_lines(user: User, counts: dict[str, int]) -> list[str]:
    """Return a line for each field of a user, and for each count."""
    row = user.to_row()
    fields = {name: _text(row[name]) for name in PUBLIC} | {name: f"{n:,}" for name, n in counts.items()}
    width = max(map(len, fields))
    return [f"{name:<{width}}  {value}" for name, value in fields.items()]


def user_json(row: Row, **more: Any) -> str:
    """Return the shown fields of a user as a JSON object."""
    return json.dumps({**{name: row[name] for name in PUBLIC}, **more}, ensure_ascii=False)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else printable(str(value))


def printable(text: str) -> str:
    """Return the text without control characters, which a terminal would obey."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
