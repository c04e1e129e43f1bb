"""The Python client, against a real server on every database."""

from __future__ import annotations

import asyncio
import contextlib
import io

import pytest

from clients.generate import PYTHON
from tests.clients import scenario_async, scenario_sync
from tests.clients.readme import SERVER, examples
from tests.clients.scenario import EMAIL, EXPECTED, PASSWORD


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore a developer's HTTP_PROXY."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_synchronous_calls_give_the_expected_results(url: str) -> None:
    """The calls run in a thread, because the server runs in this thread's event loop."""
    assert await asyncio.to_thread(scenario_sync.run_scenario, url, EMAIL, PASSWORD) == EXPECTED


async def test_asynchronous_calls_give_the_expected_results(url: str) -> None:
    """The calls run in the server's event loop."""
    assert await scenario_async.run_scenario(url, EMAIL, PASSWORD) == EXPECTED


async def test_readme_examples_print_what_it_says(url: str) -> None:
    """Both examples, in their order, print what the README says."""

    def run(code: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code.replace(SERVER, url), {"__name__": "__main__"})  # noqa: S102 - our own README
        return out.getvalue()

    printed = [await asyncio.to_thread(run, code) for code in examples(PYTHON / "README.md", "python")]
    assert printed == [
        "1 Analytical Engine\nnot_found\n",
        "['Analytical Engine', 'Difference Engine', 'Loom']\n",
    ]
