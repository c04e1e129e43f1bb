"""The mailer against a real SMTP server: `send` neither waits nor fails; retries, drain and encryption."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.emails import DeliveryTestEmail, NewAccountEmail, PasswordResetEmail
from api.mailer import Mailer
from config import Settings
from tests.api.service import serve
from tests.conftest import find_provision
from tests.provision import Servers, make_settings
from tests.unit.smtp_server import LOGIN, PATIENCE_SECONDS, MailLog, SmtpServer, mail_log

ADDRESS = "ada@example.com"
TOKEN = "s3cr-t_token"
RESET = PasswordResetEmail(to=ADDRESS, token=TOKEN)
NEVER = (3600.0,)
AT_ONCE = (0.0, 0.0)


@pytest.fixture
def smtp_server() -> SmtpServer:
    """Return a server that does not listen yet."""
    return SmtpServer()


@pytest.fixture
async def listening(smtp_server: SmtpServer) -> AsyncIterator[SmtpServer]:
    """Return a server that takes everything."""
    async with smtp_server.serve():
        yield smtp_server


@pytest.fixture
def log() -> Iterator[MailLog]:
    """Return the mail module's log."""
    with mail_log() as log:
        yield log


def settings(smtp_server: SmtpServer, **values: Any) -> Settings:
    """Return settings for this server, by default without encryption."""
    return make_settings(
        **{"smtp_host": "127.0.0.1", "smtp_port": smtp_server.port, "smtp_tls": False, **values}
    )


def mailer(smtp_server: SmtpServer, **values: Any) -> Mailer:
    """Return a mailer for this server that tries three times without waiting."""
    return Mailer(settings(smtp_server, **values), retry_delays_seconds=AT_ONCE)


# -- what arrives --------------------------------------------------------------------------------


async def test_send_delivers_both_forms(listening: SmtpServer, log: MailLog) -> None:
    """Text and HTML with the link, from the sender of the settings, to the one recipient."""
    async with mailer(listening, emails_from_email="post@example.com") as mail:
        mail.send(RESET)
        delivery = await listening.next()
    link = f"http://localhost:5173/reset-password?token={TOKEN}"
    assert link in delivery.part("plain")
    assert f'href="{link}"' in delivery.part("html")
    assert delivery.message["From"] == "EitherDB <post@example.com>"
    assert (delivery.sender, delivery.recipients) == ("post@example.com", [ADDRESS])
    assert await log.next() == ("INFO", "mail password_reset sent")


async def test_send_delivers_in_order(listening: SmtpServer) -> None:
    """One after the other, as they were given."""
    addresses = [f"user{i}@example.com" for i in range(5)]
    async with mailer(listening) as mail:
        for address in addresses:
            mail.send(DeliveryTestEmail(to=address))
        assert [(await listening.next()).recipients for _ in addresses] == [[to] for to in addresses]


@pytest.mark.parametrize(
    ("address", "recipient"),
    [("zoë@example.com", "zoë@example.com"), ("ada@müller.example", "ada@xn--mller-kva.example")],
)
async def test_send_delivers_to_unicode_addresses(
    listening: SmtpServer, address: str, recipient: str
) -> None:
    """With SMTPUTF8 where the local part needs it."""
    async with mailer(listening, project_name="Größe") as mail:
        mail.send(DeliveryTestEmail(to=address))
        delivery = await listening.next()
    assert delivery.recipients == [recipient]
    assert delivery.message["To"] == recipient
    assert delivery.message["Subject"] == "Test mail from Größe"


async def test_send_with_a_forged_address_delivers_nothing_of_it(
    listening: SmtpServer, log: MailLog
) -> None:
    """It is logged, and the next email goes out."""
    async with mailer(listening) as mail:
        mail.send(PasswordResetEmail(to=f"{ADDRESS}\r\nBcc: eve@example.com", token=TOKEN))
        assert await log.next() == ("ERROR", "mail password_reset not sent")
        mail.send(DeliveryTestEmail(to=ADDRESS))
        assert (await listening.next()).recipients == [ADDRESS]
    assert listening.tried.empty()
    assert TOKEN not in log.text
    assert "eve@" not in log.text


