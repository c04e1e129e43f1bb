"""What EitherDB writes to people: the kinds of mail, and each as a subject, as text and as HTML.

The words are in `api/templates`, two files a kind. `render` needs no mail server; `make_message` puts what
it returns into an Internet message (RFC 5322).
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

from email_validator import validate_email

from backends.ids import utc_now
from config import Settings

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _templates() -> Environment:
    # A server starts sooner without it, and many never write an email.
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
    """A mail before it is written.

    Attributes:
        to: The address as it is stored.
        kind: Names the templates, and the email in the log.
        subject: With `{project}` for PROJECT_NAME.
        expires: Whether it is of no use after PASSWORD_RESET_EXPIRE_MINUTES.
    """

    to: str
    kind: ClassVar[str]
    subject: ClassVar[str]
    expires: ClassVar[bool] = False

    @property
    def path(self) -> str:
        """Where on the front end its link leads to."""
        return "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetEmail(Email):
    """Lets whoever can read it choose a new password; says so for PASSWORD_RESET_EXPIRE_MINUTES."""

    kind = "password_reset"
    subject = "Reset your {project} password"
    expires = True
    token: str = field(repr=False)

    @property
    def path(self) -> str:
        """The front end's page that takes the token."""
        return f"/reset-password?token={quote(self.token, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccountEmail(Email):
    """Tells someone of the account that a superuser made for him; the password is not in it."""

    kind = "new_account"
    subject = "Your new {project} account"

    @property
    def path(self) -> str:
        """The front end's login page."""
        return "/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryTestEmail(Email):
    """Shows that mail arrives."""

    kind = "trial"
    subject = "Test mail from {project}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """An email in words; text and HTML say the same."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


def render(email: Email, settings: Settings) -> Rendered:
    """Write the email out.

    The subject is one line, in Unicode if PROJECT_NAME is. In the HTML the link is an attribute of its
    own: `href="LINK"`.
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
    """Put the email into a message with both forms in it; `To` and `From` fit an SMTP envelope as well.

    Raises:
        ValueError: `email.to` is no e-mail address.
    """
    rendered = render(email, settings)
    sender = mailbox(settings.sender_email)
    headers = {
        "From": _named(settings.sender_name, sender),
        "To": mailbox(email.to),
        "Subject": _encoded("Subject", rendered.subject),
        "Date": format_datetime(utc_now()),
        # The default domain would be this machine's name, which takes a look-up and is nobody's business.
        "Message-ID": make_msgid(domain=sender.rpartition("@")[2]),
        # RFC 3834: so that no holiday notice answers.
        "Auto-Submitted": "auto-generated",
    }
    message = EmailMessage(SMTP)
    for name, value in headers.items():
        message[name] = _Header.of(name, value)
    # Quoted-printable passes every server, and its lines are never too long (RFC 5321 section 4.5.3.1.6).
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def mailbox(address: str) -> str:
    """Return the address with its domain in ASCII, which every mail server takes.

    Only a local part that is not ASCII then needs a server with SMTPUTF8 (RFC 6531).

    Raises:
        ValueError: It is no e-mail address.
    """
    parts = validate_email(address, check_deliverability=False)
    return f"{parts.local_part}@{parts.ascii_domain}"


class _Header(str):
    """A header's text in its final form.

    Python's own headers are folded anew when a message is written, and some Unicode names and subjects
    come out as different ones (seen with 3.11: white space between encoded words, commas out of quotes).
    """

    __slots__ = ("name",)
    name: str

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        header = cls(text)
        header.name = name
        return header

    def fold(self, *, policy: Policy) -> str:
        """Return the header as a message has it: what `email.policy` calls for."""
        return f"{self.name}: {self}{policy.linesep}"


def _named(name: str, address: str) -> str:
    encoded = _encoded("From", name)
    return formataddr((name, address)) if encoded == name else f"{encoded} <{address}>"


def _encoded(header: str, text: str) -> str:
    """Return the text as it is if readers will take it so, else as encoded words (RFC 2047).

    A line end is no exception, although the settings refuse it: as it is, it would begin another header.
    """
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")


def _duration(minutes: int) -> str:
    """Say 90 as `90 minutes`, 60 as `1 hour` and 2880 as `2 days`."""
    sizes = {"day": 24 * 60, "hour": 60, "minute": 1}
    unit, size = next((unit, size) for unit, size in sizes.items() if minutes % size == 0)
    return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
