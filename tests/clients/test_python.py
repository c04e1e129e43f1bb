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
    """Keep a developer's HTTP_PROXY out of calls to this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_synchronous_calls_tell_the_story(url: str) -> None:
    """In a thread, as the server runs in this one's event loop."""
    assert await asyncio.to_thread(scenario_sync.tell, url, EMAIL, PASSWORD) == EXPECTED


async def test_asynchronous_calls_tell_the_story(url: str) -> None:
    """The same, in the event loop."""
    assert await scenario_async.tell(url, EMAIL, PASSWORD) == EXPECTED


async def test_readme_does_what_it_says(url: str) -> None:
    """Both examples, as they stand there and in this order, print what the text says."""

    def run(code: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code.replace(SERVER, url), {"__name__": "__main__"})  # noqa: S102 - our own README
        return out.getvalue()

    printed = [await asyncio.to_thread(run, code) for code in examples(PYTHON / "README.md", "python")]
    assert printed == [
        "1 Analytical Engine\nnot_found\n",
        "['Analytical Engine', 'Difference Engine', 'Loom']\n",
    ]
