"""`eitherdb migrate`: the schema, with the same words on every database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backends.requirements import Purpose
from cli.database import opened_backend, require_fit, require_fit_to_upgrade
from config import Settings

if TYPE_CHECKING:
    from migrations import Migrator

app = typer.Typer(
    help="Change the database's schema, or look at it. One history serves SQLite and PostgreSQL, "
    "another one MongoDB; DB_BACKEND chooses.",
    no_args_is_help=True,
)

Target = Annotated[
    str, typer.Argument(metavar="REVISION", help="A number, `head`, `base`, or `-1` for one back.")
]


async def _migrator(change: Literal["upgrade", "downgrade"] | None = None) -> Migrator:
    """Return the migrator; a database that can't be reached or used ends the command here, in one line."""
    from migrations import open_migrator

    settings = Settings.load()
    async with opened_backend(settings, purpose=Purpose.READ) as backend:
        if change == "upgrade":
            await require_fit_to_upgrade(backend, settings)
        elif change == "downgrade":
            await require_fit(backend, settings, Purpose.MIGRATE)
        return open_migrator(settings)


@app.command()
def upgrade(revision: Target = "head") -> None:
    """Apply what is not applied yet. Safe to run from several instances at once, and again."""

    async def run() -> list[str]:
        return await (await _migrator("upgrade")).upgrade(revision)

    _report(asyncio.run(run()), "applied")


@app.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    revision: Target,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before data is lost.")] = False,
) -> None:
    """Undo every revision after REVISION. Data that the older schema has no place for is lost."""
    from migrations import resolve_target

    if revision.startswith("--"):
        raise typer.BadParameter(f"No such option: {revision}")

    async def resolve() -> str:
        migrator = await _migrator()
        numbers = [known.number for known in migrator.history()]
        return resolve_target(revision, numbers, await migrator.current())

    async def run() -> list[str]:
        return await (await _migrator("downgrade")).downgrade(target)

    target = asyncio.run(resolve())
    if not yes:
        typer.confirm(f"Go back to {target}, and lose what the older schema has no place for?", abort=True)
    _report(asyncio.run(run()), "undone")


@app.command()
def current() -> None:
    """Show the revision that the database has."""

    async def run() -> str | None:
        return await (await _migrator()).current()

    typer.echo(asyncio.run(run()) or "base (nothing applied)")


@app.command()
def history() -> None:
    """List the revisions that this code knows, oldest first. Needs no database."""
    from migrations import open_migrator

    for revision in open_migrator(Settings.load()).history():
        typer.echo(f"{revision.number}  {revision.summary}")


@app.command()
def check() -> None:
    """Compare the database with the schema that the code declares; exit 1 if they differ."""

    async def run() -> list[str]:
        return await (await _migrator()).check()

    differences = asyncio.run(run())
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(1)
    typer.echo("The database has the declared schema.")


@app.command()
def revision(
    message: Annotated[str, typer.Option("--message", "-m", help="What it does, in a few words.")],
) -> None:
    """Write a new revision: compared with the database on SQL, from a template on MongoDB."""

    async def run() -> str:
        return str(await (await _migrator()).revision(message))

    typer.echo(f"Wrote {asyncio.run(run())}; read it, then set REVISION in the backend's schema.py.")


def _report(revisions: list[str], done: str) -> None:
    typer.echo("\n".join(f"{revision} {done}" for revision in revisions) or "Nothing to do.")
