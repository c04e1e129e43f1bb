"""Password hashing in threads: priorities, limits and cancelled callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from api import hashes, security
from api.errors import TOO_BUSY, ApiError
from api.security import Passwords
from backends.ids import utc_now
from backends.models import User

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def user(hashed_password: str) -> User:
    """Return a user with this hash."""
    return User(
        id="0123456789abcdef01234567",
        email="user@example.com",
        hashed_password=hashed_password,
        full_name=None,
        is_active=True,
        is_superuser=False,
        created_at=utc_now(),
        version=1,
        session_version=0,
    )


USER = user(HASH)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one job run at a time, so that there is an order."""
    monkeypatch.setattr(security, "HASHING_THREADS", 1)


@asynccontextmanager
async def busy(passwords: Passwords) -> AsyncIterator[None]:
    """Keep the thread busy until the end of the block."""
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        done.wait()

    task = asyncio.create_task(passwords._run(passwords._to_hash, work))
    try:
        await asyncio.to_thread(started.wait)
        yield
    finally:
        done.set()
        await task


async def begin(*calls: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start the calls, up to where they wait."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


async def test_logins_go_before_what_is_to_be_hashed() -> None:
    """However long that has waited; among themselves both go in the order in which they came."""
    passwords, done = Passwords(), list[str]()

    async def noted(name: str, call: Coroutine[Any, Any, Any]) -> None:
        await call
        done.append(name)

    async with busy(passwords):
        tasks = await begin(*(noted(f"hash {n}", passwords.hash(PASSWORD)) for n in range(3)))
        tasks += await begin(*(noted(f"verify {n}", passwords.verify(PASSWORD, USER)) for n in range(3)))
        tasks += await begin(noted("hash 3", passwords.hash(PASSWORD)))
    await asyncio.gather(*tasks)
    assert done == [f"verify {n}" for n in range(3)] + [f"hash {n}" for n in range(4)]
    passwords.close()


async def test_results_and_errors_reach_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each the own one, also after an error."""
    passwords = Passwords()
    logins = (("wrong", USER), (PASSWORD, USER), (PASSWORD, None), (PASSWORD, user("no hash")))
    verified = await asyncio.gather(*(passwords.verify(*login) for login in logins))
    assert [verification.matches for verification in verified] == [False, True, False, False]

    class Broken:
        def hash(self, _: bytes) -> str:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(hashes, "_hasher", Broken())
        with pytest.raises(MemoryError):
            await passwords.hash(PASSWORD)
    verification = await passwords.verify(PASSWORD, user(await passwords.hash(PASSWORD)))
    assert verification.matches
    passwords.close()


async def test_no_hash_durations_what_a_hash_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is verified for an unknown address is a hash of the same parameters, and matches nothing."""
    verified = list[str]()

    class Noting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - its name
            verified.append(str(hash))
            return super().verify(hash, password)

    passwords = Passwords()
    hashed = await passwords.hash(PASSWORD)
    monkeypatch.setattr(hashes, "_hasher", Noting())
    assert not (await passwords.verify(PASSWORD, None)).matches
    (no_hash,) = verified
    assert extract_parameters(no_hash) == extract_parameters(hashed)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(no_hash, PASSWORD)
    passwords.close()


async def test_who_gave_up_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cancelled is not hashed, and its place in the queue is free at once."""
    monkeypatch.setattr(security, "MAX_WAITING", 3)
    passwords, hashed = Passwords(), list[str]()

    class Noting(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            del salt
            assert isinstance(password, bytes)
            hashed.append(password.decode())
            return HASH

    monkeypatch.setattr(hashes, "_hasher", Noting())
    async with busy(passwords):
        tasks = await begin(passwords.hash("first"), passwords.hash("second"))
        tasks[0].cancel()
        tasks += await begin(passwords.hash("third"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert (results[1:], hashed) == ([HASH, HASH], ["second", "third"])
    passwords.close()


async def test_sign_ups_that_are_too_many_refuse_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many may wait is counted apart for the two."""
    monkeypatch.setattr(security, "MAX_WAITING", 2)
    passwords = Passwords()
    async with busy(passwords):
        tasks = await begin(passwords.hash(PASSWORD))
        with pytest.raises(ApiError) as refused:
            await passwords.hash(PASSWORD)
        assert refused.value.problem is TOO_BUSY
        tasks += await begin(*(passwords.verify(PASSWORD, USER) for _ in range(2)))
        with pytest.raises(ApiError) as refused:
            await passwords.verify(PASSWORD, USER)
        assert refused.value.problem is TOO_BUSY
    assert [verification.matches for verification in (await asyncio.gather(*tasks))[1:]] == [True, True]
    passwords.close()


async def test_close_cancels_what_waits() -> None:
    """Nobody waits for ever; what runs goes on to its end."""
    passwords = Passwords()
    async with busy(passwords):
        tasks = await begin(passwords.hash(PASSWORD), passwords.verify(PASSWORD, USER))
        passwords.close()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=10)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
