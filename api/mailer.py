"""Sends emails by SMTP, behind the back of whoever answers a request."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage
from math import inf
from typing import Self

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from api.emails import Email, mailbox, make_message, render
from config import Settings

logger = logging.getLogger(__name__)

# Eleven minutes in all: outlasts a restart and most greylisting, and ends well before a reset link does.
RETRY_DELAYS_SECONDS = (2.0, 8.0, 32.0, 128.0, 512.0)
# For one mail, in SMTP_TIMEOUT_SECONDS: who is nearly that slow at each of a dozen commands is given up.
DIALOGUE_TIMEOUTS = 3
# Less than the ten seconds after which Docker kills.
DRAIN_SECONDS = 5.0


class Mailer:
    """Takes emails at once and delivers them one at a time, past those that wait for another try.

    Without SMTP_HOST nothing is sent: in `local` the emails go to the log, so that a developer can follow
    their links; elsewhere the log has neither tokens nor addresses, and says what was not sent.

    As an async context manager it delivers until the end of the block, and then what is left, each email
    with one more try, as far as `drain_seconds` go.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: Checked settings.
            retry_delays_seconds: How long to wait after each failed try, up to half of it less by chance.
            drain_seconds: How long the end may take.
        """
        self._settings = settings
        self._retry_delays_seconds = retry_delays_seconds
        self._drain_seconds = drain_seconds
        self._deliveries: dict[asyncio.Task[None], str] = {}
        self._turn = asyncio.Lock()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Warn of what the settings leave out."""
        if self._settings.smtp_host is None and not self._settings.is_local:
            logger.warning("SMTP_HOST is not set: no mail will be sent")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Deliver what is left; see the class."""
        self._closing.set()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=self._drain_seconds)
        left = dict(self._deliveries)
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(left.values()).items()))
        logger.error("mail not sent before the end: %s", kinds)

    def send(self, email: Email) -> None:
        """Take the email and return; never raises, and takes as long whatever becomes of the email.

        Call it in the event loop. With MAIL_QUEUE_SIZE emails waiting the email is dropped.
        """
        waiting = len(self._deliveries)
        if self._closing.is_set() or waiting >= self._settings.mail_queue_size:
            logger.error("mail %s dropped: %d wait already, or the service ends", email.kind, waiting)
            return
        task = asyncio.create_task(self._deliver(email))
        self._deliveries[task] = email.kind
        task.add_done_callback(self._deliveries.pop)

    async def _deliver(self, email: Email) -> None:
        try:
            if self._settings.smtp_host is not None:
                await self._post(email)
            elif self._settings.is_local:
                rendered = await asyncio.to_thread(render, email, self._settings)
                logger.info("mail to %s: %s\n\n%s", email.to, rendered.subject, rendered.text)
            else:
                logger.warning("mail %s not sent: SMTP_HOST is not set", email.kind)
        except Exception:
            logger.exception("mail %s not sent", email.kind)

    async def _post(self, email: Email) -> None:
        """Try until it is delivered, refused for good, or was tried often enough."""
        loop = asyncio.get_running_loop()
        lasts = 60 * self._settings.password_reset_expire_minutes if email.expires else inf
        expires_at = loop.time() + lasts
        async with self._turn:
            # In a thread, so that not even the answer to the request that sends it waits for this. Once, so
            # that the receiver of a mail whose acceptance got lost knows the second by its Message-ID.
            message = await asyncio.to_thread(make_message, email, self._settings)
        for tries, delay in enumerate((*self._retry_delays_seconds, None), start=1):
            try:
                async with self._turn:
                    if loop.time() >= expires_at:
                        logger.error("mail %s not sent: its link has expired", email.kind)
                        return
                    async with asyncio.timeout(DIALOGUE_TIMEOUTS * self._settings.smtp_timeout_seconds):
                        await self._transmit(message)
            except (SMTPException, OSError) as exc:
                if delay is None or self._closing.is_set() or not _may_pass(exc):
                    logger.error("mail %s not sent, tries: %d: %s", email.kind, tries, _reason(exc))  # noqa: TRY400 - see _reason
                    return
                logger.warning("mail %s not sent yet, tries: %d: %s", email.kind, tries, _reason(exc))
                await self._pause(delay)
            else:
                logger.info("mail %s sent", email.kind)
                return

    async def _pause(self, seconds: float) -> None:
        """Wait, or until the end begins: by chance a little less, so that instances don't retry in step."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.5, 1)):  # noqa: S311 - no secret
                await self._closing.wait()

    async def _transmit(self, message: EmailMessage) -> None:
        settings = self._settings
        password = settings.smtp_password
        client = SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_ssl,
            start_tls=settings.uses_starttls,
            username=settings.smtp_user,
            password=password.get_secret_value() if password else None,
        )
        await client.connect()
        try:
            sender, recipient = mailbox(settings.sender_email), str(message["To"])
            await client.send_message(message, sender=sender, recipients=[recipient])
            with suppress(SMTPException, OSError):
                await client.quit()
        finally:
            # Not `async with client`, which says QUIT to a server that hangs too, and waits for the answer.
            client.close()


def _refusal(error: Exception) -> SMTPResponseException | None:
    """Return what the server answered, if it is that; there is one recipient a mail."""
    if isinstance(error, SMTPRecipientsRefused):
        return error.recipients[0]
    return error if isinstance(error, SMTPResponseException) else None


def _may_pass(error: Exception) -> bool:
    """Tell whether another try makes sense (RFC 5321 section 4.2.1: 5yz is for good)."""
    refusal = _refusal(error)
    if refusal is not None:
        return not 500 <= refusal.code < 600
    return isinstance(error, OSError)  # connection lost, not made, timed out; else a feature is missing


def _reason(error: Exception) -> str:
    """Say what happened, but in codes where the server's own words may quote the address or the link."""
    refusal = _refusal(error)
    if refusal is None:
        return f"{type(error).__name__}: {error}"
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", refusal.message)  # RFC 3463
    return f"{type(refusal).__name__}: {refusal.code} {enhanced[0] if enhanced else ''}".rstrip()
