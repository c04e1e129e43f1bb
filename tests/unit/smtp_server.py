"""A scripted SMTP server in the event loop of the tests, and a log handler to wait on."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN = LoginPassword(b"eitherdb", b"hunter2-\xc3\xa9")
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Delivery:
    """The message of one DATA command."""

    message: EmailMessage
    sender: str
    recipients: list[str]
    encrypted: bool
    login: LoginPassword | None

    def part(self, form: str) -> str:
        """Return the text of the part in this form: `plain` or `html`."""
        part = self.message.get_body((form,))
        assert part is not None
        return str(part.get_content())


@dataclass
class SmtpServer:
    """Replies to RCPT and DATA with the scripted replies in their order, then with 250.

    Attributes:
        open: While it is not set, DATA gets no reply.
        answers: The replies to DATA; None closes the connection.
        rcpt_answers: The replies to RCPT.
        tried: All messages in their order, whatever the reply.
    """

    open: asyncio.Event = field(default_factory=asyncio.Event)
    answers: deque[str | None] = field(default_factory=deque)
    rcpt_answers: deque[str] = field(default_factory=deque)
    tried: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    port: int = 0

    def __post_init__(self) -> None:
        """Open it."""
        self.open.set()

    async def next(self) -> Delivery:
        """Return the next message."""
        return await asyncio.wait_for(self.tried.get(), PATIENCE_SECONDS)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        answer = self.rcpt_answers.popleft() if self.rcpt_answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Accept or refuse a message."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.SMTPUTF8)
        assert isinstance(message, EmailMessage)
        assert envelope.mail_from is not None
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("sslcontext") is not None
        sender, recipients, login = envelope.mail_from, envelope.rcpt_tos, session.auth_data
        self.tried.put_nowait(Delivery(message, sender, recipients, encrypted, login))
        await self.open.wait()
        answer = self.answers.popleft() if self.answers else "250 OK"
        if answer is None:
            server.transport.close()
            return "421 Bye"
        return answer

    @asynccontextmanager
    async def serve(
        self,
        *,
        implicit_tls: ssl.SSLContext | None = None,
        login: LoginPassword | None = None,
        **options: Any,
    ) -> AsyncIterator[None]:
        """Listen on 127.0.0.1 for the duration of the block: on a free port, which later blocks reuse."""
        loop = asyncio.get_running_loop()

        def authenticate(*arguments: Any) -> AuthResult:
            return AuthResult(success=arguments[-1] == login, handled=False, auth_data=arguments[-1])

        if login is not None:
            options |= {"authenticator": authenticate, "auth_required": True}
        server = await loop.create_server(
            lambda: SMTP(self, hostname="post.example.com", loop=loop, enable_SMTPUTF8=True, **options),
            "127.0.0.1",
            self.port,
            ssl=implicit_tls,
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


class MailLog(logging.Handler):
    """Collects the log records of `api.mailer`."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._coming: asyncio.Queue[logging.LogRecord] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.records.append(record)
        self._coming.put_nowait(record)

    async def next(self) -> tuple[str, str]:
        """Return level and message of the next record."""
        record = await asyncio.wait_for(self._coming.get(), PATIENCE_SECONDS)
        return record.levelname, record.getMessage()

    @property
    def text(self) -> str:
        """The formatted records, with tracebacks."""
        return "\n".join(logging.Formatter().format(record) for record in self.records)


@contextmanager
def mail_log() -> Iterator[MailLog]:
    """Collect the records of `api.mailer` for the duration of the block."""
    logger, handler = logging.getLogger("api.mailer"), MailLog()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
