"""Settings: from the environment, then from `.env`, checked whole before anything starts.

`Settings.load()` is the one way in for a program; it turns every fault into a `SettingsError` whose
text is one line a fault, naming the variable and what would be right. There is no module-level
instance: `create_app(settings)` and `open_backend(settings)` take it as an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    EmailStr,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.installed import installed_backends, load_installed

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

MongoDriver = Literal["motor", "pymongo"]
Environment = Literal["local", "staging", "production"]

SCHEMES: dict[str, tuple[str, ...]] = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgres": ("postgresql", "postgresql+asyncpg", "postgres"),
    "mongo": ("mongodb", "mongodb+srv"),
}
"""Of EitherDB's own backends; those that are installed besides say theirs (`config.installed`)."""

LOCAL_SERVERS = ("postgres", "mongo")
"""What `eitherdb dev` can start a server of."""

DEFAULT_SQLITE_URL = "sqlite:///.data/eitherdb.db"
DEFAULT_LOCAL_SUPERUSER = "admin@example.com"
DEFAULT_LOCAL_CORS_ORIGINS = ("http://localhost:5173",)
DEFAULT_FRONTEND_HOST = "http://localhost:5173"
DEFAULT_LOCAL_SENDER = "info@example.com"

# Known to everyone who reads this line, so it is refused anywhere but on a developer's machine.
INSECURE_SECRET_KEY = "not-a-secret-change-me-outside-local"  # noqa: S105
# RFC 7518 section 3.2: a key of the hash's size or larger must be used with HS256.
SECRET_KEY_MIN_BYTES = 32


def _check_rate_limit(value: str) -> str:
    from limits import parse_many  # noqa: PLC0415 - slow to import, and most settings keep the defaults

    try:
        (limit,) = parse_many(value)
        if limit.amount < 1:
            raise ValueError  # noqa: TRY301 - the same words
    except ValueError:
        raise ValueError(
            "no rate limit; give a number and a time: 10/minute, 100/hour, 5 per 30 second"
        ) from None
    return value


RateLimit = Annotated[str, AfterValidator(_check_rate_limit)]


def _check_backend(name: str) -> str:
    if name not in SCHEMES:
        if name not in (installed := installed_backends()):
            raise ValueError(f"not a valid value; choose one of: {', '.join([*SCHEMES, *installed])}")
        load_installed(name)
    return name


DbBackend = Annotated[str, AfterValidator(_check_backend)]


def url_schemes(backend: str) -> tuple[str, ...]:
    """Return the schemes that DATABASE_URL may have with a backend that was found valid."""
    return SCHEMES.get(backend) or tuple(load_installed(backend).URL_SCHEMES)


class SettingsError(Exception):
    """The configuration can't be used; the text names each setting and its valid values."""


