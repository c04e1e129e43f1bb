"""Throttling of logins and recoveries: only callers that guess passwords are limited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.security import HASHING_THREADS, make_reset_token
from api.throttle import _account_key, _key, client_key
from eitherdb_contract.clock import ManualClock
from tests.api.responses import (
    INCORRECT_LOGIN,
    INCORRECT_PASSWORD,
    MESSAGE_RECOVERY,
    TOO_MANY_ATTEMPTS,
    assert_ok,
    assert_refused,
)
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json, serve
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

WRONG = f"{SECRET}-wrong"
LIMITS: dict[str, Any] = {
    "login_limit": "3/minute",
    "login_limit_per_client": "8/minute",
    "recovery_limit": "2/minute",
    "recovery_limit_per_client": "5/minute",
}


@pytest.fixture
async def limited(provision: Provision, service: Service, user: Account) -> AsyncIterator[Service]:
    """Return an application with low limits on the same database."""
    del service
    async with serve(provision, first_superuser=user.user.email, **LIMITS) as limited:
        yield limited


def client_at(service: Service, host: str) -> httpx2.AsyncClient:
    """Return a client with this address."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(service.app, client=(host, 1)),
        base_url="http://eitherdb.example/api/v1",
        trust_env=False,
    )


async def login(service: Service, email: str, password: str, host: str = "192.0.2.1") -> httpx2.Response:
    """Try to sign in from an address."""
    form = {"username": email, "password": password}
    return await client_at(service, host).post("/login/access-token", data=form)


def assert_held_up(answer: httpx2.Response) -> None:
    """Check the refusal, and that it says for how many seconds, which are not many."""
    assert_refused(answer, TOO_MANY_ATTEMPTS)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


async def test_wrong_passwords_are_held_up(limited: Service, user: Account) -> None:
    """After as many as the limit allows; then the right one too, and in any spelling of the address."""
    email = user.user.email
    for _ in range(3):
        assert_refused(await login(limited, email, WRONG), INCORRECT_LOGIN)
    assert_held_up(await login(limited, email, WRONG))
    assert_held_up(await login(limited, email.upper(), PASSWORD))


async def test_unknown_addresses_are_held_up_alike(limited: Service, user: Account) -> None:
    """So that the limit tells nothing about who is known."""
    answers = [
        [(await login(limited, email, WRONG)).status_code for _ in range(5)]
        for email in (user.user.email, "nobody@example.com")
    ]
    assert answers == [[400, 400, 400, 429, 429]] * 2