# -- a server that is slow, refuses, or is not there ---------------------------------------------


async def test_send_does_not_wait_for_a_slow_server(listening: SmtpServer, log: MailLog) -> None:
    """While one email has no answer, others are taken without giving way to any other task."""
    listening.open.clear()
    async with mailer(listening) as mail:
        mail.send(RESET)
        first = await listening.next()
        mail.send(NewAccountEmail(to="grace@example.com"))
        mail.send(DeliveryTestEmail(to="alan@example.com"))
        assert log.records == []
        listening.open.set()
        others = [await listening.next() for _ in range(2)]
    assert [delivery.recipients[0] for delivery in (first, *others)] == [
        ADDRESS,
        "grace@example.com",
        "alan@example.com",
    ]


@pytest.mark.parametrize("answer", ["451 4.3.0 Try later", "421 4.3.2 Going down", None])
async def test_passing_failure_is_tried_again(
    listening: SmtpServer, log: MailLog, answer: str | None
) -> None:
    """A 4yz answer and a lost connection; it is the same message, by its Message-ID."""
    listening.answers.extend([answer, answer])
    async with mailer(listening) as mail:
        mail.send(RESET)
        tried = [await listening.next() for _ in range(3)]
    assert len({delivery.message["Message-ID"] for delivery in tried}) == 1
    assert [record.levelname for record in log.records] == ["WARNING", "WARNING", "INFO"]
    assert listening.tried.empty()


async def test_passing_refusal_of_the_recipient_is_tried_again(listening: SmtpServer, log: MailLog) -> None:
    """Greylisting answers RCPT with 450."""
    listening.rcpt_answers.append(f"450 4.2.0 <{ADDRESS}>: greylisted")
    async with mailer(listening) as mail:
        mail.send(RESET)
        assert (await listening.next()).recipients == [ADDRESS]
    assert "SMTPRecipientRefused: 450 4.2.0" in log.text
    assert ADDRESS not in log.text


async def test_passing_failure_ends_with_the_last_try(listening: SmtpServer, log: MailLog) -> None:
    """Two delays are three tries."""
    listening.answers.extend(["451 4.3.0 Try later"] * 5)
    async with mailer(listening) as mail:
        mail.send(RESET)
        levels = [(await log.next())[0] for _ in range(3)]
    assert levels == ["WARNING", "WARNING", "ERROR"]
    assert listening.tried.qsize() == 3


async def test_lasting_refusal_is_not_tried_again(listening: SmtpServer, log: MailLog) -> None:
    """A 5yz answer is for good; the log has its codes, not its words, which may quote the link."""
    listening.answers.append(f"554 5.7.1 Blocked: /reset-password?token={TOKEN} for {ADDRESS}")
    async with mailer(listening) as mail:
        mail.send(RESET)
        expected = "mail password_reset not sent, tries: 1: SMTPDataError: 554 5.7.1"
        assert await log.next() == ("ERROR", expected)
        mail.send(DeliveryTestEmail(to=ADDRESS))
    assert listening.tried.qsize() == 2
    assert TOKEN not in log.text
    assert ADDRESS not in log.text


async def test_lasting_refusal_of_the_recipient_is_not_tried_again(
    listening: SmtpServer, log: MailLog
) -> None:
    """An unknown mailbox is a 550 to RCPT."""
    listening.rcpt_answers.append(f"550 5.1.1 <{ADDRESS}>: unknown")
    async with mailer(listening) as mail:
        mail.send(RESET)
        expected = "mail password_reset not sent, tries: 1: SMTPRecipientRefused: 550 5.1.1"
        assert await log.next() == ("ERROR", expected)
    assert listening.tried.empty()


