"""The script of `docs/template-users.md`, on a database of the template's."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import asyncpg

from api.hashes import verify_hash
from backends import open_backend
from tests.backends.raw import opened
from tests.cli.command import ROOT, TIMEOUT_SECONDS, call_async, database_on, environment
from tests.conftest import find_provision
from tests.provision import Servers, make_settings

PASSWORD = "s3cret-horse"
BCRYPT = "$2b$04$Rb/EEH5cq7jU.4.f/iq2IuiTb0S4RZMfLoaAzoOCYstopQSGpXYjq"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$hsIe4eOMcypP9ySSg8VAag$ZJgAKy3iU1yOY1qNHLghJq4kACFBt6Og562RUsw1FAQ"
# As the template's migrations leave it.
TABLE = """
CREATE TABLE "user" (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email varchar(255) NOT NULL UNIQUE,
    is_active boolean NOT NULL,
    is_superuser boolean NOT NULL,
    full_name varchar(255),
    hashed_password varchar NOT NULL,
    created_at timestamptz
)
"""
ADD = """
INSERT INTO "user" (email, is_active, is_superuser, full_name, hashed_password) VALUES ($1, $2, $3, $4, $5)
"""
USERS = [
    ("Ada@Example.com", True, True, "Ada", BCRYPT),
    ("ada@example.com", True, True, "The other Ada", ARGON2),
    ("ben@example.com", False, False, None, ARGON2),
    ("no address", True, False, None, ARGON2),
]


async def test_script_brings_users_of_the_template_along(servers: Servers, tmp_path: Path) -> None:
    """Everybody with an address, once, with the password of before; what is left out is named."""
    text = (ROOT / "docs/template-users.md").read_text()
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    settings = make_settings(database_url=f"sqlite:///{tmp_path}/ours.db")
    assert (await call_async(tmp_path, "migrate", "upgrade", settings=settings)).exit_code == 0
    async with database_on(find_provision("postgres", servers)) as template:
        connection = await asyncpg.connect(template.url)
        await connection.execute(TABLE)
        await connection.executemany(ADD, USERS)
        await connection.close()
        given = {"PYTHONPATH": str(ROOT), "TEMPLATE_DATABASE_URL": template.url}

        async def run() -> list[str]:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", script),
                cwd=tmp_path,
                env=environment(tmp_path, settings, **given),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
            assert process.returncode == 0
            return [line.partition(": ")[2] for line in out.decode().splitlines()]

        first, again = await run(), await run()
    async with opened(open_backend(settings)) as backend:
        users = {user.email: user for user in (await backend.users.list()).data}
    assert users.keys() == {"ada@example.com", "ben@example.com"}
    ada, ben = users["ada@example.com"], users["ben@example.com"]
    assert ada.full_name in {"Ada", "The other Ada"}
    assert (ada.is_active, ada.is_superuser, ben.is_active, ben.full_name) == (True, True, False, None)
    assert all(verify_hash(PASSWORD, user.hashed_password).matches for user in (ada, ben))
    made = [f"{user.email} has the id {user.id}" for user in (ada, ben)]
    assert [line for line in first if "has the id" in line] == made
    assert [line.lower() for line in first if "exists" in line] == ["ada@example.com exists already"]
    assert len([line for line in first if "not a valid email address" in line]) == 1
    assert len([line for line in again if "exists already" in line]) == 3
