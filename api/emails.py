"""The emails that EitherDB sends: a class for each kind, and their rendering as text and as HTML.

The texts are in `api/templates`, two files per kind. `render` fills in a template. `make_message` builds
the Internet message (RFC 5322), which `api.mailer` sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime, formataddr, make_msgid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import quote

from backends.ids import utc_now
from config import Settings

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _templates() -> Environment:
    # Imported by the first email: the start-up does not need it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # noqa: PLC0415

    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An email before it is rendered.

    Attributes:
        to: The recipient's stored address.
        kind: The name of the templates, and of the email in the log.
        subject: The subject line; `{project}` stands for PROJECT_NAME.
        expires: Whether its link expires after PASSWORD_RESET_EXPIRE_MINUTES.
    """

    to: str
    kind: ClassVar[str]
    subject: ClassVar[str]
    expires: ClassVar[bool] = False

    @property
    def path(self) -> str:
        """The path of its link on the front end."""
        return "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetEmail(Email):
    """Contains the link with which the recipient sets a new password."""

    kind = "password_reset"
    subject = "Reset your {project} password"
    expires = True
    token: str = field(repr=False)

    @property
    def path(self) -> str:
        """The path of the password reset page, with the token."""
        return f"/reset-password?token={quote(self.token, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccountEmail(Email):
    """Announces an account that a superuser created. It does not contain the password."""

    kind = "new_account"
    subject = "Your new {project} account"

    @property
    def path(self) -> str:
        """The path of the login page."""
        return "/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTestEmail(Email):
    """Shows that delivery works."""

    kind = "delivery_test"
    subject = "Test mail from {project}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered email; text and HTML have the same content."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


def render(email: Email, settings: Settings) -> Rendered:
    """Render the email.

    The subject is one line; it may contain Unicode from PROJECT_NAME. In the HTML the link is a whole
    attribute value: `href="LINK"`.
    """
    words = {
        "project": settings.project_name,
        "to": email.to,
        "link": settings.frontend_origin + email.path,
        "valid_for": _duration(settings.password_reset_expire_minutes),
    }
    text, html = (
        _templates().get_template(f"{email.kind}.{form}").render(words) for form in ("txt", "html")
    )
    return Rendered(email.subject.format(project=settings.project_name), text, html)


def make_message(email: Email, settings: Settings) -> EmailMessage:
    """Build the message with a text and an HTML part. `To` and `From` are valid for an SMTP envelope too.

    Raises:
        ValueError: `email.to` is not an email address.
    """
    rendered = render(email, settings)
    sender = mailbox(settings.sender_email)
    headers = {
        "From": _named(settings.sender_name, sender),
        "To": mailbox(email.to),
        "Subject": _encoded("Subject", rendered.subject),
        "Date": format_datetime(utc_now()),
        # The default domain is the name of this machine, which needs a look-up and is private.
        "Message-ID": make_msgid(domain=sender.rpartition("@")[2]),
        # RFC 3834: automatic responders don't reply to it.
        "Auto-Submitted": "auto-generated",
    }
    message = EmailMessage(SMTP)
    for name, value in headers.items():
        message[name] = _Header.of(name, value)
    # Every server accepts quoted-printable, and its lines are never too long (RFC 5321 section 4.5.3.1.6).
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def mailbox(address: str) -> str:
    """Return the address with its domain in ASCII, which every SMTP server accepts.

    A local part that is not ASCII still needs a server with SMTPUTF8 (RFC 6531).

    Raises:
        ValueError: It is not an email address.
    """
    from email_validator import validate_email  # noqa: PLC0415 - slow to import

    parts = validate_email(address, check_deliverability=False)
    return f"{parts.local_part}@{parts.ascii_domain}"


class _Header(str):
    """A header value in its final form.

    Python folds its own header objects again when it writes a message, which changes some Unicode names and
    subjects (seen with 3.11: white space between encoded words, commas outside of quotes).
    """

    __slots__ = ("name",)
    name: str

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        header = cls(text)
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        """Return the header line; `email.policy` calls it."""
        return f"{self.name}: {self}{policy.linesep}"


def _named(name: str, address: str) -> str:
    encoded = _encoded("From", name)
    return formataddr((name, address)) if encoded == name else f"{encoded} <{address}>"


def _encoded(header: str, text: str) -> str:
    """Return plain ASCII text unchanged, other text as encoded words (RFC 2047).

    A line end is encoded too, although the settings refuse it: unencoded, it would start another header.
    """
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")


def _duration(minutes: int) -> str:
    """Format 90 as `90 minutes`, 60 as `1 hour` and 2880 as `2 days`."""
    sizes = {"day": 24 * 60, "hour": 60, "minute": 1}
    unit, size = next((unit, size) for unit, size in sizes.items() if minutes % size == 0)
    return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
