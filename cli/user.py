"""`eitherdb user`: administration of users without signing in."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.database import opened_backend
from cli.usage_error import refusal
from config import Settings

if TYPE_CHECKING:
    from backends.models import User

app = typer.Typer(
    help="Create a superuser or set a password, with access to the database and without signing in.",
    no_args_is_help=True,
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email address.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, for scripts.")
]


def _ask_password(*, from_stdin: bool) -> str:
    from pydantic import TypeAdapter, ValidationError

    from backends.models import Password

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise refusal("no terminal to ask for the password on: give it with --password-stdin")
    else:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return TypeAdapter[str](Password).validate_python(password)
    except ValidationError:
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

    from api.security import Passwords
    from backends.errors import AlreadyExists
    from backends.models import NewUser

    settings = Settings.load()
    password = _ask_password(from_stdin=password_stdin)

    async def run() -> User:
        async with opened_backend(settings) as backend:
            hashed_password = await Passwords().hash(password)
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
    from api.security import Passwords
    from backends.models import UserChanges

    settings = Settings.load()
    password = _ask_password(from_stdin=password_stdin)

    async def run() -> User | None:
        async with opened_backend(settings) as backend:
            user = await backend.users.find_by_email(email)
            if user is None:
                return None
            hashed_password = await Passwords().hash(password)
            changes = UserChanges(hashed_password=hashed_password)
            return await backend.users.update(user.id, changes, end_sessions=True)

    user = asyncio.run(run())
    if user is None:
        raise refusal(
            f"no user has the address {email}; `eitherdb user create-superuser {email}` creates one"
        )
    typer.echo(f"{user.email} has a new password.")