async def test_letter_that_waits_for_its_next_try_lets_others_by(listening: SmtpServer) -> None:
    """One greylisted recipient does not hold up everyone."""
    listening.answers.append("451 4.3.0 Try later")
    async with Mailer(settings(listening), retry_delays_seconds=NEVER) as mail:
        mail.send(RESET)
        mail.send(DeliveryTestEmail(to="alan@example.com"))
        tried = [(await listening.next()).recipients[0] for _ in range(2)]
        mail.send(DeliveryTestEmail(to="grace@example.com"))
        assert (await listening.next()).recipients == ["grace@example.com"]
    assert tried == [ADDRESS, "alan@example.com"]


async def test_server_that_comes_up_later_gets_the_letter(smtp_server: SmtpServer, log: MailLog) -> None:
    """Refused connections are tried again."""
    async with smtp_server.serve():
        pass  # now its port is known, and nobody listens there
    async with Mailer(settings(smtp_server), retry_delays_seconds=[0.01] * 1000) as mail:
        mail.send(RESET)
        level, message = await log.next()
        assert level == "WARNING"
        assert "SMTPConnectError" in message
        async with smtp_server.serve():
            assert (await smtp_server.next()).recipients == [ADDRESS]


async def test_server_that_hangs_is_given_up_and_tried_again(listening: SmtpServer, log: MailLog) -> None:
    """SMTP_TIMEOUT_SECONDS bounds the wait; the receiver knows a second copy by its Message-ID."""
    listening.open.clear()
    async with mailer(listening, smtp_timeout_seconds=0.2) as mail:
        mail.send(RESET)
        level, message = await log.next()
        listening.open.set()
        tried = [await listening.next() for _ in range(2)]
    assert level == "WARNING"
    assert "Timeout" in message
    assert len({delivery.message["Message-ID"] for delivery in tried}) == 1


async def test_server_that_is_slow_at_every_command_is_given_up(log: MailLog) -> None:
    """Each answer comes in time, and all of them together don't."""
    commands: list[bytes] = []

    async def dawdle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.4)
            writer.write(b"220 Good day\r\n" if not commands else b"250 Fine\r\n")
            command = await reader.readline()
            if not command:
                return writer.close()
            commands.append(command.split()[0])

    server = await asyncio.start_server(dawdle, "127.0.0.1")
    async with server:
        smtp_server = SmtpServer(port=server.sockets[0].getsockname()[1])
        async with Mailer(settings(smtp_server, smtp_timeout_seconds=0.5), retry_delays_seconds=()) as mail:
            mail.send(RESET)
            level, message = await log.next()
    assert (level, message) == ("ERROR", "mail password_reset not sent, tries: 1: TimeoutError: ")
    assert commands == [b"EHLO", b"MAIL", b"RCPT"]