class DatabaseChoice(BaseSettings):
    """Which database was asked for, before anything is demanded of the rest."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    db_backend: DbBackend = "sqlite"
    database_url: SecretStr | None = None

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read and check the settings.

        Args:
            **overrides: Field values that win over the environment (command-line options, tests).

        Raises:
            SettingsError: One line a fault, without any value that may be secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as exc:
            faults = [_describe(error) for error in exc.errors(include_url=False)]
            raise SettingsError("\n".join(faults)) from None
        except UnicodeDecodeError:
            raise SettingsError(".env: not UTF-8 text; save it as UTF-8") from None

    @property
    def needs_local_server(self) -> bool:
        """True if `eitherdb dev` has to start a database server first."""
        return self.db_backend in LOCAL_SERVERS and self.database_url is None


class Settings(DatabaseChoice):
    """Everything EitherDB can be told from outside. `.env.example` explains each variable."""

    mongo_driver: MongoDriver = "motor"
    db_pool_size: Annotated[int, Field(ge=1, le=1000)] = 20
    db_pool_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    db_connect_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    db_command_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0

    environment: Environment = "local"
    secret_key: SecretStr = SecretStr(INSECURE_SECRET_KEY)
    # NoDecode, here and below: split at commas by this class, not parsed as JSON by pydantic-settings.
    previous_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    access_token_expire_minutes: Annotated[int, Field(ge=1, le=525_600)] = 60 * 24 * 8
    docs: bool | None = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = 1024**2
    login_limit: RateLimit = Field("10/minute", validate_default=False)
    login_limit_per_client: RateLimit = Field("60/minute", validate_default=False)
    recovery_limit: RateLimit = Field("5/minute", validate_default=False)
    recovery_limit_per_client: RateLimit = Field("30/minute", validate_default=False)
    first_superuser: EmailStr | None = None
    first_superuser_password: SecretStr | None = None
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None

    @field_validator("previous_secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        """Accept `a,b` and `["a", "b"]`."""
        if isinstance(value, str):
            value = _split(value, "no JSON list of keys; give them comma-separated")
        if not isinstance(value, (list, tuple)):
            return value
        keys = (key.strip() if isinstance(key, str) else key for key in value)
        return tuple(key for key in keys if key)

    project_name: Annotated[str, Field(max_length=100)] = "EitherDB"
    frontend_host: str | None = None
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 587
    smtp_tls: bool = True
    smtp_ssl: bool = False
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    emails_from_email: EmailStr | None = None
    emails_from_name: Annotated[str | None, Field(max_length=100)] = None
    mail_queue_size: Annotated[int, Field(ge=1, le=100_000)] = 1000
    password_reset_expire_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        """Accept `a,b` and `["a", "b"]`; check that each is an origin (scheme, host, port)."""
        if isinstance(value, str):
            value = _split(value, "no JSON list; give scheme://host[:port], comma-separated")
        if not isinstance(value, (list, tuple)):
            return value
        origins = tuple(str(origin).strip().rstrip("/") for origin in value if str(origin).strip())
        if not all(_is_origin(origin) for origin in origins):
            raise ValueError("not all are origins; give scheme://host[:port], comma-separated")
        return origins

    @field_validator("first_superuser_password")
    @classmethod
    def _check_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not 8 <= len(value.get_secret_value()) <= 128:
            raise ValueError("give 8 to 128 characters")
        return value

    @field_validator("frontend_host")
    @classmethod
    def _check_frontend(cls, value: str | None) -> str | None:
        """Drop a slash at the end: links go on with one."""
        if value is None:
            return None
        origin = value.strip().rstrip("/")
        if not _is_origin(origin):
            raise ValueError("no origin; give scheme://host[:port], without a path")
        return origin

    @field_validator("smtp_host")
    @classmethod
    def _check_smtp_host(cls, value: str | None) -> str | None:
        if value is not None and not _is_host(value):
            raise ValueError("no host; give a name or an IP address, and the port in SMTP_PORT")
        return value

    @field_validator("project_name", "emails_from_name")
    @classmethod
    def _check_one_line(cls, value: str | None) -> str | None:
        """Refuse what would begin another header in a mail."""
        if value is not None and not value.isprintable():
            raise ValueError("not one line of printable text; give up to 100 characters without line ends")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Check what one setting demands of another; each fault is a line that names its variable."""
        faults = [
            *self._url_faults(),
            *([] if self.is_local else self._deployment_faults()),
            *([] if self.smtp_host is None else self._mail_faults()),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _url_faults(self) -> Iterator[str]:
        forms = _url_forms(self.db_backend)
        scheme = _scheme(self.url)
        if self.database_url is None:
            if self.db_backend != "sqlite":
                hint = " (`make run` starts a local server without it)" if self.needs_local_server else ""
                yield f"DATABASE_URL: needed with DB_BACKEND={self.db_backend}; give {forms}{hint}"
        elif not scheme:
            yield f"DATABASE_URL: has no scheme; with DB_BACKEND={self.db_backend} give {forms}"
        elif scheme not in url_schemes(self.db_backend):
            yield (
                f"DATABASE_URL: the scheme {scheme!r} does not fit DB_BACKEND={self.db_backend}; "
                f"give {forms}"
            )
        elif self.db_backend == "sqlite" and _is_in_memory(self.url):
            yield (
                "DATABASE_URL: an SQLite database in memory would be lost between `migrate` and "
                "`serve`; give a file: sqlite:///relative/path or sqlite:////absolute/path"
            )

    def _deployment_faults(self) -> Iterator[str]:
        """Find what is convenient on a developer's machine and dangerous anywhere else."""
        if not _is_secret(self.secret_key):
            yield (
                f"SECRET_KEY: with ENVIRONMENT={self.environment} give a secret of your own, "
                f"{SECRET_KEY_MIN_BYTES} bytes or more; make one with: "
                'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        if any(not _is_secret(key) for key in self.previous_secret_keys):
            yield (
                f"PREVIOUS_SECRET_KEYS: with ENVIRONMENT={self.environment} each needs "
                f"{SECRET_KEY_MIN_BYTES} bytes or more, and none may be the public one of `local`; "
                "give the keys that SECRET_KEY was before"
            )
        if self.first_superuser and not self.first_superuser_password:
            yield (
                f"FIRST_SUPERUSER_PASSWORD: needed with FIRST_SUPERUSER and "
                f"ENVIRONMENT={self.environment}; give 8 to 128 characters"
            )

    def _mail_faults(self) -> Iterator[str]:
        """Find what keeps mail from leaving, or from being answered and its links from working."""
        # The default of SMTP_TLS gives way to SMTP_SSL; two wishes that exclude each other are a mistake.
        if self.smtp_ssl and self.smtp_tls and "smtp_tls" in self.model_fields_set:
            yield (
                "SMTP_TLS: excludes SMTP_SSL; give true to SMTP_TLS alone (STARTTLS, mostly port 587) "
                "or to SMTP_SSL alone (TLS from the start, mostly port 465)"
            )
        if self.smtp_user is not None and self.smtp_password is None:
            yield "SMTP_PASSWORD: needed with SMTP_USER; give both, or neither for a server without login"
        if self.smtp_user is None and self.smtp_password is not None:
            yield "SMTP_USER: needed with SMTP_PASSWORD; give both, or neither for a server without login"
        if self.is_local:
            return
        given = f"needed with SMTP_HOST and ENVIRONMENT={self.environment}; give"
        if self.emails_from_email is None:
            yield f"EMAILS_FROM_EMAIL: {given} the address that mail comes from"
        if self.frontend_host is None:
            yield f"FRONTEND_HOST: {given} the front end's scheme://host[:port], for links in mail"

    @property
    def is_local(self) -> bool:
        """True on a developer's machine: default secret, private routes, generated password."""
        return self.environment == "local"

    @property
    def shows_docs(self) -> bool:
        """Whether `/docs` and the OpenAPI document are served: in `local`, or where asked for."""
        return self.is_local if self.docs is None else self.docs

    @property
    def url(self) -> str:
        """The database's URL, its password included: for drivers, never for a log."""
        return self.database_url.get_secret_value() if self.database_url else DEFAULT_SQLITE_URL

    @property
    def superuser_email(self) -> str | None:
        """Whose account must exist after start; None makes none."""
        return self.first_superuser or (DEFAULT_LOCAL_SUPERUSER if self.is_local else None)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins that browsers may call from."""
        if self.cors_origins is not None:
            return self.cors_origins
        return DEFAULT_LOCAL_CORS_ORIGINS if self.is_local else ()

    @property
    def frontend_origin(self) -> str:
        """Where links in mail lead to, without a slash at the end."""
        return self.frontend_host or DEFAULT_FRONTEND_HOST

    @property
    def uses_starttls(self) -> bool:
        """True if mail goes only over a connection that STARTTLS has encrypted."""
        return self.smtp_tls and not self.smtp_ssl

    @property
    def sender_email(self) -> str:
        """The address that mail comes from."""
        return self.emails_from_email or DEFAULT_LOCAL_SENDER

    @property
    def sender_name(self) -> str:
        """The name that mail comes from."""
        return self.emails_from_name or self.project_name


_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")


def _split(text: str, otherwise: str) -> object:
    """Read `a,b` and `["a", "b"]`; where it is neither, say `otherwise`."""
    if not text.strip().startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(otherwise) from None


def _is_secret(key: SecretStr) -> bool:
    secret = key.get_secret_value()
    return secret != INSECURE_SECRET_KEY and len(secret.encode()) >= SECRET_KEY_MIN_BYTES


def _is_origin(origin: str) -> bool:
    """Tell whether it is what a browser sends as one: scheme, host, and a port unless it is the usual."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and 1 <= int(match["port"] or 80) <= 65535


def _is_host(text: str) -> bool:
    """Tell whether it is a host's name or IP address: no scheme, no port, no user."""
    try:
        ip_address(text)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text) is not None
    return True


def _scheme(url: str) -> str:
    """Return what stands before `://` if it can be a scheme: anything else may be a password."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else ""


def _is_in_memory(url: str) -> bool:
    path = url.partition("://")[2]
    return not path.strip("/") or ":memory:" in path or "mode=memory" in path


def _url_forms(backend: str) -> str:
    return " or ".join(f"{scheme}://…" for scheme in url_schemes(backend))


def _bounded_number(field: FieldInfo) -> str | None:
    """Say in words which numbers are valid; None for a field that is no number with bounds."""
    bounds = {
        name: bound
        for rule in field.metadata
        for name in ("gt", "ge", "le")
        if (bound := getattr(rule, name, None)) is not None
    }
    if "le" not in bounds:
        return None
    kind = "an integer" if field.annotation is int else "a number"
    least = f"at least {bounds['ge']}" if "ge" in bounds else f"more than {bounds['gt']}"
    return f"{kind}, {least} and at most {bounds['le']}"


def _describe(error: Any) -> str:
    """Turn one pydantic error into `VARIABLE: what is wrong; what would be right`."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message  # _check_together names the variable itself
    name = str(error["loc"][0])
    field = Settings.model_fields.get(name)
    if error["type"] == "literal_error" and field is not None:
        message = f"not a valid value; choose one of: {', '.join(get_args(field.annotation))}"
    if field is not None and (number := _bounded_number(field)):
        message = f"not a valid value; give {number}"
    if error["type"] == "bool_parsing":
        message = "not a valid value; choose one of: true, false"
    return f"{name.upper()}: {message}"