async def test_right_passwords_are_never_held_up(limited: Service, user: Account) -> None:
    """However many, also at the same time."""
    answers = await asyncio.gather(*(login(limited, user.user.email, PASSWORD) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_many_attempts_at_once_are_as_few_guesses(limited: Service, user: Account) -> None:
    """Only those that are hashing at the moment when the limit is reached can be more."""
    answers = await asyncio.gather(*(login(limited, user.user.email, WRONG) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert 3 <= statuses.count(400) < 3 + HASHING_THREADS
    assert set(statuses) == {400, 429}


async def test_client_is_held_up_over_all_addresses(limited: Service) -> None:
    """Trying one password for many addresses is guessing too."""
    answers = [await login(limited, f"user{n}@example.com", WRONG) for n in range(10)]
    assert [answer.status_code for answer in answers] == [400] * 8 + [429] * 2
    assert_held_up(answers[-1])
    assert_refused(await login(limited, "user99@example.com", WRONG, "192.0.2.2"), INCORRECT_LOGIN)


async def test_nobody_can_lock_an_owner_out(limited: Service, user: Account) -> None:
    """From elsewhere anyone may fail as often as he likes: the owner's own client is let in."""
    email = user.user.email
    assert (await login(limited, email, PASSWORD, "192.0.2.9")).status_code == 200
    for n in range(10):
        for _ in range(4):
            await login(limited, email, WRONG, f"198.51.100.{n}")
    assert_held_up(await login(limited, email, PASSWORD, "203.0.113.1"))
    assert (await login(limited, email, PASSWORD, "192.0.2.9")).status_code == 200
    assert (await login(limited, "nobody@example.com", WRONG, "192.0.2.9")).status_code == 400


async def test_new_password_by_mail_makes_a_client_known(limited: Service, user: Account) -> None:
    """An owner whose account is under attack signs in from a new place after all."""
    email, here = user.user.email, "203.0.113.7"
    for n in range(10):
        for _ in range(4):
            await login(limited, email, WRONG, f"198.51.100.{n}")
    assert_held_up(await login(limited, email, PASSWORD, here))
    body = {"token": make_reset_token(user.user, limited.settings), "new_password": f"{SECRET}-new"}
    answer = await client_at(limited, here).post("/reset-password/", **as_json(body))
    assert answer.status_code == 200
    assert (await login(limited, email, f"{SECRET}-new", here)).status_code == 200


async def test_limits_are_shared_by_all_workers(
    provision: Provision, limited: Service, user: Account
) -> None:
    """What one process counts another knows."""
    email = user.user.email
    async with serve(provision, first_superuser=email, **LIMITS) as other:
        for service in (limited, other, limited):
            assert_refused(await login(service, email, WRONG), INCORRECT_LOGIN)
        assert_held_up(await login(other, email, WRONG))


async def test_limit_is_over_after_its_time(limited: Service, user: Account) -> None:
    """A minute later the right password is let in."""
    for _ in range(3):
        await login(limited, user.user.email, WRONG)
    assert_held_up(await login(limited, user.user.email, PASSWORD))
    limited.clock.pass_by(seconds=61)
    assert (await login(limited, user.user.email, PASSWORD)).status_code == 200


HOURS = pytest.mark.parametrize("hours", [2, -14])


@ONE_BACKEND
@HOURS
@pytest.mark.parametrize("limit", ["login", "login of a client", "login of an account"])
async def test_clock_of_another_instance_locks_nobody_out(
    provision: Provision, limited: Service, user: Account, limit: str, hours: int
) -> None:
    """Neither instance makes anybody wait longer than a minute, whichever of the two clocks is wrong."""
    email = user.user.email
    here = "203.0.113.1"
    guesses = {
        "login": [(email, here)] * 3,
        "login of a client": [(f"user{n}@example.com", here) for n in range(8)],
        "login of an account": [(email, f"198.51.100.{n}") for n in range(15)],
    }[limit]
    clock = ManualClock()
    clock.pass_by(seconds=hours * 3600)
    async with serve(provision, first_superuser=email, clock=clock, **LIMITS) as wrong:
        for attempted, host in guesses:
            assert_refused(await login(wrong, attempted, WRONG, host), INCORRECT_LOGIN)
        assert_held_up(await login(wrong, email, PASSWORD, here))
        # A clock that counts for itself keeps nobody from the other instance, which limits as ever.
        for attempted, host in guesses:
            assert_refused(await login(limited, attempted, WRONG, host), INCORRECT_LOGIN)
        assert_held_up(await login(limited, email, PASSWORD, here))
        for service in (wrong, limited):
            service.clock.pass_by(seconds=61)
            assert (await login(service, email, PASSWORD, here)).status_code == 200


@HOURS
@ONE_BACKEND
async def test_alternating_between_clocks_is_no_way_around_the_limit(
    provision: Provision, limited: Service, user: Account, hours: int
) -> None:
    """Each of two instances limits what it sees, however the attempts are spread."""
    clock = ManualClock()
    clock.pass_by(seconds=hours * 3600)
    async with serve(provision, first_superuser=user.user.email, clock=clock, **LIMITS) as wrong:
        statuses = [
            (await login(service, user.user.email, WRONG)).status_code
            for _ in range(10)
            for service in (limited, wrong)
        ]
    assert statuses.count(400) <= 2 * 3 + 1
    assert statuses[-8:] == [429] * 8


@HOURS
@ONE_BACKEND
async def test_recoveries_wait_for_no_clock_of_another_instance(
    provision: Provision, limited: Service, user: Account, hours: int
) -> None:
    """The same for mails, of which every request is counted."""
    email = user.user.email
    clock = ManualClock()
    clock.pass_by(seconds=hours * 3600)
    async with serve(provision, first_superuser=email, clock=clock, **LIMITS) as wrong:
        for recovered, allowed in (("nobody@example.com", 2), ("user{}@example.com", 3)):
            paths = [f"/password-recovery/{recovered.format(n)}" for n in range(allowed)]
            for path in paths:
                assert_ok(await wrong.anyone.post(path), MESSAGE_RECOVERY)
        for path in ("/password-recovery/user9@example.com", "/password-recovery/nobody@example.com"):
            assert_held_up(await wrong.anyone.post(path))
        for _ in range(2):
            assert_ok(await limited.anyone.post("/password-recovery/nobody@example.com"), MESSAGE_RECOVERY)
        assert_held_up(await limited.anyone.post("/password-recovery/nobody@example.com"))
        for service in (wrong, limited):
            service.clock.pass_by(seconds=61)
            answer = await service.anyone.post("/password-recovery/nobody@example.com")
            assert_ok(answer, MESSAGE_RECOVERY)


async def test_client_is_known_again_before_it_is_forgotten(limited: Service, user: Account) -> None:
    """After half of the time, and not before; and what a clock far ahead has noted counts for nothing."""
    email, client = user.user.email, "192.0.2.9"
    known = f"known:{_account_key(email)}:{_key(client)}"
    days = 24 * 3600

    async def remaining_after_login() -> float:
        assert (await login(limited, email, PASSWORD, client)).status_code == 200
        count = await limited.backend.counters.get(known)
        assert count is not None
        return count.remaining.total_seconds() / days

    assert await remaining_after_login() == pytest.approx(30, abs=0.01)
    limited.clock.pass_by(seconds=14 * days)
    assert await remaining_after_login() == pytest.approx(16, abs=0.01)
    limited.clock.pass_by(seconds=2 * days)
    assert await remaining_after_login() == pytest.approx(30, abs=0.01)

    limited.clock.pass_by(seconds=-1000 * days)
    for n in range(15):
        await login(limited, email, WRONG, f"198.51.100.{n}")
    assert_held_up(await login(limited, email, PASSWORD, client))
    limited.clock.pass_by(seconds=61)
    assert await remaining_after_login() == pytest.approx(30, abs=0.01)


async def test_current_password_can_not_be_guessed_either(limited: Service, user: Account) -> None:
    """Who found a session open does not learn the password by trying."""
    account = limited.sign_in(user.user)
    body = {"current_password": WRONG, "new_password": f"{SECRET}-new"}
    for _ in range(3):
        answer = await account.http.patch("/users/me/password", **as_json(body))
        assert_refused(answer, INCORRECT_PASSWORD)
    assert_held_up(await account.http.patch("/users/me/password", **as_json(body)))


async def test_recoveries_are_held_up(limited: Service, user: Account) -> None:
    """For one address and for all, whether or not anybody has it."""
    for email in (user.user.email, "nobody@example.com"):
        client = client_at(limited, "192.0.2.3")
        for _ in range(2):
            assert_ok(await client.post(f"/password-recovery/{email}"), MESSAGE_RECOVERY)
        assert_held_up(await client.post(f"/password-recovery/{email}"))
    client = client_at(limited, "192.0.2.4")
    answers = [await client.post(f"/password-recovery/user{n}@example.com") for n in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    elsewhere = client_at(limited, "192.0.2.5")
    assert_ok(await elsewhere.post(f"/password-recovery/{user.user.email}"), MESSAGE_RECOVERY)


async def test_address_gets_so_many_recovery_emails_and_no_more(limited: Service, user: Account) -> None:
    """However many clients ask for it, in whatever spelling: every one of them gets the same answer."""
    throttle = limited.app.state.services.throttle
    spellings = (user.user.email, user.user.email.upper())
    for _ in range(2):
        allowed = [await throttle.allow_email(spellings[n % 2], f"198.51.100.{n}") for n in range(13)]
        assert allowed == [True] * 10 + [False] * 3
        assert await throttle.allow_email("somebody.else@example.com", "198.51.100.1")
        limited.clock.pass_by(seconds=61)


def test_client_is_an_address_or_a_network() -> None:
    """With IPv6 a client has a whole /64 to choose from, so that is what is counted."""
    assert client_key("192.0.2.1") == "192.0.2.1"
    assert client_key("::ffff:192.0.2.1") == "192.0.2.1"
    assert client_key("2001:db8:1:2:3:4:5:6") == client_key("2001:db8:1:2::1") == "2001:db8:1:2::"
    assert client_key("2001:db8:1:3::1") != client_key("2001:db8:1:2::1")
    assert client_key(None) == "unknown"
    assert client_key("a socket") == "a socket"
