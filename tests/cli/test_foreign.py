"""Another application's database: every command refuses it with the same line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import call_async, free_port
from tests.migrations.foreign import everything, make
from tests.provision import Provision

NAMES = {
    "sqlite": ("table users", "alembic_version like EitherDB's"),
    "postgres": ("table users", "alembic_version like EitherDB's"),
    "mongo": ("collection users", "schema_migrations like EitherDB's"),
}
REFUSING = [
    ["migrate", "upgrade"],
    ["migrate", "downgrade", "base", "--yes"],
    ["migrate", "current"],
    ["migrate", "revision", "-m", "none"],
    ["user", "create-superuser", "root@example.com", "--password-stdin"],
    ["serve"],
    ["serve", "--migrate"],
    ["dev"],
]


@pytest.mark.parametrize("which", [0, 1], ids=["a table", "a history"])
async def test_every_command_refuses_a_foreign_database(
    which: int, migrated: Provision, tmp_path: Path
) -> None:
    """The exit code is 2, or 1 from the two commands that check the schema; nothing is changed."""
    async with migrated.empty_database() as settings:
        name = NAMES[settings.db_backend][which]
        await make(settings, name)
        before = await everything(settings)
        lines = set()
        for words in REFUSING:
            port = ["--port", str(free_port())] if words[0] in {"serve", "dev"} else []
            refused = await call_async(tmp_path, *words, *port, settings=settings, stdin="a password\n")
            lines.add(refused.refusal())
        (text,) = lines
        subject = name.split()[which ^ 1]
        assert subject in text
        assert "another database in DATABASE_URL" in text

        checked = await call_async(tmp_path, "migrate", "check", settings=settings)
        assert (checked.exit_code, checked.out, checked.err) == (1, f"{text}\n", "")
        report = await call_async(tmp_path, "check", "--json", settings=settings)
        (failed,) = [found for found in json.loads(report.out)["findings"] if found["status"] == "failed"]
        assert (report.exit_code, failed["subject"]) == (1, "schema")
        assert subject in failed["detail"]
        assert text.startswith(f"{failed['detail']}: {failed['remedy']}")
        assert await everything(settings) == before
