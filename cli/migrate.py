"""`eitherdb migrate`: the same commands for the schema on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backends.requirements import Purpose
from cli.database import naming_the_url, opened_backend, require_fit, require_fit_to_upgrade
from cli.revisions import Asked, read_declared, read_values, write_revisions
from config import DatabaseChoice, Settings

if TYPE_CHECKING:
    from migrations import Migrator

app = typer.Typer(
    help="Change or show the database's schema. SQLite and PostgreSQL share one history of revisions, "
    "MongoDB has another; DB_BACKEND selects it. Declared resources have a history beside their "
    "declaration, which is the same for every database.",
    no_args_is_help=True,
)

Target = Annotated[
    str,
    typer.Argument(
        metavar="REVISION",
        help="A number, `head`, `base`, or `-1` for one back; `library:0001` of RESOURCES.",
    ),
]


@asynccontextmanager
async def _migrator(
    attempt: Literal["upgrade", "downgrade", "read the revision of", "compare the schema of"],
) -> AsyncIterator[Migrator]:
    """Yield the migrator; an error ends the command with one line that names the operation."""
    from migrations import open_migrator

    settings = Settings.load()
    # A database that can't be reached or used ends the command here.
    async with opened_backend(settings, purpose=Purpose.READ) as backend:
        if attempt == "upgrade":
            await require_fit_to_upgrade(backend, settings)
        elif attempt == "downgrade":
            await require_fit(backend, settings, Purpose.MIGRATE)
    with naming_the_url(settings, attempt):
        yield open_migrator(settings, read_declared(settings))


@app.command()
def upgrade(
    revision: Target = "head",
    *,
    destructive: Annotated[
        bool,
        typer.Option("--destructive", help="Also apply revisions of declared resources that lose data."),
    ] = False,
) -> None:
    """Apply all pending revisions up to REVISION. Safe to run twice, and from several instances at once."""

    async def run() -> list[str]:
        from migrations.resources.plan import require_lossless

        async with _migrator("upgrade") as migrator:
            if not destructive:
                histories = read_declared(Settings.load())
                require_lossless(revision, histories, await migrator.applied())
            return await migrator.upgrade(revision)

    _report(asyncio.run(run()), "applied")


@app.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    revision: Target,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")] = False,
) -> None:
    """Undo every revision after REVISION. Data that the older schema can't hold is lost."""
    from migrations import resolve_target

    if revision.startswith("--"):
        raise typer.BadParameter(f"No such option: {revision}")

    async def resolve() -> str:
        async with _migrator("read the revision of") as migrator:
            if ":" in revision:
                return revision  # of declared resources
            numbers = [known.number for known in migrator.history()]
            return resolve_target(revision, numbers, await migrator.current())

    async def run() -> list[str]:
        async with _migrator("downgrade") as migrator:
            return await migrator.downgrade(target)

    target = asyncio.run(resolve())
    if not yes:
        typer.confirm(f"Go back to {target}, and lose data that the older schema can't hold?", abort=True)
    _report(asyncio.run(run()), "undone")


@app.command()
def current() -> None:
    """Show the revision that the database has."""

    async def run() -> list[str]:
        async with _migrator("read the revision of") as migrator:
            own = await migrator.current()
            declared = await migrator.applied()
        return [own or "base (nothing applied)", *(f"{name}:{each}" for name, each in declared.items())]

    typer.echo("\n".join(asyncio.run(run())))


@app.command()
def history() -> None:
    """List the revisions, oldest first: EitherDB's, then those of RESOURCES. Needs no database."""
    from migrations import open_migrator

    settings = Settings.load()
    histories = read_declared(settings)
    declared = [revision for each in histories for revision in each.listed()]
    for revision in [*open_migrator(settings).history(), *declared]:
        typer.echo(f"{revision.number}  {revision.summary}")


@app.command()
def check() -> None:
    """Compare the database with the schema that the code declares; exit 1 if they differ."""

    async def run() -> list[str]:
        async with _migrator("compare the schema of") as migrator:
            return await migrator.check()

    differences = asyncio.run(run())
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(1)
    typer.echo("The database has the declared schema.")


@app.command()
def revision(
    message: Annotated[str, typer.Option("--message", "-m", help="A short summary of the change.")],
    *,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="What may be dropped, with its data: `books`, `books.subtitle`. Repeatable."),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help='What existing rows get, in JSON: `books.shelf="A"`. Repeatable.'),
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Write a revision with an operation of your own: Run(…).")
    ] = False,
) -> None:
    """Write a new revision of the declared resources, beside the declaration. Needs no database.

    Without RESOURCES, write one of EitherDB's own schema: from a comparison with the database on SQL, from
    a template on MongoDB.
    """
    asked = Asked(drops=drop or (), values=read_values(value or ()), empty=empty)
    if paths := write_revisions(DatabaseChoice.load(), message, asked):
        for path in paths:
            typer.echo(f"Wrote {path}; read it, then run `eitherdb migrate upgrade`.")
        return

    async def run() -> str:
        async with _migrator("compare the schema of") as migrator:
            return str(await migrator.revision(message))

    typer.echo(f"Wrote {asyncio.run(run())}; read it, then set REVISION in the backend's schema.py.")


def _report(revisions: list[str], done: str) -> None:
    typer.echo("\n".join(f"{revision} {done}" for revision in revisions) or "Nothing to do.")
