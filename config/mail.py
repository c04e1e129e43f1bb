"""The settings of outgoing email."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from config.emails import SenderEmail
from config.origins import is_host, is_origin

DEFAULT_FRONTEND_HOST = "http://localhost:5173"
DEFAULT_LOCAL_SENDER = "info@example.com"


class MailSettings(BaseSettings):
    """The email settings, a part of `Settings`."""

    project_name: Annotated[str, Field(max_length=100)] = "EitherDB"
    frontend_host: str | None = None
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 587
    smtp_tls: bool = True
    smtp_ssl: bool = False
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    emails_from_email: SenderEmail | None = None
    emails_from_name: Annotated[str | None, Field(max_length=100)] = None
    mail_queue_size: Annotated[int, Field(ge=1, le=100_000)] = 1000
    password_reset_expire_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60

    @field_validator("frontend_host")
    @classmethod
    def _check_frontend(cls, value: str | None) -> str | None:
        """Validate the origin and remove a trailing slash: links add one."""
        if value is None:
            return None
        origin = value.strip().rstrip("/")
        if not is_origin(origin):
            raise ValueError("no origin; give scheme://host[:port], without a path")
        return origin

    @field_validator("smtp_host")
    @classmethod
    def _check_smtp_host(cls, value: str | None) -> str | None:
        if value is not None and not is_host(value):
            raise ValueError("no host; give a name or an IP address, and the port in SMTP_PORT")
        return value

    @field_validator("project_name", "emails_from_name")
    @classmethod
    def _check_one_line(cls, value: str | None) -> str | None:
        """Reject line breaks and control characters, which could inject an email header."""
        if value is not None and not value.isprintable():
            raise ValueError("not one line of printable text; give up to 100 characters without line ends")
        return value

    def mail_errors(self, environment: str) -> Iterator[str]:
        """Validate the email settings together; each error is one line that names the variable."""
        # SMTP_SSL overrides the default of SMTP_TLS; setting both explicitly is an error.
        if self.smtp_ssl and self.smtp_tls and "smtp_tls" in self.model_fields_set:
            yield (
                "SMTP_TLS: excludes SMTP_SSL; give true to SMTP_TLS alone (STARTTLS, mostly port 587) "
                "or to SMTP_SSL alone (TLS from the start, mostly port 465)"
            )
        if self.smtp_user is not None and self.smtp_password is None:
            yield "SMTP_PASSWORD: needed with SMTP_USER; give both, or neither for a server without login"
        if self.smtp_user is None and self.smtp_password is not None:
            yield "SMTP_USER: needed with SMTP_PASSWORD; give both, or neither for a server without login"
        if environment == "local":
            return
        given = f"needed with SMTP_HOST and ENVIRONMENT={environment}; give"
        if self.emails_from_email is None:
            yield f"EMAILS_FROM_EMAIL: {given} the address that mail comes from"
        if self.frontend_host is None:
            yield f"FRONTEND_HOST: {given} the front end's scheme://host[:port], for links in mail"

    @property
    def frontend_origin(self) -> str:
        """The origin of links in emails, without a trailing slash."""
        return self.frontend_host or DEFAULT_FRONTEND_HOST

    @property
    def uses_starttls(self) -> bool:
        """True if the connection must be encrypted with STARTTLS."""
        return self.smtp_tls and not self.smtp_ssl

    @property
    def sender_email(self) -> str:
        """The sender's address."""
        return self.emails_from_email or DEFAULT_LOCAL_SENDER

    @property
    def sender_name(self) -> str:
        """The sender's name."""
        return self.emails_from_name or self.project_name
