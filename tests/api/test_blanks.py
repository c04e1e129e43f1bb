"""Blanks that come along unseen: around addresses, around headers, and what a `+` in a query becomes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.responses import (
    EMAIL_TAKEN_AT_SIGNUP,
    MESSAGE_RECOVERY,
    MESSAGE_TEST_MAIL,
    assert_invalid,
    assert_refused,
)
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json
from tests.conftest import ONE_BACKEND

# The contract suite proves the normalisation of addresses on every backend; headers never reach one.
pytestmark = ONE_BACKEND

ADDRESS = "ada@example.com"
SPELLINGS = [" ada@example.com", "ada@example.com ", "\tAda@example.com\r\n", "\xa0ada@example.com\u200b"]


# -- email addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_address_is_taken_without_the_blanks_around_it(service: Service, spelling: str) -> None:
    """Everywhere that takes one: it is stored, found, mailed to and refused as without them."""
    superuser = await service.superuser()
    new = {"email": spelling, "password": PASSWORD, "full_name": "Ada"}
    signed_up = await service.anyone.post("/users/signup", **as_json(new))
    assert (signed_up.status_code, signed_up.json()["email"]) == (200, ADDRESS)
    assert_refused(await service.anyone.post("/users/signup", **as_json(new)), EMAIL_TAKEN_AT_SIGNUP)
    token = (await service.login(spelling, PASSWORD)).json()["access_token"]
    ada = service.client(token)

    path = f"/users/{signed_up.json()['id']}"
    for answer in (
        await ada.patch("/users/me", json={"email": spelling}),
        await superuser.http.patch(path, json={"email": spelling}),
    ):
        assert (answer.status_code, answer.json()["email"]) == (200, ADDRESS)
    recovery = await service.anyone.post(f"/password-recovery/{quote(spelling)}")
    assert (recovery.status_code, recovery.json()) == (200, MESSAGE_RECOVERY)
    mail = await superuser.http.post(f"/password-recovery-html-content/{quote(spelling)}")
    assert mail.status_code == 200
    sent = await superuser.http.post("/utils/test-email/", params={"email_to": spelling})
    assert (sent.status_code, sent.json()) == (201, MESSAGE_TEST_MAIL)

    await superuser.http.delete(path)
    for caller, operation in ((superuser.http, "/users/"), (service.anyone, "/private/users/")):
        body = {**new, "email": spelling.replace("da@", f"da{len(operation)}@")}
        made = await caller.post(operation, **as_json(body))
        assert (made.status_code, made.json()["email"]) == (200, f"ada{len(operation)}@example.com")


async def test_spellings_share_a_throttle(service: Service) -> None:
    """Blanks around an address give nobody more tries."""
    statuses = [
        (await service.login(SPELLINGS[number % len(SPELLINGS)], f"{SECRET}-wrong")).status_code
        for number in range(11)
    ]
    assert statuses == [400] * 10 + [429]


# -- headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("", " "), ("", "\t \t"), ("  ", "")])
async def test_blanks_around_a_header_do_not_count(user: Account, before: str, after: str) -> None:
    """Servers differ in what they leave of them (RFC 9110, section 5.5)."""

    async def send(method: str, path: str, body: Any, **headers: str) -> Any:
        lines = {"Content-Type": "application/json", "Authorization": f"Bearer {user.token}", **headers}
        padded = {name.replace("_", "-"): before + value + after for name, value in lines.items()}
        return await user.http.request(method, path, content=json.dumps(body), headers=padded)

    opened = [
        await send("POST", "/accounts/", {"name": "New", "currency": "EUR"}, Idempotency_Key=key)
        for key in ("k", "k")
    ]
    assert {answer.status_code for answer in opened} == {200}
    assert opened[0].content == opened[1].content

    item = await send("POST", "/items/", {"title": "Lamp"})
    path = f"/items/{item.json()['id']}"
    tag = item.headers["ETag"]
    assert (await send("GET", path, None, If_None_Match=tag)).status_code == 304
    assert (await send("PATCH", path, {"title": "New"}, If_Match=tag)).status_code == 200
    assert (await send("PATCH", path, {"title": "New"}, If_Match=tag)).status_code == 412
    assert (await send("PATCH", path, {"title": "New"}, If_Match="*")).status_code == 200
    answer = await send("GET", path, None, Origin="http://localhost:5173")
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"


# -- a plus sign in a query ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00:00:00+02:00",
        "2026-01-01T00:00:00.123+02:00",
        "2026-01-01T00:00+02:00",
        "2026-01-01T00:00:00+0200",
        "2026-01-01+00:00:00+02:00",
    ],
)
async def test_zone_that_lost_its_plus_is_a_422_with_a_hint(user: Account, time: str) -> None:
    """A query's `+` is a blank; the message says what to write."""
    for bound in ("created_after", "created_before"):
        answer = await user.http.get(f"/items/?{bound}={time}")
        assert_invalid(answer, ("query", bound))
        assert "%2B" in answer.json()["detail"][0]["msg"]
        written = time.replace("+0", "%2B0") if time.count("+") == 1 else time.replace("+02", "%2B02")
        assert (await user.http.get(f"/items/?{bound}={written}")).status_code == 200


async def test_time_without_a_zone_gets_no_hint(user: Account) -> None:
    """There was no `+` in it."""
    for time in ("2026-01-01 00:00:00", "2026-01-01", "2026-01-01T00:00:00 Z"):
        answer = await user.http.get("/items/", params={"created_after": time})
        assert_invalid(answer, ("query", "created_after"))
        assert "%2B" not in answer.json()["detail"][0]["msg"]


async def test_address_that_lost_its_plus_is_a_422_with_a_hint(superuser: Account) -> None:
    """In a query; in a body and in a path a `+` is one."""
    answer = await superuser.http.post("/utils/test-email/?email_to=ada+tag@example.com")
    assert_invalid(answer, ("query", "email_to"))
    assert "%2B" in answer.json()["detail"][0]["msg"]
    for valid in ("ada%2Btag@example.com", "+ada@example.com+"):
        answer = await superuser.http.post(f"/utils/test-email/?email_to={valid}")
        assert answer.status_code == 201
    answer = await superuser.http.post("/utils/test-email/?email_to=ada@exam+ple.com")
    assert "%2B" not in answer.json()["detail"][0]["msg"]
