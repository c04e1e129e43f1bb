"""Mail that the API sends: a new password, a new account, a test; through a real SMTP server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape

import pytest

from api.security import make_reset_token, sign
from backends.ids import utc_now
from backends.models import UserChanges
from tests.api.responses import (
    INACTIVE_USER,
    INCORRECT_LOGIN,
    INVALID_RESET_TOKEN,
    INVALID_TOKEN,
    MAIL_RECIPIENT_NOT_FOUND,
    MESSAGE_PASSWORD_UPDATED,
    MESSAGE_RECOVERY,
    MESSAGE_TEST_MAIL,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_user,
)
from tests.api.service import PASSWORD, SECRET, Account, Service, as_json, serve
from tests.provision import Provision
from tests.unit.smtp_server import Delivery, SmtpServer

NEW_PASSWORD = f"{SECRET}-new"
LINK = re.compile(r'href="(http://localhost:5173/reset-password\?token=([^"]+))"')


@dataclass(frozen=True, slots=True)
class Mailing:
    """An application that mails, and where its mail arrives."""

    service: Service
    smtp_server: SmtpServer
    user: Account

    async def reset(self, token: str, password: str = NEW_PASSWORD) -> tuple[int, dict[str, object]]:
        """Set a new password with the token."""
        body = {"token": token, "new_password": password}
        answer = await self.service.anyone.post("/reset-password/", **as_json(body))
        return answer.status_code, answer.json()

    async def mailed_token(self) -> str:
        """Ask for a mail and take the token out of it."""
        answer = await self.service.anyone.post(f"/password-recovery/{self.user.user.email}")
        assert_ok(answer, MESSAGE_RECOVERY)
        return token_of(await self.smtp_server.next())


def token_of(delivery: Delivery) -> str:
    """Return the token in the link of a mail; the text part has the same link."""
    match = LINK.search(delivery.part("html"))
    assert match is not None
    assert unescape(match[1]) in delivery.part("plain")
    return match[2]


REFUSED: tuple[int, dict[str, object]] = (
    400,
    {"detail": INVALID_RESET_TOKEN.detail, "code": INVALID_RESET_TOKEN.code},
)
UPDATED: tuple[int, dict[str, object]] = (200, {**MESSAGE_PASSWORD_UPDATED})


@pytest.fixture
async def mailing(provision: Provision, service: Service) -> AsyncIterator[Mailing]:
    """Return an application with an SMTP server and a user."""
    user = await service.user("user@example.com")
    smtp_server = SmtpServer()
    async with (
        smtp_server.serve(),
        serve(
            provision,
            first_superuser=user.user.email,
            smtp_host="127.0.0.1",
            smtp_port=smtp_server.port,
            smtp_tls=False,
        ) as mailing,
    ):
        yield Mailing(mailing, smtp_server, mailing.sign_in(user.user))


async def test_mailed_link_sets_a_new_password_once(mailing: Mailing) -> None:
    """The old password is over, the new one holds, and the link is used up."""
    token = await mailing.mailed_token()
    assert await mailing.reset(token) == UPDATED
    assert_refused(await mailing.service.login("user@example.com", PASSWORD), INCORRECT_LOGIN)
    assert (await mailing.service.login("user@example.com", NEW_PASSWORD)).status_code == 200
    assert await mailing.reset(token, f"{SECRET}-third") == REFUSED
    assert (await mailing.service.login("user@example.com", NEW_PASSWORD)).status_code == 200


async def test_recovery_mails_whom_the_address_belongs_to(mailing: Mailing) -> None:
    """In any spelling, to the address as it is stored; the mail says what it is."""
    answer = await mailing.service.anyone.post("/password-recovery/USER@Example.COM")
    assert_ok(answer, MESSAGE_RECOVERY)
    delivery = await mailing.smtp_server.next()
    assert delivery.recipients == ["user@example.com"]
    assert "password" in delivery.message["Subject"].lower()


async def test_recovery_takes_an_address_with_a_slash(mailing: Mailing) -> None:
    """Which is a character like others in the part before the `@` (RFC 5322, section 3.2.3)."""
    user = await mailing.service.user("a/b@example.com")
    superuser = await mailing.service.superuser()
    for slash in ("/", "%2F"):
        answer = await mailing.service.anyone.post(f"/password-recovery/a{slash}b@example.com")
        assert_ok(answer, MESSAGE_RECOVERY)
        assert (await mailing.smtp_server.next()).recipients == [user.user.email]
        path = f"/password-recovery-html-content/a{slash}b@example.com"
        assert (await superuser.http.post(path)).status_code == 200


async def test_recovery_answers_alike_and_mails_nobody_unknown(mailing: Mailing) -> None:
    """The response is the same for every caller and every text, and no email is sent."""
    for text in ("nobody@example.com", "no address", "%00", "%F0%9F%98%80", "x" * 300, '{"$gt": ""}'):
        answer = await mailing.service.anyone.post(f"/password-recovery/{text}")
        assert_ok(answer, MESSAGE_RECOVERY)
    await mailing.mailed_token()  # the next mail is this one
    assert mailing.smtp_server.tried.empty()


async def test_recovery_does_not_wait_for_the_mail_server(mailing: Mailing) -> None:
    """A server that does not answer holds up nobody but the mail."""
    mailing.smtp_server.open.clear()
    for _ in range(2):
        answer = await mailing.service.anyone.post("/password-recovery/user@example.com")
        assert_ok(answer, MESSAGE_RECOVERY)
        assert mailing.smtp_server.tried.qsize() <= 1
    mailing.smtp_server.open.set()
    assert [(await mailing.smtp_server.next()).recipients for _ in range(2)] == [["user@example.com"]] * 2


async def test_concurrent_uses_of_one_token_let_one_win(mailing: Mailing) -> None:
    """Exactly one password is set, and it is the one that was answered with success."""
    token = await mailing.mailed_token()
    passwords = [f"{SECRET}-{n}" for n in range(6)]
    outcomes = await asyncio.gather(*(mailing.reset(token, password) for password in passwords))
    assert sorted(outcomes, key=lambda outcome: outcome[0]) == [UPDATED, *[REFUSED] * 5]
    winner = passwords[outcomes.index(UPDATED)]
    assert (await mailing.service.login("user@example.com", winner)).status_code == 200


async def test_reset_survives_other_changes_of_the_user(mailing: Mailing) -> None:
    """A new name, even at the same moment, does not use up the link."""
    token = await mailing.mailed_token()
    await mailing.service.backend.users.update(mailing.user.id, UserChanges(full_name="New"))
    rename = mailing.service.backend.users.update(mailing.user.id, UserChanges(full_name="Newer"))
    outcome, _ = await asyncio.gather(mailing.reset(token), rename)
    assert outcome == UPDATED


@pytest.mark.parametrize(
    "changes", [UserChanges(hashed_password="another"), UserChanges(email="moved@example.com")], ids=str
)
async def test_reset_token_ends_with_the_password_and_the_address(
    mailing: Mailing, changes: UserChanges
) -> None:
    """Any change of the password uses up every link; so does a new address."""
    token = await mailing.mailed_token()
    await mailing.service.backend.users.update(mailing.user.id, changes)
    assert await mailing.reset(token) == REFUSED


async def test_reset_token_is_no_bearer_token_and_the_reverse(mailing: Mailing) -> None:
    """Each is for its purpose only."""
    token = await mailing.mailed_token()
    assert_refused(await mailing.service.client(token).get("/users/me"), INVALID_TOKEN)
    assert await mailing.reset(mailing.user.token) == REFUSED
    assert await mailing.reset(token) == UPDATED


async def test_reset_token_expires(mailing: Mailing) -> None:
    """After `PASSWORD_RESET_EXPIRE_MINUTES`; a token for ever is none."""
    settings, user = mailing.service.settings, mailing.user.user
    assert settings.password_reset_expire_minutes == 60
    good = make_reset_token(user, settings)
    expired = make_reset_token(user, settings.model_copy(update={"password_reset_expire_minutes": -1}))
    claims = {"sub": user.id, "account": "x"}
    future = {"exp": utc_now() + timedelta(hours=1)}
    for token in (
        expired,
        sign(claims, "password-reset", settings),
        sign({**claims, **future}, "password-reset", settings),
        sign({**claims, **future, "account": 1}, "password-reset", settings),
        sign({**claims, **future, "sub": "x"}, "password-reset", settings),
        good[:-3] + "AAA",
        "",
        "x",
        "\x00",
        "é",
    ):
        assert await mailing.reset(token) == REFUSED, token
    assert await mailing.reset(good) == UPDATED


async def test_reset_of_a_user_who_is_inactive_or_gone_is_refused(mailing: Mailing) -> None:
    """An inactive user stays out; a deleted one is nobody."""
    users = mailing.service.backend.users
    token = make_reset_token(mailing.user.user, mailing.service.settings)
    await users.update(mailing.user.id, UserChanges(is_active=False))
    assert await mailing.reset(token) == (
        400,
        {"detail": INACTIVE_USER.detail, "code": INACTIVE_USER.code},
    )
    gone = replace(mailing.user.user, id="0" * 24)
    assert await mailing.reset(make_reset_token(gone, mailing.service.settings)) == REFUSED


async def test_reset_refuses_a_password_that_no_user_may_have(mailing: Mailing) -> None:
    """The same limits as everywhere; the link is not used up."""
    token = await mailing.mailed_token()
    for strange in ("\ud800", "x" * 5_000, 5, None):
        answer = await mailing.service.anyone.post(
            "/reset-password/", **as_json({"token": strange, "new_password": NEW_PASSWORD})
        )
        assert_invalid(answer, ("body", "token"))
    for password in ("short", "x" * 129, "nul\x00nul\x00", 12345678, None):
        body = {"token": token, "new_password": password}
        answer = await mailing.service.anyone.post("/reset-password/", **as_json(body))
        assert_invalid(answer, ("body", "new_password"))
    assert await mailing.reset(token) == UPDATED


async def test_reset_ends_every_session_and_a_new_login_begins_one(mailing: Mailing) -> None:
    """Who had the account before is out."""
    assert (await mailing.user.http.get("/users/me")).status_code == 200
    assert await mailing.reset(await mailing.mailed_token()) == UPDATED
    assert_refused(await mailing.user.http.get("/users/me"), INVALID_TOKEN)
    token = (await mailing.service.login("user@example.com", NEW_PASSWORD)).json()["access_token"]
    assert (await mailing.service.client(token).get("/users/me")).status_code == 200


async def test_superuser_reads_the_mail_as_a_page(mailing: Mailing) -> None:
    """The mail's HTML with a link that works, and its subject in a header; nothing is sent."""
    superuser = await mailing.service.superuser()
    answer = await superuser.http.post("/password-recovery-html-content/User@Example.com")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "password" in answer.headers["Subject"].lower()
    match = LINK.search(answer.text)
    assert match is not None
    assert mailing.smtp_server.tried.empty()
    assert await mailing.reset(match[2]) == UPDATED
    for nobody in ("nobody@example.com", "x"):
        answer = await superuser.http.post(f"/password-recovery-html-content/{nobody}")
        assert_refused(answer, MAIL_RECIPIENT_NOT_FOUND)


