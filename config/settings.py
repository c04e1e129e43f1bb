"""The settings, loaded from the environment and then from `.env`, and validated before anything starts.

Programs call `Settings.load()`. It raises `SettingsError` with one line per error, which names the variable
and its valid values. There is no module-level instance: `create_app(settings)` and
`open_backend(settings)` take the settings as an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from config.database import LOCAL_SERVERS, SCHEMES, DatabaseChoice, MongoDriver, url_schemes
from config.emails import UserEmail
from config.errors import SettingsError
from config.mail import MailSettings
from config.origins import is_origin, split
from config.root_path import RootPath

__all__ = [
    "INSECURE_SECRET_KEY",
    "LOCAL_SERVERS",
    "SCHEMES",
    "SECRET_KEY_MIN_BYTES",
    "DatabaseChoice",
    "Environment",
    "MongoDriver",
    "Settings",
    "SettingsError",
    "url_schemes",
]

Environment = Literal["local", "staging", "production"]

DEFAULT_LOCAL_SUPERUSER = "admin@example.com"
DEFAULT_LOCAL_CORS_ORIGINS = ("http://localhost:5173",)

# A public value, so it is rejected unless ENVIRONMENT is `local`.
INSECURE_SECRET_KEY = "not-a-secret-change-me-outside-local"  # noqa: S105
# RFC 7518, section 3.2: HS256 needs a key of at least the hash's size.
SECRET_KEY_MIN_BYTES = 32


def _check_rate_limit(value: str) -> str:
    from limits import parse_many  # noqa: PLC0415 - slow to import, and most settings keep the defaults

    try:
        (limit,) = parse_many(value)
        if limit.amount < 1:
            raise ValueError  # noqa: TRY301 - the same message
    except ValueError:
        raise ValueError(
            "no rate limit; give a number and a time: 10/minute, 100/hour, 5 per 30 second"
        ) from None
    return value


RateLimit = Annotated[str, AfterValidator(_check_rate_limit)]


class Settings(MailSettings, DatabaseChoice):
    """All settings of EitherDB. `.env.example` explains each variable."""

    mongo_driver: MongoDriver = "motor"
    db_pool_size: Annotated[int, Field(ge=1, le=1000)] = 20
    db_pool_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    db_connect_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    db_command_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0

    environment: Environment = "local"
    secret_key: SecretStr = SecretStr(INSECURE_SECRET_KEY)
    # NoDecode, here and below: this class splits at commas; pydantic-settings would parse JSON.
    previous_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    access_token_expire_minutes: Annotated[int, Field(ge=1, le=525_600)] = 60 * 24 * 8
    docs: bool | None = None
    root_path: RootPath = ""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = 1024**2
    login_limit: RateLimit = Field("10/minute", validate_default=False)
    login_limit_per_client: RateLimit = Field("60/minute", validate_default=False)
    recovery_limit: RateLimit = Field("5/minute", validate_default=False)
    recovery_limit_per_client: RateLimit = Field("30/minute", validate_default=False)
    first_superuser: UserEmail | None = None
    first_superuser_password: SecretStr | None = None
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None

    @field_validator("previous_secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        """Accept `a,b` and `["a", "b"]`."""
        if isinstance(value, str):
            value = split(value, "no JSON list of keys; give them comma-separated")
        if not isinstance(value, (list, tuple)):
            return value
        keys = (key.strip() if isinstance(key, str) else key for key in value)
        return tuple(key for key in keys if key)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        """Accept `a,b` and `["a", "b"]`; validate that each is an origin (scheme, host, port)."""
        if isinstance(value, str):
            value = split(value, "no JSON list; give scheme://host[:port], comma-separated")
        if not isinstance(value, (list, tuple)):
            return value
        origins = tuple(str(origin).strip().rstrip("/") for origin in value if str(origin).strip())
        if not all(is_origin(origin) for origin in origins):
            raise ValueError("not all are origins; give scheme://host[:port], comma-separated")
        return origins

    @field_validator("first_superuser_password")
    @classmethod
    def _check_password(cls, value: SecretStr | None) -> SecretStr | None:
        # The data layer imports the settings.
        from backends.models import has_password_length, normalise_password  # noqa: PLC0415

        if value is not None and not has_password_length(normalise_password(value.get_secret_value())):
            raise ValueError("give 8 to 128 characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Validate the settings together; each error is one line that names the variable."""
        errors = [
            *self.url_errors(),
            *([] if self.is_local else self._deployment_errors()),
            *([] if self.smtp_host is None else self.mail_errors(self.environment)),
        ]
        if errors:
            raise ValueError("\n".join(errors))
        return self

    def _deployment_errors(self) -> Iterator[str]:
        """Reject defaults that are safe only on a developer's machine."""
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

    @property
    def is_local(self) -> bool:
        """True on a developer's machine: default secret, private routes and generated password."""
        return self.environment == "local"

    @property
    def shows_docs(self) -> bool:
        """Whether `/docs` and the OpenAPI document are served; DOCS overrides the default, `local` only."""
        return self.is_local if self.docs is None else self.docs

    @property
    def superuser_email(self) -> str | None:
        """The email of the superuser that start-up creates if missing; None creates none."""
        return self.first_superuser or (DEFAULT_LOCAL_SUPERUSER if self.is_local else None)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The allowed origins for CORS."""
        if self.cors_origins is not None:
            return self.cors_origins
        return DEFAULT_LOCAL_CORS_ORIGINS if self.is_local else ()


def _is_secret(key: SecretStr) -> bool:
    secret = key.get_secret_value()
    return secret != INSECURE_SECRET_KEY and len(secret.encode()) >= SECRET_KEY_MIN_BYTES
