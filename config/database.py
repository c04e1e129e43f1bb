"""The settings of the database: backend and URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.errors import SettingsError, describe
from config.installed import installed_backends, load_installed
from config.origins import split
from config.values import clean

MongoDriver = Literal["motor", "pymongo"]

SCHEMES: dict[str, tuple[str, ...]] = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgres": ("postgresql", "postgresql+asyncpg", "postgres"),
    "mongo": ("mongodb", "mongodb+srv"),
}
"""The URL schemes of EitherDB's backends; an installed backend declares its own (`config.installed`)."""

LOCAL_SERVERS = ("postgres", "mongo")
"""The backends for which `eitherdb dev` can start a server."""

DEFAULT_SQLITE_URL = "sqlite:///.data/eitherdb.db"


def _check_backend(name: str) -> str:
    if name not in SCHEMES:
        if name not in (installed := installed_backends()):
            raise ValueError(f"not a valid value; choose one of: {', '.join([*SCHEMES, *installed])}")
        load_installed(name)
    return name


DbBackend = Annotated[str, AfterValidator(_check_backend)]


def url_schemes(backend: str) -> tuple[str, ...]:
    """Return the schemes of DATABASE_URL for a valid backend."""
    return SCHEMES.get(backend) or tuple(load_installed(backend).URL_SCHEMES)


class DatabaseChoice(BaseSettings):
    """The selected database; loads without validating the other settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_file_encoding="utf-8-sig",  # Windows editors write a byte order mark
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    db_backend: DbBackend = "sqlite"
    database_url: SecretStr | None = None
    # NoDecode: this class splits at commas; pydantic-settings would parse JSON.
    resources: Annotated[tuple[str, ...], NoDecode] = ()

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: Any) -> Any:
        """Clean the values; a value that is empty afterwards counts as not set."""
        cleaned = {name: clean(name, value) for name, value in values.items()}
        return {name: value for name, value in cleaned.items() if value or not values[name]}

    @field_validator("resources", mode="before")
    @classmethod
    def _split_resources(cls, value: object) -> object:
        """Accept `a,b` and `["a", "b"]`."""
        if isinstance(value, str):
            value = split(value, "no JSON list; give files, packages or modules, comma-separated")
        if not isinstance(value, (list, tuple)):
            return value
        return tuple(str(source).strip() for source in value if str(source).strip())

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Load and validate the settings.

        Args:
            **overrides: Field values that override the environment (command-line options, tests).

        Raises:
            SettingsError: One line per error, without any value that may be secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as exc:
            errors = [describe(error, cls.model_fields) for error in exc.errors(include_url=False)]
            raise SettingsError("\n".join(errors)) from None
        except UnicodeDecodeError:
            raise SettingsError(".env: not UTF-8 text; save it as UTF-8") from None

    @property
    def needs_local_server(self) -> bool:
        """True if `eitherdb dev` must start a database server first."""
        return self.db_backend in LOCAL_SERVERS and self.database_url is None

    @property
    def url(self) -> str:
        """The database's URL with its password: for drivers, never for a log."""
        return self.database_url.get_secret_value() if self.database_url else DEFAULT_SQLITE_URL

    def url_errors(self) -> Iterator[str]:
        """Validate the URL; each error is one line that names the variable."""
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


def _scheme(url: str) -> str:
    """Return the part before `://` if it is a valid scheme; anything else may be a password."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else ""


def _is_in_memory(url: str) -> bool:
    path = url.partition("://")[2]
    return not path.strip("/") or ":memory:" in path or "mode=memory" in path


def _url_forms(backend: str) -> str:
    return " or ".join(f"{scheme}://…" for scheme in url_schemes(backend))
