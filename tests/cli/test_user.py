"""`eitherdb user`: create a superuser and set passwords, from a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.security import Passwords
from backends.models import User
from config import Settings
from tests.cli.command import call, call_async, eitherdb, run
from tests.provision import Provision

STDIN = "--password-stdin"
BAD_PASSWORDS = ["", "\n", "seven77\n", "e\u0301" * 7 + "\n", "x" * 129 + "\n", "nul\x00nul\x00nul\n"]


@asynccontextmanager
async def user_of(provision: Provision, settings: Settings, email: str) -> AsyncIterator[User | None]:
    """Look up a user like the API."""
    backend = await provision.open(settings)
    try:
        yield await backend.users.find_by_email(email)
    finally:
        await backend.close()


async def has_password(user: User | None, password: str) -> bool:
    """Return whether the user can sign in with this password."""
    assert user is not None
    passwords = Passwords()
    try:
        return (await passwords.verify(password, user)).matches
    finally:
        passwords.close()


async def test_create_superuser_and_set_password(migrated: Provision, tmp_path: Path) -> None:
    """The superuser is created once, whatever the spelling of the address, and gets another password."""
    await migrated.clean()
    settings = migrated.settings
    made = await eitherdb(
        tmp_path,
        *("user", "create-superuser", " Boss@Example.com\n", "--full-name", "The Boss", STDIN),
        settings=settings,
        stdin="correct horse\n",
    )
    assert (made.exit_code, made.err) == (0, "")
    async with user_of(migrated, settings, "boss@example.com") as user:
        assert user is not None
        assert made.out == f"Created the superuser boss@example.com with the id {user.id}.\n"
        assert (user.full_name, user.is_superuser, user.is_active) == ("The Boss", True, True)
        assert await has_password(user, "correct horse")

    again = await call_async(
        tmp_path,
        *("user", "create-superuser", "BOSS@example.com", STDIN),
        settings=settings,
        stdin="other horse\n",
    )
    assert "eitherdb user set-password" in again.refusal()
    async with user_of(migrated, settings, "boss@example.com") as unchanged:
        assert unchanged == user

    changed = await call_async(
        tmp_path,
        *("user", "set-password", "BOSS@example.com ", STDIN),
        settings=settings,
        stdin="battery\u00a0stapl\u0065\u0301\r\n",
    )
    assert (changed.exit_code, changed.err) == (0, "")
    assert changed.out == "boss@example.com has a new password.\n"
    async with user_of(migrated, settings, "boss@example.com") as user:
        assert user is not None
        assert user.session_version == 1
        assert await has_password(user, "battery stapl\u00e9")
        assert not await has_password(user, "correct horse")


@pytest.fixture(scope="module")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose `.data` contains a migrated SQLite database without users."""
    folder = tmp_path_factory.mktemp("users")
    assert call(folder, "migrate", "upgrade").exit_code == 0
    return folder


@pytest.mark.parametrize("email", ["boss", "boss@", "a b@example.com"])
def test_create_superuser_with_a_bad_address_is_refused(email: str, migrated_folder: Path) -> None:
    """One line names it."""
    line = call(
        migrated_folder, "user", "create-superuser", email, STDIN, stdin="correct horse\n"
    ).refusal()
    assert line.startswith(f"{email}: ")
    assert "email address" in line


@pytest.mark.parametrize(
    "password", BAD_PASSWORDS, ids=["none", "empty", "short", "composed", "long", "NUL"]
)
@pytest.mark.parametrize("command", ["create-superuser", "set-password"])
def test_password_that_the_api_would_refuse_is_refused(
    command: str, password: str, migrated_folder: Path
) -> None:
    """One line has the valid length and not the password."""
    line = call(migrated_folder, "user", command, "boss@example.com", STDIN, stdin=password).refusal()
    assert "8 to 128 characters" in line
    assert "seven77" not in line


@pytest.mark.parametrize("command", ["create-superuser", "set-password"])
def test_password_prompt_without_a_terminal_is_refused(command: str, migrated_folder: Path) -> None:
    """One line has the option for scripts, without Python's warning about echoed input."""
    line = run(migrated_folder, "user", command, "boss@example.com", stdin="correct horse\n").refusal()
    assert STDIN in line


@pytest.mark.parametrize("email", ["nobody@example.com", "nobody"])
def test_set_password_of_an_unknown_user_is_refused(email: str, migrated_folder: Path) -> None:
    """One line has the command that creates the user."""
    line = call(migrated_folder, "user", "set-password", email, STDIN, stdin="correct horse\n").refusal()
    assert email in line
    assert "eitherdb user create-superuser" in line


def test_create_superuser_on_an_empty_schema_is_refused(tmp_path: Path) -> None:
    """The line names the command that fixes it."""
    refused = call(tmp_path, "user", "create-superuser", "a@example.com", STDIN, stdin="correct horse\n")
    assert "eitherdb migrate upgrade" in refused.refusal()
