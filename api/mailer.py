"""Sends emails by SMTP in the background: an in-memory queue, retries with backoff, a drain at the end."""

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

# Eleven minutes in total: longer than a restart and most greylisting, shorter than a reset link's life.
RETRY_DELAYS_SECONDS = (2.0, 8.0, 32.0, 128.0, 512.0)
# The limit for one email, in SMTP_TIMEOUT_SECONDS: a server may be nearly that slow at each of a dozen
# commands.
DIALOGUE_TIMEOUTS = 3
# Less than the ten seconds after which Docker kills the container.
DRAIN_SECONDS = 5.0


class Mailer:
    """Queues emails and delivers them one at a time. An email that waits for a retry does not block others.

    Without SMTP_HOST no email is sent. In `local` the log gets the text, so that a developer can follow its
    link. In other environments the log names the kind of the email, without tokens and addresses.

    It is an async context manager. At the end of the block each queued email gets one more try, within
    `drain_seconds` in total.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Prepare the queue; no connection is opened.

        Args:
            settings: Validated settings.
            retry_delays_seconds: The delay after each failed try. Jitter shortens it by up to a half.
            drain_seconds: The limit for the drain at shutdown.
        """
        self._settings = settings
        self._retry_delays_seconds = retry_delays_seconds
        self._drain_seconds = drain_seconds
        self._deliveries: dict[asyncio.Task[None], str] = {}
        self._sending = asyncio.Lock()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Warn if no SMTP server is configured."""
        if self._settings.smtp_host is None and not self._settings.is_local:
            logger.warning("SMTP_HOST is not set: no mail will be sent")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain the queue; see the class."""
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
        """Queue the email and return at once. It never raises.

        Call it in the event loop. If MAIL_QUEUE_SIZE emails are queued, the email is dropped and logged.
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
                await self._send_with_retries(email)
            elif self._settings.is_local:
                rendered = await asyncio.to_thread(render, email, self._settings)
                logger.info("mail to %s: %s\n\n%s", email.to, rendered.subject, rendered.text)
            else:
                logger.warning("mail %s not sent: SMTP_HOST is not set", email.kind)
        except Exception:
            logger.exception("mail %s not sent", email.kind)

    async def _send_with_retries(self, email: Email) -> None:
        """Try until the email is delivered, permanently refused, or out of retries."""
        loop = asyncio.get_running_loop()
        lasts = 60 * self._settings.password_reset_expire_minutes if email.expires else inf
        expires_at = loop.time() + lasts
        async with self._sending:
            # In a thread: rendering would block the event loop. Once for all tries: if the reply to an
            # accepted message is lost, the recipient can tell the second copy by its Message-ID.
            message = await asyncio.to_thread(make_message, email, self._settings)
        for tries, delay in enumerate((*self._retry_delays_seconds, None), start=1):
            try:
                async with self._sending:
                    if loop.time() >= expires_at:
                        logger.error("mail %s not sent: its link has expired", email.kind)
                        return
                    async with asyncio.timeout(DIALOGUE_TIMEOUTS * self._settings.smtp_timeout_seconds):
                        await self._transmit(message)
            except (SMTPException, OSError) as exc:
                if delay is None or self._closing.is_set() or not _is_transient(exc):
                    logger.error("mail %s not sent, tries: %d: %s", email.kind, tries, _reason(exc))  # noqa: TRY400 - see _reason
                    return
                logger.warning("mail %s not sent yet, tries: %d: %s", email.kind, tries, _reason(exc))
                await self._pause(delay)
            else:
                logger.info("mail %s sent", email.kind)
                return

    async def _pause(self, seconds: float) -> None:
        """Sleep with jitter, so that instances don't retry in step; return early at shutdown."""
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
            # Not `async with client`: it sends QUIT to a hanging server too and waits for the reply.
            client.close()


def _refusal(error: Exception) -> SMTPResponseException | None:
    """Return the server's reply if the error is one. Each email has one recipient."""
    if isinstance(error, SMTPRecipientsRefused):
        return error.recipients[0]
    return error if isinstance(error, SMTPResponseException) else None


def _is_transient(error: Exception) -> bool:
    """Tell whether a retry makes sense (RFC 5321 section 4.2.1: a 5yz reply is permanent)."""
    refusal = _refusal(error)
    if refusal is not None:
        return not 500 <= refusal.code < 600
    # Refused, lost or timed out. Any other error means that the server lacks an SMTP feature.
    return isinstance(error, OSError)


def _reason(error: Exception) -> str:
    """Describe the error. Of a reply only the codes: its text may quote the address or the link."""
    refusal = _refusal(error)
    if refusal is None:
        return f"{type(error).__name__}: {error}"
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", refusal.message)  # RFC 3463
    return f"{type(refusal).__name__}: {refusal.code} {enhanced[0] if enhanced else ''}".rstrip()
