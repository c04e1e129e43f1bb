"""The same application on every backend, with equal times and ids, and the comparison of responses."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import httpx2
import pytest
from argon2 import PasswordHasher

from api import hashes, security
from backends.models import NewUser
from eitherdb_contract.clock import ManualClock
from tests.api.service import Service, serve
from tests.differential.model.calls import Call
from tests.differential.model.responses import Expected
from tests.differential.model.state import (
    LIMIT_SECONDS,
    LOGIN_LIMIT,
    MAX_BODY_BYTES,
    RECOVERY_LIMIT,
    State,
    User,
)
from tests.differential.model.users import record_reset_token
from tests.provision import SECRET_KEY, Provision

T = TypeVar("T")

START = datetime(2100, 2, 28, 23, 59, 59, 990_000, tzinfo=UTC)
"""Far in the future, because the token library uses the real time."""

ROOT, ROOT_PASSWORD = "root@example.com", "s3cret-root"
SETTINGS: dict[str, Any] = {
    "max_body_bytes": MAX_BODY_BYTES,
    "login_limit": f"{LOGIN_LIMIT} per {LIMIT_SECONDS} second",
    "recovery_limit": f"{RECOVERY_LIMIT} per {LIMIT_SECONDS} second",
    "login_limit_per_client": "1000000/second",
    "recovery_limit_per_client": "1000000/second",
}
PREDICTED_HEADERS = ("etag", "retry-after", "www-authenticate", "allow", "subject")
"""The headers that the model predicts. All headers are compared among the backends."""


class DeterministicHasher(PasswordHasher):
    """A cheap, deterministic hasher: reset tokens contain the hash, and must be equal on all backends."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Hash with a salt derived from the password."""
        assert salt is None
        text = password.encode("utf-8", "surrogatepass") if isinstance(password, str) else password
        return super().hash(password, salt=hashlib.sha256(text).digest()[:16])


class DeterministicIds:
    """Ids derived from a step and a number, in no order, and equal on every backend."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, step: int) -> None:
        """Start with the first id of a step."""
        self._step, self._number = step, 0

    def __call__(self) -> str:
        """Return the next id."""
        self._number += 1
        return hashlib.sha256(f"{self._step} {self._number}".encode()).hexdigest()[:24]


@dataclass
class Systems:
    """The data that all histories of a run share.

    Attributes:
        services: The applications by the names of their backends.
        coverage: The number of responses per operation, status and code.
        comparisons: The number of responses that were compared with another, or with the model's.
    """

    loop: asyncio.AbstractEventLoop
    clock: ManualClock
    services: dict[str, Service] = field(default_factory=dict)
    provisions: list[Provision] = field(default_factory=list)
    ids: list[DeterministicIds] = field(default_factory=list)
    coverage: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    comparisons: int = 0
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run the body in the applications' event loop. Block the calling thread, which is Hypothesis's."""
        return asyncio.run_coroutine_threadsafe(body, self.loop).result()

    async def begin(self) -> State:
        """Empty every database but for a superuser. Return the model of that state."""
        await asyncio.gather(*(provision.clean() for provision in self.provisions))
        self.clock.now = START
        for ids in self.ids:
            ids.begin(0)
        hashed_password = hashes._hasher.hash(ROOT_PASSWORD)
        new = NewUser(email=ROOT, hashed_password=hashed_password, is_superuser=True)
        added = [await service.backend.users.add(new) for service in self.services.values()]
        assert added == [added[0]] * len(added)
        settings = next(iter(self.services.values())).settings
        state = State(SECRET_KEY, settings.access_token_expire_minutes, self.clock.now)
        root = User(
            id=added[0].id,
            created_at=added[0].created_at,
            email=ROOT,
            password=ROOT_PASSWORD,
            is_superuser=True,
        )
        state.users[root.id] = root
        return state

    async def send(self, call: Call, step: int) -> dict[str, httpx2.Response]:
        """Send the call to every backend."""
        for ids in self.ids:
            ids.begin(step)
        responses = await asyncio.gather(*(self._request(client, call) for client in self.clients.values()))
        return dict(zip(self.clients, responses, strict=True))

    async def _request(self, client: httpx2.AsyncClient, call: Call) -> httpx2.Response:
        return await client.request(call.method, call.url, content=call.content, headers=call.headers)


