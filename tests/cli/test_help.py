"""`--help` and options: every command documents its options and refuses unknown ones."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup, TyperOption

from cli.commands import app
from tests.cli.command import call, run, words


def all_commands() -> dict[str, list[str]]:
    """Map the name of each command to its declared options and arguments."""
    found: dict[str, list[str]] = {}
    groups = [("", typer.main.get_command(app))]
    for path, command in groups:
        found[path] = [
            name
            for parameter in command.params
            for name in (parameter.opts if isinstance(parameter, TyperOption) else [str(parameter.metavar)])
        ]
        if isinstance(command, TyperGroup):
            groups += [(f"{path} {name}".strip(), sub) for name, sub in command.commands.items()]
    return found


COMMANDS = all_commands()
LEAVES = [
    "dev",
    "serve",
    "check",
    "conformance",
    "openapi",
    "resources",
    "seed",
    "shell",
    "migrate upgrade",
    "migrate downgrade",
    "migrate current",
    "migrate history",
    "migrate check",
    "migrate revision",
    "user create-superuser",
    "user set-password",
    "user list",
    "user show",
    "user activate",
    "user deactivate",
]


def test_list_of_commands_is_complete() -> None:
    """The tests below cover every command."""
    assert sorted(COMMANDS) == sorted(["", "migrate", "user", *LEAVES])
    assert sum(map(len, COMMANDS.values())) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(command: str, tmp_path: Path) -> None:
    """The exit code is 0, each option and argument is listed, and nothing is written."""
    result = (call if command else run)(tmp_path, *command.split(), "--help", DB_BACKEND="nonsense")
    assert (result.exit_code, result.err) == (0, "")
    shown = words(result.out)
    for name in COMMANDS[command]:
        assert name in shown
    assert list(tmp_path.iterdir()) == []


def test_version_is_the_package_version(tmp_path: Path) -> None:
    """The output is one line, with any settings."""
    shown = run(tmp_path, "--version", DB_BACKEND="nonsense")
    assert (shown.exit_code, shown.out, shown.err) == (0, f"EitherDB {version('eitherdb')}\n", "")


@pytest.mark.parametrize("command", LEAVES)
def test_unknown_option_is_refused(command: str, tmp_path: Path) -> None:
    """The exit code is 2, and nothing is asked or written."""
    result = call(tmp_path, *command.split(), "--bogus")
    assert result.exit_code == 2, result
    assert "--bogus" in result.err
    assert result.out == ""
    assert list(tmp_path.iterdir()) == []
