"""The command: its options and its output."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backends.capabilities import Capability
from backends.models.resources.loading import load_resources
from backends.protocols import MAX_ADDED
from cli.database import opened_backend
from cli.progress import progress
from cli.revisions import read_declared, require_applied
from cli.seeding.files import Format, opened_file
from cli.signals import on_signals
from cli.usage_error import refusal
from config import Settings

if TYPE_CHECKING:
    from backends.models.resources import Resource
    from backends.protocols import Backend
    from cli.seeding.files import SeedFile
    from cli.seeding.targets import Target


def seed(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file in CSV, JSON or JSON lines; - is standard input.")
    ],
    *,
    resource: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="books, items, users, … Default: the file's name."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(metavar="EMAIL", help="The owner of rows without a value in the column owner."),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Format | None, typer.Option("--format", help="Default: by the file's ending.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_ADDED, help=f"Rows that are stored together, all or none. Default: {MAX_ADDED}."
        ),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out the first rows, which are stored.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Validate the file, and store nothing.")
    ] = False,
) -> None:
    """Store the rows of a file, which are validated like requests: rows of a resource, or users.

    The whole file is validated before anything is stored.
    """
    from cli.seeding.run import Stopped

    settings = Settings.load()
    interrupt = _Interrupt()
    is_main = threading.current_thread() is threading.main_thread()  # which alone can handle signals
    with (
        opened_file(file, format, max_row_bytes=settings.max_body_bytes) as rows,
        on_signals(interrupt) if is_main else nullcontext(),
    ):

        async def run() -> str:
            async with AsyncExitStack() as stack:
                await require_applied(settings, read_declared(settings))
                backend = await stack.enter_async_context(opened_backend(settings))
                target = await target_of(
                    backend, settings, stack, resource or _stem(file), owner=owner, batch=batch
                )
                return await _seeded(rows, target, skip=skip, is_dry=dry_run, interrupt=interrupt)

        try:
            typer.echo(asyncio.run(run()))
        except Stopped as exc:
            for line in exc.lines:
                typer.echo(line, err=True)
            typer.echo(f"eitherdb: {exc}", err=True)
            raise typer.Exit(exc.exit_code) from None


class _Interrupt:
    """The handler of Ctrl-C: the first one ends the command after the batch, the second one at once."""

    is_asked = False

    def __call__(self, *_: object) -> None:
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True


async def _seeded(rows: SeedFile, target: Target, *, skip: int, is_dry: bool, interrupt: _Interrupt) -> str:
    """Validate and store the rows; return the message.

    Raises:
        Stopped: Something is refused.
    """
    from cli.seeding.run import Seeding

    with progress(rows.size * (1 if is_dry else 2)) as on_progress:
        seeding = Seeding(
            rows, target, skip=skip, progress=on_progress, is_interrupted=lambda: interrupt.is_asked
        )
        count = await seeding.check()
        if is_dry:
            return f"{count:,} {target.many} in {rows.name} are valid; nothing was stored (--dry-run)."
        return f"Stored {await seeding.store():,} {target.many} from {rows.name}."


def _stem(file: str) -> str:
    """Return the name of the resource that a file is named after."""
    if file == "-":
        raise refusal("--resource: say what the rows of standard input are, such as --resource books")
    return Path(file).stem


async def target_of(
    backend: Backend,
    settings: Settings,
    stack: AsyncExitStack,
    name: str,
    *,
    owner: str | None,
    batch: int | None,
) -> Target:
    """Return what the rows become.

    Raises:
        typer.Exit: The options name nothing that can be stored; the reason is printed.
    """
    from api.security import Passwords
    from backends.models.items import Item
    from cli.seeding.targets import ResourceTarget, UserTarget
    from cli.user_views import existing_user

    declared: tuple[type[Resource], ...] = (Item, *load_resources(settings.resources))
    classes = {each.__resource__.name: each for each in declared}
    name = name.replace("-", "_")
    if name == "users":
        if owner or batch:
            raise refusal("users have no owner, and are stored one by one: leave out --owner and --batch")
        passwords = Passwords()
        stack.callback(passwords.close)
        return UserTarget(backend, passwords)
    if name not in classes:
        near = get_close_matches(name, [*classes, "users"], n=1)
        known = f"--resource is one of {', '.join(['users', *classes])}"
        hint = f"did you mean {near[0]}?" if near else known
        declare = "" if settings.resources else "; RESOURCES declares more"
        raise refusal(f"no resource has the name {name}: {hint}{declare}")
    if owner and not classes[name].__resource__.owned:
        raise refusal(f"--owner: {name} have no owner")
    batch = batch or MAX_ADDED
    if batch > 1 and Capability.TRANSACTIONS not in backend.capabilities:
        raise refusal(
            "this server can't store several rows together, all or none: give --batch 1, or "
            f"{Capability.TRANSACTIONS.remedy}"
        )
    owner_id = (await existing_user(backend, owner)).id if owner else None
    return ResourceTarget(backend, classes[name], classes, owner_id=owner_id, batch=batch)
