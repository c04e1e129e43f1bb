"""`eitherdb shell`: Python with the database open, at a prompt, from a pipe or from an option."""

from __future__ import annotations

import sys
import traceback
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backends.errors import BackendError
from backends.models.resources import DeclarationError
from config import Settings, SettingsError
from migrations import MigrationError

if TYPE_CHECKING:
    from eitherdb.blocking import Database

ONE_LINE = (BackendError, DeclarationError, MigrationError, SettingsError)
"""Errors whose message says all; a traceback would hide it."""


def shell(
    *,
    code: Annotated[
        str | None, typer.Option("-c", metavar="CODE", help="Run this code, and open no prompt.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write/--readonly", help="Allow methods that write, or refuse them.")
    ] = False,
) -> None:
    """Open a Python prompt with the database (db), the settings and the models.

    The prompt is IPython's where it is installed. Without a terminal, code is read from standard input.
    """
    import eitherdb
    from cli.prompt import interact

    settings = Settings.load()
    source, name = code, "<command>"
    if source is None and not sys.stdin.isatty():
        source, name = sys.stdin.read(), "<stdin>"
    with eitherdb.open_blocking(settings, read_only=not write) as db:
        names = namespace(db, settings)
        if source is None:
            interact(names, banner=banner(names, write=write))
        else:
            _run(source, name, names)


def namespace(db: Database, settings: Settings) -> dict[str, Any]:
    """Return the names of the shell. A declared class hides a model of the same name."""
    import eitherdb.errors
    import eitherdb.models
    from backends.models.resources.loading import load_resources

    names: dict[str, Any] = {name: vars(eitherdb.models)[name] for name in eitherdb.models.__all__}
    names |= {cls.__resource__.class_name: cls for cls in load_resources(settings.resources)}
    names |= {"__name__": "__main__", "db": db, "settings": settings, "eitherdb": eitherdb}
    if settings.db_backend in {"sqlite", "postgres"}:
        names["sql"] = Sql(settings)
    return names


class Sql:
    """The sessions and mapped classes of `eitherdb.sql`, which are loaded at the first use.

    `session` is a `sessionmaker`; `select` and `func` are SQLAlchemy's. PostgreSQL needs the extra
    `reports`, and says so only here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _names(self) -> dict[str, Any]:
        from sqlalchemy import func, select

        from eitherdb.sql import models, session_factory

        session = session_factory(self._settings)
        return {"session": session, "select": select, "func": func, **models()}

    def __getattr__(self, name: str) -> Any:
        """Return a mapped class, or one of the functions."""
        if name.startswith("_"):  # IPython asks for many names
            raise AttributeError(name)
        if name not in self._names:
            raise AttributeError(f"sql has no {name}: it has {', '.join(self._names)}")
        return self._names[name]

    def __dir__(self) -> list[str]:
        """Return the names, for completion."""
        return list(self._names)


def banner(names: dict[str, Any], *, write: bool) -> str:
    """Return three lines: the database, the names, and how to leave."""
    from backends.models.resources.loading import load_resources
    from cli.database import shown_url

    settings: Settings = names["settings"]
    mode = "for reading and writing" if write else "read-only (--write allows changes)"
    sql = ["sql (session, select, func, mapped classes)"] if "sql" in names else []
    declared = [cls.__resource__.class_name for cls in load_resources(settings.resources)]
    here = ["db", "settings", *sql, *declared, "User, Item and the other names of eitherdb.models"]
    return "\n".join(
        [
            f"EitherDB {version('eitherdb')}: {settings.db_backend} at {shown_url(settings)}, {mode}",
            f"Names: {', '.join(here)}",
            "Ctrl-D leaves, Ctrl-C interrupts a call, Tab completes",
        ]
    )


def _run(source: str, name: str, names: dict[str, Any]) -> None:
    """Run code as `python -c` does.

    Raises:
        BackendError: The code's, and the others of `ONE_LINE`: for `main` to print.
        typer.Exit: Another exception, whose traceback is printed.
    """
    try:
        exec(compile(source, name, "exec"), names)  # noqa: S102 - what the command is for
    except ONE_LINE:
        raise
    except Exception as exc:  # noqa: BLE001 - the user's code may raise anything
        below = exc.__traceback__.tb_next if exc.__traceback__ else None  # without this function
        traceback.print_exception(type(exc), exc, below)
        raise typer.Exit(1) from None
