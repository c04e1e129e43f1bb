"""An assertion that every command refuses an unfit database, for the tests of requirements."""

from __future__ import annotations

from pathlib import Path

from config import Settings
from tests.cli.command import call_async, free_port

COMMANDS = (["check"], ["migrate", "upgrade"], ["serve"], ["serve", "--migrate"], ["dev"])


async def refused_by_all(folder: Path, settings: Settings, *, reason: str, remedy: str) -> None:
    """Assert that each command exits with code 2 and one line with the reason and the remedy."""
    for command in COMMANDS:
        port = ["--port", str(free_port())] if command[0] in {"serve", "dev"} else []
        done = await call_async(folder, *command, *port, settings=settings)
        assert done.exit_code == 2, (command, done)
        line = done.out if command == ["check"] else done.refusal()
        assert reason in line, (command, line)
        assert remedy in line, (command, line)
        assert "secret" not in line
