"""Schemathesis calls every operation with valid and invalid data and compares it with the OpenAPI document.

`make test` repeats the same calls each time; `make fuzz` generates new ones. A failure names the seed and
the call, and `make fuzz FUZZ_SEED=…` repeats it. See https://schemathesis.readthedocs.io.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import pytest

from api import hashes
from tests.api.declared import DECLARED
from tests.api.service import CHEAP_HASHER, Service, serve, serve_declared
from tests.clients.conftest import serve_on_free_port
from tests.conftest import MIGRATED_NAMES
from tests.fuzz import TOKEN_URL
from tests.fuzz.accounts import hand_out_tokens
from tests.provision import Provision

Caller = Literal["superuser", "user", "nobody"]

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
MINUTES = float(os.environ.get("FUZZ_MINUTES") or 0)
SEED = os.environ.get("FUZZ_SEED") or (str(secrets.randbelow(2**32)) if MINUTES else "20261122")

# The phase `coverage` tries the boundaries of every parameter and undocumented methods. That takes
# thousands of calls, and tests/api covers the important ones. So only `make fuzz` runs it. The same holds
# for unauthenticated calls, which the access matrix makes for every operation.
PHASES: dict[Caller, str] = {
    "superuser": "coverage,fuzzing,stateful" if MINUTES else "fuzzing,stateful",
    "user": "fuzzing,stateful",
    "nobody": "fuzzing",
}
EXAMPLES = "2"
UNLIMITED: dict[str, Any] = dict.fromkeys(
    ("login_limit", "login_limit_per_client", "recovery_limit", "recovery_limit_per_client"),
    "1000000/second",
)


async def run_schemathesis(url: str, *arguments: str, cwd: Path, **environment: str) -> int:
    """Run schemathesis and return its exit code. Its files stay in `cwd`."""
    # Hypothesis caches what it computes about Unicode for several seconds.
    cache = {"HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{url}/api/v1/openapi.json", "--seed", SEED, *arguments),
        cwd=cwd,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT), **cache, **environment},
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


def served(provision: Provision) -> AbstractAsyncContextManager[Service]:
    """Return the application, in `make fuzz` also with declared resources of every kind."""
    if MINUTES:
        return serve_declared(provision, DECLARED, **UNLIMITED)
    return serve(provision, **UNLIMITED)


def calls(backend: str) -> dict[Caller, str]:
    """Return the phases by caller: all on the first database, on the others fewer in `make test`."""
    if MINUTES:
        return PHASES
    if backend == MIGRATED_NAMES[0]:
        return {"superuser": PHASES["superuser"], "user": PHASES["user"]}
    return {"superuser": "fuzzing"}


@pytest.mark.timeout(0 if MINUTES else 300)
async def test_answers_are_those_of_the_document(
    migrated: Provision,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """No 5xx; every status, header and body is documented; valid requests are accepted, others refused."""
    monkeypatch.setattr(hashes, "_hasher", CHEAP_HASHER)
    for caller, phases in calls(migrated.name).items():
        await migrated.clean()
        seconds = int(MINUTES * 60 / len(request.session.items) / len(PHASES))
        effort = f"--max-time={max(seconds, 1)}" if MINUTES else f"--max-examples={EXAMPLES}"
        async with (
            served(migrated) as service,
            serve_on_free_port(service.app) as url,
            serve_on_free_port(hand_out_tokens(service)) as tokens,
        ):
            environment = {} if caller == "nobody" else {TOKEN_URL: f"{tokens}/{caller}"}
            arguments = f"--phases={phases}", effort
            exit_code = await run_schemathesis(url, *arguments, cwd=tmp_path, **environment)
        assert exit_code == 0, f"{caller}, seed {SEED}: see the output of schemathesis"