async def test_letter_whose_link_expired_while_it_waited_is_dropped(
    listening: SmtpServer, log: MailLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others that waited as long are sent."""
    listening.open.clear()
    async with mailer(listening, password_reset_expire_minutes=4, smtp_timeout_seconds=300) as mail:
        mail.send(DeliveryTestEmail(to="first@example.com"))
        await listening.next()
        mail.send(RESET)
        mail.send(DeliveryTestEmail(to="last@example.com"))
        await asyncio.sleep(0)  # lets them begin to wait
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 4 * 60)
        listening.open.set()
        records = [await log.next() for _ in range(3)]
    assert records[1] == ("ERROR", "mail password_reset not sent: its link has expired")
    assert (await listening.next()).recipients == ["last@example.com"]


# -- the queue and the end -----------------------------------------------------------------------


async def test_full_queue_drops_the_letter(listening: SmtpServer, log: MailLog) -> None:
    """MAIL_QUEUE_SIZE emails are kept, the next is dropped and logged without what is in it."""
    listening.open.clear()
    async with mailer(listening, mail_queue_size=2) as mail:
        for address in ("one@example.com", "two@example.com"):
            mail.send(DeliveryTestEmail(to=address))
        mail.send(RESET)
        level, message = await log.next()
        assert (level, message.partition(":")[0]) == ("ERROR", "mail password_reset dropped")
        listening.open.set()
        tried = [(await listening.next()).recipients[0] for _ in range(2)]
        assert [(await log.next())[0] for _ in tried] == ["INFO", "INFO"]
        mail.send(DeliveryTestEmail(to="three@example.com"))
        assert (await listening.next()).recipients == ["three@example.com"]
    assert tried == ["one@example.com", "two@example.com"]
    assert listening.tried.empty()
    assert TOKEN not in log.text
    assert ADDRESS not in log.text


async def test_end_delivers_what_is_left(listening: SmtpServer) -> None:
    """Emails that nobody waited for are sent before the block ends."""
    async with mailer(listening) as mail:
        for _ in range(3):
            mail.send(RESET)
    assert listening.tried.qsize() == 3


async def test_end_tries_at_once_what_waits_for_another_try(listening: SmtpServer, log: MailLog) -> None:
    """It does not wait for the delay, and does not try a third time."""
    listening.answers.extend(["451 4.3.0 Try later"] * 3)
    async with Mailer(settings(listening), retry_delays_seconds=NEVER * 3) as mail:
        mail.send(RESET)
        assert (await log.next())[0] == "WARNING"
    assert (await log.next())[0] == "ERROR"
    assert listening.tried.qsize() == 2


async def test_end_is_bounded_and_says_what_is_left(listening: SmtpServer, log: MailLog) -> None:
    """A server that hangs holds up neither the end nor, with a QUIT, what comes after it."""
    listening.open.clear()
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with Mailer(settings(listening, smtp_timeout_seconds=300), drain_seconds=0.01) as mail:
            mail.send(RESET)
            mail.send(RESET)
            mail.send(DeliveryTestEmail(to=ADDRESS))
            await listening.next()
    assert await log.next() == ("ERROR", "mail not sent before the end: 1 delivery_test, 2 password_reset")
    assert TOKEN not in log.text


async def test_send_after_the_end_drops_the_letter(listening: SmtpServer, log: MailLog) -> None:
    """A straggler is logged like one too many, and raises nothing."""
    async with mailer(listening) as mail:
        pass
    mail.send(RESET)
    level, message = await log.next()
    assert (level, message.partition(":")[0]) == ("ERROR", "mail password_reset dropped")


async def test_application_sends_until_it_ends(servers: Servers, listening: SmtpServer) -> None:
    """The lifespan opens the mailer, routes find it, and the end delivers what is left."""
    provision = find_provision("sqlite", servers)
    await provision.start()
    try:
        smtp: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": listening.port, "smtp_tls": False}
        async with serve(provision, **smtp) as service:
            service.app.state.services.mail.send(RESET)
        assert listening.tried.qsize() == 1
    finally:
        await provision.stop()


# -- encryption and login ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its certificate for 127.0.0.1, signed by nobody else."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    extensions = ["subjectAltName=IP:127.0.0.1", "keyUsage=critical,digitalSignature,keyCertSign"]
    added = [argument for extension in extensions for argument in ("-addext", extension)]
    key, crt = file.with_suffix(".key"), file.with_suffix(".crt")
    subprocess.run(  # noqa: S603 - this test's own words
        ["openssl", *options.split(), *added, "-keyout", key, "-out", crt],  # noqa: S607 - wherever it is
        check=True,
        capture_output=True,
        timeout=60,
    )
    file.write_bytes(key.read_bytes() + crt.read_bytes())
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """Return the server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate, as an operator with an authority of his own does: by OpenSSL's variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
async def test_starttls_encrypts_before_the_login(smtp_server: SmtpServer, tls: ssl.SSLContext) -> None:
    """The default: the server sees user and password over TLS only."""
    async with smtp_server.serve(tls_context=tls, require_starttls=True, login=LOGIN):
        user, password = LOGIN.login.decode(), LOGIN.password.decode()
        async with mailer(smtp_server, smtp_tls=True, smtp_user=user, smtp_password=password) as mail:
            mail.send(RESET)
            delivery = await smtp_server.next()
    assert (delivery.encrypted, delivery.login) == (True, LOGIN)


@pytest.mark.usefixtures("trusted")
async def test_implicit_tls_encrypts_from_the_start(smtp_server: SmtpServer, tls: ssl.SSLContext) -> None:
    """SMTP_SSL needs no STARTTLS, and the default of SMTP_TLS is not in its way."""
    async with smtp_server.serve(implicit_tls=tls):
        given = make_settings(smtp_host="127.0.0.1", smtp_port=smtp_server.port, smtp_ssl=True)
        async with Mailer(given, retry_delays_seconds=()) as mail:
            mail.send(RESET)
            assert (await smtp_server.next()).encrypted


async def test_certificate_that_nobody_signed_is_refused(
    smtp_server: SmtpServer, tls: ssl.SSLContext, log: MailLog
) -> None:
    """Certificates are verified: neither the email nor the password goes to who can't prove his name."""
    async with smtp_server.serve(tls_context=tls, login=LOGIN):
        given = settings(smtp_server, smtp_tls=True, smtp_user="eitherdb", smtp_password="hunter2")
        async with Mailer(given, retry_delays_seconds=()) as mail:
            mail.send(RESET)
            level, message = await log.next()
    assert level == "ERROR"
    assert "CERTIFICATE_VERIFY_FAILED" in message
    assert smtp_server.tried.empty()
    assert "hunter2" not in log.text


async def test_server_without_starttls_gets_no_letter(listening: SmtpServer, log: MailLog) -> None:
    """With SMTP_TLS nothing falls back to plain text, and trying again would not help."""
    async with mailer(listening, smtp_tls=True) as mail:
        mail.send(RESET)
        level, message = await log.next()
    assert level == "ERROR"
    assert "tries: 1" in message
    assert "STARTTLS" in message
    assert listening.tried.empty()


@pytest.mark.usefixtures("trusted")
async def test_wrong_password_is_not_tried_again(
    smtp_server: SmtpServer, tls: ssl.SSLContext, log: MailLog
) -> None:
    """A 535 is for good; the log does not have the password."""
    async with smtp_server.serve(tls_context=tls, login=LOGIN):
        given = settings(smtp_server, smtp_tls=True, smtp_user="eitherdb", smtp_password="hunter3")
        async with Mailer(given, retry_delays_seconds=AT_ONCE) as mail:
            mail.send(RESET)
            level, message = await log.next()
    assert level == "ERROR"
    assert "tries: 1: SMTPAuthenticationError: 535" in message
    assert "hunter3" not in log.text


# -- without a server ----------------------------------------------------------------------------


async def test_local_without_a_server_logs_the_text(log: MailLog) -> None:
    """A developer follows the link from the log; nothing warns him."""
    async with Mailer(make_settings()) as mail:
        mail.send(RESET)
        level, message = await log.next()
    assert level == "INFO"
    assert ADDRESS in message
    assert f"http://localhost:5173/reset-password?token={TOKEN}" in message
    assert "<html" not in message
    assert len(log.records) == 1


async def test_elsewhere_without_a_server_warns_and_tells_nothing(log: MailLog) -> None:
    """Once at the start, then a line an email, without link and address."""
    async with Mailer(make_settings(environment="staging", first_superuser=None)) as mail:
        assert await log.next() == ("WARNING", "SMTP_HOST is not set: no mail will be sent")
        mail.send(RESET)
        mail.send(DeliveryTestEmail(to=ADDRESS))
        for kind in ("password_reset", "delivery_test"):
            assert await log.next() == ("WARNING", f"mail {kind} not sent: SMTP_HOST is not set")
    assert len(log.records) == 3
    assert TOKEN not in log.text
    assert ADDRESS not in log.text


def test_served_log_shows_mail(tmp_path: Path) -> None:
    """What `make run` serves with writes the API's INFO lines to the terminal."""
    code = (
        "import logging.config; from cli.serve import _log_config; "
        "logging.config.dictConfig(_log_config()); logging.getLogger('api.mailer').info('follow the link')"
    )
    result = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "INFO:     follow the link" in result.stderr