async def test_new_account_is_mailed_without_its_password(mailing: Mailing) -> None:
    """A superuser's new user is told; one who signs up is not."""
    superuser = await mailing.service.superuser()
    body = {"email": "new@example.com", "password": NEW_PASSWORD}
    answer = await superuser.http.post("/users/", **as_json(body))
    assert answer.status_code == 200
    delivery = await mailing.smtp_server.next()
    assert delivery.recipients == ["new@example.com"]
    assert "http://localhost:5173/login" in delivery.part("plain")
    assert NEW_PASSWORD not in delivery.message.as_string()
    await mailing.service.anyone.post("/users/signup", **as_json({**body, "email": "self@example.com"}))
    await superuser.http.post("/users/", **as_json(body))  # taken
    await mailing.mailed_token()  # the next mail is this one
    assert mailing.smtp_server.tried.empty()


async def test_test_mail_is_sent_to_the_address(mailing: Mailing) -> None:
    """201, as the one success that is not 200; an address that is none is a 422."""
    superuser = await mailing.service.superuser()
    answer = await superuser.http.post("/utils/test-email/", params={"email_to": "Any@Example.com"})
    assert (answer.status_code, answer.json()) == (201, MESSAGE_TEST_MAIL)
    assert (await mailing.smtp_server.next()).recipients == ["any@example.com"]
    for nothing in ({}, {"email_to": ""}, {"email_to": "x"}, {"email_to": "a@b.io\r\nBcc: c@d.io"}):
        answer = await superuser.http.post("/utils/test-email/", params=nothing)
        assert_invalid(answer, ("query", "email_to"))
    assert mailing.smtp_server.tried.empty()


async def test_application_without_a_mail_server_answers_the_same(service: Service, user: Account) -> None:
    """What is mailed to nobody is answered as ever."""
    answer = await service.anyone.post(f"/password-recovery/{user.user.email}")
    assert_ok(answer, MESSAGE_RECOVERY)
    assert_ok(await user.http.get("/users/me"), shown_user(user.user))
