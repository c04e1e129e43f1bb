"""`eitherdb user`: administration of users without signing in."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import opened_backend
from cli.usage_error import refusal
from cli.user_views import (
    existing_user,
    has_other_superuser,
    matching_users,
    owned_counts,
    table_lines,
    user_json,
    user_lines,
)
from config import Settings

if TYPE_CHECKING:
    from backends.models import User

app = typer.Typer(
    help="Create superusers, and list, show and deactivate users, with access to the database and without "
    "signing in.",
    no_args_is_help=True,
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email address.")]
EmailOrId = Annotated[str, typer.Argument(metavar="EMAIL|ID", help="The user's email address or id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, for scripts.")
]


def _ask_hash(*, from_stdin: bool) -> str:
    """Ask for a password; return its hash."""
    from eitherdb.passwords import hash_password

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise refusal("no terminal to ask for the password on: give it with --password-stdin")
    else:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return hash_password(password)
    except ValueError:
        raise refusal("the password must have 8 to 128 characters") from None


@app.command("create-superuser")
def create_superuser(
    email: Email,
    full_name: Annotated[str | None, typer.Option(help="The user's full name.")] = None,
    *,
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a superuser, who has all permissions."""
    from pydantic import ValidationError

    from backends.errors import AlreadyExists
    from backends.models import NewUser

    settings = Settings.load()
    hashed_password = _ask_hash(from_stdin=password_stdin)

    async def run() -> User:
        async with opened_backend(settings) as backend:
            new = NewUser(
                email=email, hashed_password=hashed_password, full_name=full_name, is_superuser=True
            )
            return await backend.users.add(new)

    try:
        user = asyncio.run(run())
    except ValidationError as exc:
        raise refusal(f"{email}: {exc.errors()[0]['msg']}") from None
    except AlreadyExists:
        raise refusal(
            f"{email} exists already; `eitherdb user set-password {email}` sets a new password"
        ) from None
    typer.echo(f"Created the superuser {user.email} with the id {user.id}.")


@app.command("set-password")
def set_password(email: Email, *, password_stdin: PasswordStdin = False) -> None:
    """Set a user's password, for example after it was lost. All sessions of the user end."""
    from backends.models import UserChanges

    settings = Settings.load()
    hashed_password = _ask_hash(from_stdin=password_stdin)

    async def run() -> User | None:
        async with opened_backend(settings) as backend:
            user = await backend.users.find_by_email(email)
            if user is None:
                return None
            changes = UserChanges(hashed_password=hashed_password)
            return await backend.users.update(user.id, changes, end_sessions=True)

    user = asyncio.run(run())
    if user is None:
        raise refusal(
            f"no user has the address {email}; `eitherdb user create-superuser {email}` creates one"
        )
    typer.echo(f"{user.email} has a new password.")


@app.command("list")
def list_users(
    *,
    superusers: Annotated[bool, typer.Option("--superusers", help="Only superusers.")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="Only inactive users.")] = False,
    search: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Only users with this part in the address or name, in any case."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the users, the newest first: id, day of creation, state, address and name."""
    settings = Settings.load()

    async def run() -> int:
        shown = 0
        async with opened_backend(settings) as backend:
            active = False if inactive else None
            async for page in matching_users(backend, active=active, superusers=superusers, search=search):
                rows = page if limit is None else page[: limit - shown]
                for line in table_lines(rows) if not as_json else map(user_json, rows):
                    typer.echo(line if not as_json else f"{',' if shown else '['}\n{line}", nl=not as_json)
                    shown += 1
                if shown == limit:
                    break
        return shown

    shown = asyncio.run(run())
    if as_json:
        typer.echo("\n]" if shown else "[]")
    elif not shown:
        typer.echo("No user matches." if superusers or inactive or search else "There are no users.")


@app.command("show")
def show_user(user: EmailOrId, *, as_json: AsJson = False) -> None:
    """Show a user, and how many rows and accounts belong to the user."""
    settings = Settings.load()

    async def run() -> tuple[User, dict[str, int]]:
        async with opened_backend(settings) as backend:
            found = await existing_user(backend, user)
            return found, await owned_counts(backend, found)

    found, owned = asyncio.run(run())
    typer.echo(user_json(found.to_row(), owned=owned) if as_json else "\n".join(user_lines(found, owned)))


@app.command("deactivate")
def deactivate(
    user: EmailOrId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Also if no other superuser is active.")] = False,
) -> None:
    """Deactivate a user, who can't sign in any more. All sessions of the user end."""
    from backends.models import UserChanges

    settings = Settings.load()

    async def run() -> str:
        async with opened_backend(settings) as backend:
            found = await existing_user(backend, user)
            if not found.is_active:
                return f"{found.email} is inactive already."
            if found.is_superuser and not yes and not await has_other_superuser(backend, found):
                raise refusal(
                    f"{found.email} is the last active superuser, without whom nobody administers users "
                    "over the API: create another one with `eitherdb user create-superuser`, or add --yes"
                )
            await backend.users.update(found.id, UserChanges(is_active=False), end_sessions=True)
            return f"{found.email} is inactive, and all sessions have ended."

    typer.echo(asyncio.run(run()))


@app.command("activate")
def activate(user: EmailOrId) -> None:
    """Activate a user who was deactivated."""
    from backends.models import UserChanges

    settings = Settings.load()

    async def run() -> str:
        async with opened_backend(settings) as backend:
            found = await existing_user(backend, user)
            if found.is_active:
                return f"{found.email} is active already."
            await backend.users.update(found.id, UserChanges(is_active=True))
            return f"{found.email} is active, and signs in with the password of before."

    typer.echo(asyncio.run(run()))
