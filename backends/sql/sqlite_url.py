"""Parsing of SQLite's URL: the file, and the options of SQLite and of Python's driver.

https://www.sqlite.org/uri.html lists SQLite's options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from backends.errors import BackendError
from backends.url_options import Applied, Fixed, Setting, Table, choice, read_options, switch, whole_number
from backends.url_parts import split_query

if TYPE_CHECKING:
    from config import Settings

_OFF = ("0", "false", "off", "no")


def _mode(value: str) -> str:
    if value == "ro":
        raise ValueError("EitherDB writes; leave it out, or give rw for a file that must exist")
    return str(choice("rwc", "rw")(value))


OPTIONS: Table = {
    "mode": Applied(_mode),
    "psow": Applied(switch),
    "cached_statements": Applied(whole_number(0, 100_000)),
    # Options with only one valid value
    "uri": Applied(switch),  # both kinds of path are supported
    "cache": Fixed(("private",), "connections that share a cache block each other; leave it out"),
    "immutable": Fixed(_OFF, "EitherDB writes; leave it out"),
    "nolock": Fixed(_OFF, "several processes would damage the file; leave it out"),
    "vfs": Fixed(("unix",), "the system's own locks are needed; leave it out"),
    "check_same_thread": Fixed(_OFF, "each connection belongs to one thread by itself; leave it out"),
    "isolation_level": Fixed(("immediate",), "transactions begin with BEGIN IMMEDIATE; leave it out"),
    "detect_types": Fixed(("0",), "values are converted by EitherDB; leave it out"),
    # Options with a corresponding setting
    "timeout": Setting("db_command_timeout_seconds"),
}
"""All known options."""


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """The options of a connection, from the URL and the settings.

    Attributes:
        file: The absolute path of the database.
        must_exist: Whether the file must exist already.
        arguments: The arguments of `sqlite3.connect`.
        of_existing_file: The same arguments, but no new file is created.
        read_only: The same arguments, but the file is only read.
    """

    file: Path
    must_exist: bool
    arguments: dict[str, Any]
    of_existing_file: dict[str, Any]
    read_only: dict[str, Any]

    @property
    def is_uri(self) -> bool:
        """Whether the database is named by a URI with parameters."""
        return "uri" in self.arguments


def sqlite_options(settings: Settings) -> SqliteOptions:
    """Parse the URL. Service, migrations and reports connect with these options.

    Raises:
        BackendError: The URL is invalid, or an option is refused.
    """
    path, _, query = settings.url.partition("://")[2].partition("?")
    given = read_options(split_query(query), OPTIONS, settings)
    file = _file(path)
    arguments: dict[str, Any] = {"database": str(file), "timeout": settings.db_command_timeout_seconds}
    parameters = {"mode": given.get("mode"), "psow": given.get("psow")}
    if any(value is not None for value in parameters.values()):
        arguments |= _uri(file, parameters)
    if "cached_statements" in given:
        arguments["cached_statements"] = given["cached_statements"]
    existing, read_only = (arguments | _uri(file, {**parameters, "mode": mode}) for mode in ("rw", "ro"))
    return SqliteOptions(file, given.get("mode") == "rw", arguments, existing, read_only)


def _uri(file: Path, parameters: Mapping[str, str | bool | None]) -> dict[str, Any]:
    """Return the arguments that name the file as an URI."""
    words = [
        f"{name}={value:d}" if isinstance(value, bool) else f"{name}={value}"
        for name, value in parameters.items()
        if value is not None
    ]
    return {"database": f"file:{quote(str(file))}?{'&'.join(words)}", "uri": True}


def _file(path: str) -> Path:
    """Return the file of a URL's path: `/relative`, `//absolute`, `/~/at/home` or `/file:…`.

    A percent sign without hex digits stands for itself.

    Raises:
        BackendError: The path names no file.
    """
    if not path.startswith("/"):
        raise BackendError("SQLite has no host: there must be three slashes before a relative path")
    name = path[1:]
    if name.startswith("file:"):
        name = re.sub("^//(localhost)?(?=/)", "", name.removeprefix("file:"))
    name = unquote(name)
    if not name.strip("/") or "\0" in name:
        raise BackendError(
            "the URL names no file: give sqlite:///relative/path or sqlite:////absolute/path"
        )
    return Path(name).expanduser().absolute()
