"""`eitherdb user`: create a superuser and set passwords, from a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.security import Passwords
from backends.models import NewItem, NewUser, User
from cli import user_views
from config import Settings
from tests.backends.raw import opened
from tests.cli.command import Result, call, call_async, run
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
    made = await call_async(
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


def line(user: User, state: str, text: str) -> str:
    """Return the line of a user in a list."""
    return f"{user.id}  {user.created_at:%Y-%m-%d}  {state:<19}  {text}\n"


async def test_users_are_listed_shown_and_deactivated(
    migrated: Provision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists go on over pages. Deactivation ends the sessions, and spares the last active superuser."""
    await migrated.clean()
    monkeypatch.setattr(user_views, "MAX_LIMIT", 2)

    async def user(*arguments: str) -> Result:
        return await call_async(tmp_path, "user", *arguments, settings=migrated.settings)

    assert await user("list") == Result(0, "There are no users.\n", "")
    assert await user("list", "--json") == Result(0, "[]\n", "")
    async with opened(migrated.open()) as backend:
        add = backend.users.add
        ada = await add(NewUser(email="ada@example.com", hashed_password="$ada", is_superuser=True))
        bob = await add(
            NewUser(email="bob@example.com", hashed_password="$", full_name="Bob\x1b[2J Gro\u00df")
        )
        cy = await add(NewUser(email="cy@example.com", hashed_password="$", is_active=False))
        await backend.items.add(NewItem(title="t"), owner_id=ada.id)

        ada_line = line(ada, "active    superuser", "ada@example.com")
        bob_line = line(bob, "active", "bob@example.com  Bob\\x1b[2J Gro\u00df")
        cy_line = line(cy, "inactive", "cy@example.com")
        # Widths are those of a page.
        assert await user("list") == Result(0, cy_line + bob_line + ada_line, "")
        assert (await user("list", "--superusers")).out == ada_line
        assert (await user("list", "--inactive")).out == cy_line
        assert (await user("list", "--limit", "1")).out == cy_line
        assert (await user("list", "--search", "GROSS")).out == bob_line
        assert (await user("list", "--search", "nobody")).out == "No user matches.\n"
        listed = json.loads((await user("list", "--json")).out)
        shown = {"id": ada.id, "email": "ada@example.com", "full_name": None, "is_active": True}
        shown |= {"is_superuser": True, "created_at": ada.to_row()["created_at"]}
        assert ([each["id"] for each in listed], listed[2]) == ([cy.id, bob.id, ada.id], shown)

        told = await user("show", "Ada@Example.com")
        assert told.out == (
            f"id            {ada.id}\nemail         ada@example.com\nfull_name     -\nis_active     yes\n"
            f"is_superuser  yes\ncreated_at    {shown['created_at']}\nitems         1\naccounts      0\n"
        )
        owned = {"owned": {"items": 1, "accounts": 0}}
        assert json.loads((await user("show", ada.id, "--json")).out) == shown | owned

        kept = (await user("deactivate", ada.id)).refusal()
        assert "is the last active superuser" in kept
        assert (await backend.users.get(ada.id)) == ada
        assert (await user("deactivate", "bob@example.com")).out == (
            "bob@example.com is inactive, and all sessions have ended.\n"
        )
        after = await backend.users.get(bob.id)
        assert (after.is_active, after.session_version) == (False, 1)
        assert (await user("deactivate", bob.id)).out == "bob@example.com is inactive already.\n"
        assert (await backend.users.get(bob.id)) == after
        await user("activate", bob.id)
        assert (await backend.users.get(bob.id)).is_active
        assert (await user("activate", bob.id)).out == "bob@example.com is active already.\n"

        await add(NewUser(email="dee@example.com", hashed_password="$", is_superuser=True))
        assert (await user("deactivate", ada.id)).exit_code == 0
        assert (await user("deactivate", "dee@example.com", "--yes")).exit_code == 0

        assert (await user("show", "adda@example.com")).refusal() == (
            "no user has the address adda@example.com; did you mean ada@example.com?"
        )
        assert (await user("activate", "x")).refusal() == (
            "no user has the address x; `eitherdb user list --search TEXT` finds users"
        )
        assert "`eitherdb user list` shows the ids" in (await user("deactivate", "a" * 24)).refusal()
