"""The commands of `eitherdb`, and the conversion of errors to one line and an exit code.

Exit codes: 0 done, 1 a check failed, 2 a setting, an argument, a file or the database is at fault,
130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from backends.errors import BackendError
from backends.models.resources import DeclarationError
from cli import check, migrate, openapi, resources, serve, shell, user
from cli.conformance import command as conformance
from cli.seeding import command as seeding
from cli.server_folder import LocalServerError
from config import SettingsError
from migrations import MigrationError

app = typer.Typer(
    name="eitherdb",
    help="One REST API on SQLite, PostgreSQL or MongoDB. Settings come from the environment and from "
    "`.env`; DB_BACKEND and DATABASE_URL choose the database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(*, is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"EitherDB {version('eitherdb')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Parse the options before the command."""


app.command("dev")(serve.dev)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("conformance")(conformance.conformance)
app.command("resources")(resources.resources)
app.command("openapi")(openapi.openapi)
app.command("shell")(shell.shell)
app.command("seed")(seeding.seed)
app.add_typer(migrate.app, name="migrate")
app.add_typer(user.app, name="user")


def main() -> None:
    """Run the command; an error that the user can fix ends it without a traceback."""
    try:
        app()
    except (SettingsError, DeclarationError, MigrationError, LocalServerError, BackendError) as exc:
        for line in str(exc).splitlines():
            print(f"eitherdb: {line}", file=sys.stderr)  # noqa: T201 - a terminal program
        sys.exit(2)