class HistoryRunner:
    """One history: the calls so far and the model's state.

    Attributes:
        steps: The number of calls.
    """

    def __init__(self, systems: Systems) -> None:
        """Start with empty databases."""
        self._systems = systems
        self.state = systems.run(systems.begin())
        self.steps = 0
        self._random = Random(0)  # noqa: S311 - no secret

    def pass_by(self, *, milliseconds: int) -> None:
        """Advance the clock, which stands still otherwise."""
        self._systems.clock.pass_by(seconds=milliseconds / 1000)

    def send(self, call: Call) -> httpx2.Response:
        """Send the call, compare all responses with the model's and each other, and return one backend's.

        A random choice decides whose response that is, so that tokens of each backend are sent to the
        others.
        """
        self.steps += 1
        self.state.now = self._systems.clock.now
        ids = DeterministicIds()
        ids.begin(self.steps)
        self.state.next_id = ids
        expected = self.state.respond(call)
        responses = self._systems.run(self._systems.send(call, self.steps))
        first = next(iter(responses.values()))
        self._systems.coverage[call.operation, first.status_code, _code_of(first)] += 1
        for name, response in responses.items():
            self._systems.comparisons += 1
            differences = differences_of(response, expected)
            assert not differences, f"{name} responds to {call} unlike the model: {differences}"
            if response is not first:
                self._systems.comparisons += 1
                assert _whole(response) == _whole(first), (
                    f"{name} responds to {call} unlike {next(iter(responses))}"
                )
        if call.operation == "login-recover_password_html_content" and first.status_code == 200:
            record_reset_token(self.state, call, reset_token_of(first))
        return self._random.choice(list(responses.values()))


def _whole(response: httpx2.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return response.status_code, response.headers.raw, response.content


def _code_of(response: httpx2.Response) -> str:
    return str(response.json()["code"]) if response.is_error else ""


def reset_token_of(page: httpx2.Response) -> str:
    """Return the token in a password recovery email."""
    found = re.search(r"token=([\w.-]+)", page.text)
    assert found is not None
    return found[1]


def differences_of(response: httpx2.Response, expected: Expected) -> dict[str, tuple[object, object]]:
    """Return each deviation from the model: the actual and the expected value."""
    headers = response.headers
    pairs: dict[str, tuple[object, object]] = {
        "status": (response.status_code, expected.status),
        "headers": (
            {name: headers[name] for name in PREDICTED_HEADERS if name in headers},
            dict(expected.headers),
        ),
        "cache": (
            headers.get("cache-control"),
            "private, no-cache" if "etag" in expected.headers else "no-store",
        ),
    }
    if expected.body is not None:
        pairs["body"] = (response.content, expected.body)
        kind = "application/json" if expected.body else None
        pairs["type"] = (headers.get("content-type"), kind)
    if response.is_error:
        pairs["code"] = (_code_of(response), expected.code)
        if expected.faults is not None and response.status_code == 422:
            pairs["faults"] = ([each["loc"] for each in response.json()["detail"]], expected.faults)
    return {name: (is_, should) for name, (is_, should) in pairs.items() if is_ != should}


@asynccontextmanager
async def systems_under_test(provisions: Mapping[str, Provision]) -> AsyncIterator[Systems]:
    """Serve the application on all of these until the end of the block."""
    clock = ManualClock()
    clock.stop()
    clock.now = START
    systems = Systems(asyncio.get_running_loop(), clock)
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(hashes, "_hasher", DeterministicHasher())
        patch.setattr(security, "utc_now", clock)
        for name, provision in provisions.items():
            ids = DeterministicIds()
            service = await stack.enter_async_context(
                serve(provision, clock=clock, id_source=ids, **SETTINGS)
            )
            systems.provisions.append(provision)
            systems.ids.append(ids)
            systems.services[name] = service
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(service.app),
                base_url="http://eitherdb.example",
                trust_env=False,
            )
            systems.clients[name] = await stack.enter_async_context(client)
        yield systems
