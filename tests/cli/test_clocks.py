"""Two servers on one database whose clocks are hours apart."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.cli.command import Serving, serving
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

LIMITS = {"LOGIN_LIMIT": "3/minute", "FIRST_SUPERUSER_PASSWORD": "correct horse"}


def clock_variables(offset: str) -> dict[str, str]:
    """Return the variables that shift a process's wall clock and keep its monotonic clock."""
    command = shutil.which("faketime")
    assert command is not None, "faketime is missing: apt-get install faketime"
    shown = subprocess.run([command, "-f", offset, "env"], capture_output=True, text=True, check=True)  # noqa: S603 - this test's own words
    lines = dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)
    return {"LD_PRELOAD": lines["LD_PRELOAD"], "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def login(server: Serving, password: str) -> httpx2.Response:
    """Try to sign in as the first superuser."""
    form = {"username": "root@example.com", "password": password}
    return httpx2.post(f"{server.url}/api/v1/login/access-token", data=form, timeout=30)


@ONE_BACKEND
@pytest.mark.faketime
@pytest.mark.parametrize("offset", ["+2h", "-2h"])
async def test_servers_with_clocks_apart_lock_nobody_out(
    migrated: Provision, offset: str, tmp_path: Path
) -> None:
    """Neither makes a client wait longer than the limit's minute, and each accepts the other's tokens."""
    settings = migrated.settings
    await migrated.clean()
    variables = {"FIRST_SUPERUSER": "root@example.com", **LIMITS}
    async with (
        serving(tmp_path, "serve", settings=settings, **variables) as right,
        serving(tmp_path, "serve", settings=settings, **variables, **clock_variables(offset)) as wrong,
    ):
        for one, other in ((wrong, right), (right, wrong)):
            token = login(one, "correct horse").json()["access_token"]
            me = httpx2.get(f"{other.url}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            assert me.status_code == 200
        dates = [
            httpx2.get(server.url + "/api/v1/utils/health-check/").headers["Date"]
            for server in (right, wrong)
        ]
        assert dates[0][17:19] != dates[1][17:19], "the clocks do not differ"
        for one, other in ((wrong, right), (right, wrong)):
            assert [login(one, "wrong").status_code for _ in range(3)] == [400] * 3
            refused = login(one, "correct horse")
            assert (refused.status_code, int(refused.headers["Retry-After"]) <= 60) == (429, True)
            if one is wrong:
                assert login(other, "correct horse").status_code == 200
