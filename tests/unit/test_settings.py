"""Settings: every fault is one line that names the variable and what is valid, and shows no secret."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from config import DatabaseChoice, Settings, SettingsError
from config.settings import INSECURE_SECRET_KEY

SECRET = "8Jx-a-secret-of-thirty-two-bytes"
POSTGRES = "postgresql://app:hunter2@db.example.com:5432/eitherdb"
MONGO = "mongodb://app:hunter2@db.example.com/eitherdb?replicaSet=rs0"

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Load from these variables and no others, in a folder that is empty at first."""
    monkeypatch.chdir(tmp_path)

    def load_from(**variables: str) -> Settings:
        for name in list(os.environ):
            if name.lower() in Settings.model_fields:
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings.load()

    return load_from


def faults(load: Load, **variables: str) -> list[str]:
    """Return the lines of the error that these variables cause."""
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    # The printed exception chain must not contain a secret either.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value).splitlines()


# -- what is valid -------------------------------------------------------------------------------


def test_load_without_variables_gives_the_documented_defaults(load: Load) -> None:
    """SQLite in `.data`, Motor for MongoDB, a developer's machine."""
    settings = load()
    assert settings.db_backend == "sqlite"
    assert settings.database_url is None
    assert settings.url == "sqlite:///.data/eitherdb.db"
    assert settings.mongo_driver == "motor"
    assert settings.db_pool_size == 20
    assert settings.db_pool_timeout_seconds == 10.0
    assert settings.db_connect_timeout_seconds == 5.0
    assert settings.db_command_timeout_seconds == 30.0
    assert settings.environment == "local"
    assert settings.is_local
    assert settings.secret_key.get_secret_value() == INSECURE_SECRET_KEY
    assert settings.access_token_expire_minutes == 8 * 24 * 60
    assert settings.first_superuser is None
    assert settings.superuser_email == "admin@example.com"
    assert settings.first_superuser_password is None
    assert settings.cors_origins is None
    assert settings.allowed_origins == ("http://localhost:5173",)
    assert settings.project_name == "EitherDB"
    assert settings.frontend_host is None
    assert settings.frontend_origin == "http://localhost:5173"
    assert settings.smtp_host is None
    assert settings.smtp_port == 587
    assert settings.uses_starttls
    assert not settings.smtp_ssl
    assert settings.smtp_user is None
    assert settings.smtp_password is None
    assert settings.smtp_timeout_seconds == 10.0
    assert settings.emails_from_email is None
    assert settings.sender_email == "info@example.com"
    assert settings.emails_from_name is None
    assert settings.sender_name == "EitherDB"
    assert settings.mail_queue_size == 1000
    assert settings.password_reset_expire_minutes == 60


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("sqlite", "sqlite:///relative/file.db"),
        ("sqlite", "sqlite:////absolute/file.db"),
        ("sqlite", "sqlite+aiosqlite:///file.db"),
        ("postgres", POSTGRES),
        ("postgres", POSTGRES.replace("postgresql", "postgresql+asyncpg")),
        ("postgres", POSTGRES.replace("postgresql", "postgres")),
        ("postgres", POSTGRES.replace("postgresql", "POSTGRESQL")),
        ("mongo", MONGO),
        ("mongo", MONGO.replace("mongodb", "mongodb+srv")),
    ],
)
def test_load_accepts_the_urls_of_each_backend(load: Load, backend: str, url: str) -> None:
    """Every usual spelling of a scheme fits its backend, and the URL stays as it was given."""
    settings = load(DB_BACKEND=backend, DATABASE_URL=url)
    assert (settings.db_backend, settings.url) == (backend, url)


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
def test_load_accepts_both_mongo_drivers(load: Load, driver: str) -> None:
    """MONGO_DRIVER chooses between the two."""
    settings = load(DB_BACKEND="mongo", DATABASE_URL=MONGO, MONGO_DRIVER=driver)
    assert settings.mongo_driver == driver


def test_load_reads_every_variable(load: Load) -> None:
    """A full environment is taken over field by field."""
    settings = load(
        DB_BACKEND="postgres",
        DATABASE_URL=POSTGRES,
        MONGO_DRIVER="pymongo",
        RESOURCES="library.py, ./shop/ ,",
        DB_POOL_SIZE="1000",
        DB_POOL_TIMEOUT_SECONDS="0.5",
        DB_CONNECT_TIMEOUT_SECONDS="300",
        DB_COMMAND_TIMEOUT_SECONDS="3600",
        ENVIRONMENT="production",
        SECRET_KEY=SECRET,
        PREVIOUS_SECRET_KEYS=f"{SECRET}-1, {SECRET}-2",
        ACCESS_TOKEN_EXPIRE_MINUTES="1",
        DOCS="true",
        ROOT_PATH="/shop",
        MAX_BODY_BYTES="1024",
        LOGIN_LIMIT="1/second",
        LOGIN_LIMIT_PER_CLIENT="2/second",
        RECOVERY_LIMIT="3/second",
        RECOVERY_LIMIT_PER_CLIENT="4/second",
        FIRST_SUPERUSER="root@example.com",
        FIRST_SUPERUSER_PASSWORD="12345678",
        CORS_ORIGINS="https://app.example.com",
        PROJECT_NAME="Größe & Co",
        FRONTEND_HOST="https://app.example.com/",
        SMTP_HOST="smtp.example.com",
        SMTP_PORT="465",
        SMTP_TLS="false",
        SMTP_SSL="true",
        SMTP_USER="app",
        SMTP_PASSWORD="hunter3",
        SMTP_TIMEOUT_SECONDS="0.5",
        EMAILS_FROM_EMAIL="post@example.com",
        EMAILS_FROM_NAME="Post, Größe",
        MAIL_QUEUE_SIZE="1",
        PASSWORD_RESET_EXPIRE_MINUTES="10080",
    )
    plain = settings.model_dump()
    previous = [key.get_secret_value() for key in plain.pop("previous_secret_keys")]
    assert previous == [f"{SECRET}-1", f"{SECRET}-2"]
    secrets = {name: plain.pop(name).get_secret_value() for name in list(plain) if "**" in str(plain[name])}
    assert secrets == {
        "database_url": POSTGRES,
        "secret_key": SECRET,
        "first_superuser_password": "12345678",
        "smtp_password": "hunter3",
    }
    assert plain == {
        "db_backend": "postgres",
        "mongo_driver": "pymongo",
        "resources": ("library.py", "./shop/"),
        "db_pool_size": 1000,
        "db_pool_timeout_seconds": 0.5,
        "db_connect_timeout_seconds": 300.0,
        "db_command_timeout_seconds": 3600.0,
        "environment": "production",
        "access_token_expire_minutes": 1,
        "docs": True,
        "root_path": "/shop",
        "max_body_bytes": 1024,
        "login_limit": "1/second",
        "login_limit_per_client": "2/second",
        "recovery_limit": "3/second",
        "recovery_limit_per_client": "4/second",
        "first_superuser": "root@example.com",
        "cors_origins": ("https://app.example.com",),
        "project_name": "Größe & Co",
        "frontend_host": "https://app.example.com",
        "smtp_host": "smtp.example.com",
        "smtp_port": 465,
        "smtp_tls": False,
        "smtp_ssl": True,
        "smtp_user": "app",
        "smtp_timeout_seconds": 0.5,
        "emails_from_email": "post@example.com",
        "emails_from_name": "Post, Größe",
        "mail_queue_size": 1,
        "password_reset_expire_minutes": 10_080,
    }


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://a.example.com", ("https://a.example.com",)),
        (
            "https://a.example.com/, http://localhost:5173",
            ("https://a.example.com", "http://localhost:5173"),
        ),
        (
            '["https://a.example.com", "http://[::1]:8080"]',
            ("https://a.example.com", "http://[::1]:8080"),
        ),
        (" , ", ()),
    ],
)
def test_load_splits_cors_origins(load: Load, text: str, origins: tuple[str, ...]) -> None:
    """Commas or a JSON list; blanks and the slash at the end are dropped."""
    assert load(CORS_ORIGINS=text).allowed_origins == origins


def test_load_outside_local_assumes_nothing(load: Load) -> None:
    """Neither an origin nor a first superuser comes by itself where others can reach the service."""
    settings = load(ENVIRONMENT="staging", SECRET_KEY=SECRET)
    assert not settings.is_local
    assert settings.allowed_origins == ()
    assert settings.superuser_email is None


def test_load_takes_an_empty_variable_as_unset(load: Load) -> None:
    """`DATABASE_URL=` in a compose file is no URL, and no fault."""
    settings = load(**{name.upper(): "" for name in Settings.model_fields})
    assert settings == load()


def test_load_ignores_unknown_variables(load: Load, tmp_path: Path) -> None:
    """Others' variables are none of ours, in the environment and in `.env`."""
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=hunter2\nDB_BACKENDS=oracle\n")
    assert load(DB_PASSWORD="hunter2").db_backend == "sqlite"


def test_load_reads_dotenv_and_the_environment_wins(load: Load, tmp_path: Path) -> None:
    """`.env` of the working folder is read; what the environment says too counts more."""
    (tmp_path / ".env").write_text(f"DB_BACKEND=mongo\nDATABASE_URL={MONGO}\nDB_POOL_SIZE=7\n")
    settings = load(DB_POOL_SIZE="8")
    assert (settings.db_backend, settings.url, settings.db_pool_size) == ("mongo", MONGO, 8)


def test_load_takes_an_empty_variable_from_dotenv(load: Load, tmp_path: Path) -> None:
    """An empty variable does not hide what `.env` says."""
    (tmp_path / ".env").write_text("DB_POOL_SIZE=7\n")
    assert load(DB_POOL_SIZE="").db_pool_size == 7


def test_load_takes_overrides_before_all_else(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument wins over the environment, and is checked like it."""
    load()
    monkeypatch.setenv("DB_POOL_SIZE", "8")
    assert Settings.load(db_pool_size=9).db_pool_size == 9
    with pytest.raises(SettingsError, match=r"^DB_POOL_SIZE: "):
        Settings.load(db_pool_size=0)


@pytest.mark.parametrize(
    ("given", "starttls", "implicit"),
    [
        ({}, True, False),
        ({"SMTP_TLS": "true"}, True, False),
        ({"SMTP_TLS": "false"}, False, False),
        ({"SMTP_SSL": "true"}, False, True),
        ({"SMTP_TLS": "true", "SMTP_SSL": "false"}, True, False),
        ({"SMTP_TLS": "false", "SMTP_SSL": "true"}, False, True),
    ],
)
def test_load_knows_how_mail_is_encrypted(
    load: Load, given: dict[str, str], *, starttls: bool, implicit: bool
) -> None:
    """STARTTLS unless told otherwise; SMTP_SSL alone says otherwise."""
    settings = load(SMTP_HOST="smtp.example.com", **given)
    assert (settings.uses_starttls, settings.smtp_ssl) == (starttls, implicit)


@pytest.mark.parametrize("host", ["smtp.example.com", "mailhog", "127.0.0.1", "::1", "mail_1.internal"])
def test_load_accepts_names_and_addresses_of_mail_servers(load: Load, host: str) -> None:
    """Also those of containers, which may have an underscore."""
    assert load(SMTP_HOST=host).smtp_host == host


def test_load_names_the_sender_like_the_project(load: Load) -> None:
    """Unless EMAILS_FROM_NAME says otherwise."""
    assert load(PROJECT_NAME="Shop").sender_name == "Shop"
    assert load(PROJECT_NAME="Shop", EMAILS_FROM_NAME="Post").sender_name == "Post"


def test_load_outside_local_without_a_mail_server_demands_nothing_of_mail(load: Load) -> None:
    """Nothing is sent, so that nobody has to say from whom."""
    assert load(ENVIRONMENT="production", SECRET_KEY=SECRET).smtp_host is None


# -- what is not ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrong", "valid"),
    [
        ("DB_BACKEND", "oracle", "sqlite, postgres, mongo"),
        ("MONGO_DRIVER", "mango", "motor, pymongo"),
        ("ENVIRONMENT", "dev", "local, staging, production"),
    ],
)
def test_load_with_an_unknown_choice_lists_the_valid_ones(
    load: Load, name: str, wrong: str, valid: str
) -> None:
    """One line: the variable and everything that it may be."""
    (line,) = faults(load, **{name: wrong})
    assert line.startswith(f"{name}: ")
    assert line.endswith(valid)


@pytest.mark.parametrize("backend", ["postgres", "mongo"])
def test_load_without_the_url_that_a_backend_needs_says_which_forms_it_has(
    load: Load, backend: str
) -> None:
    """Only SQLite has a default place."""
    (line,) = faults(load, DB_BACKEND=backend)
    assert line.startswith(f"DATABASE_URL: needed with DB_BACKEND={backend}; ")
    assert {"postgres": "postgresql://", "mongo": "mongodb://"}[backend] in line


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("sqlite", POSTGRES),
        ("sqlite", MONGO),
        ("sqlite", "file.db"),
        ("postgres", "sqlite:///file.db"),
        ("postgres", MONGO),
        ("postgres", POSTGRES.replace("postgresql", "mysql")),
        ("postgres", POSTGRES.replace("postgresql", "postgresql+psycopg")),
        ("postgres", POSTGRES.partition("://")[2]),
        ("postgres", "app:hunter2://x@db.example.com/eitherdb"),
        ("mongo", POSTGRES),
        ("mongo", "sqlite:///file.db"),
        ("mongo", MONGO.partition("://")[2]),
    ],
)
def test_load_with_a_url_of_another_backend_says_what_fits(load: Load, backend: str, url: str) -> None:
    """The scheme is named, the rest of the URL is not: it may hold a password."""
    (line,) = faults(load, DB_BACKEND=backend, DATABASE_URL=url)
    assert line.startswith("DATABASE_URL: ")
    assert f"DB_BACKEND={backend}" in line
    fitting = {"sqlite": "sqlite://", "postgres": "postgresql://", "mongo": "mongodb://"}[backend]
    assert fitting in line
    assert "hunter2" not in line
    assert "db.example.com" not in line


@pytest.mark.parametrize("backend", ["sqlite", "postgres", "mongo"])
@pytest.mark.parametrize("url", ["app:hunter2@db.example.com/eitherdb", "app:hunter2://x@db.example.com/e"])
def test_load_with_a_url_without_a_scheme_says_so(load: Load, backend: str, url: str) -> None:
    """What stands there instead is not shown: it may be a password."""
    (line,) = faults(load, DB_BACKEND=backend, DATABASE_URL=url)
    assert line.startswith(f"DATABASE_URL: has no scheme; with DB_BACKEND={backend} give ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///:memory:",
        "sqlite:///file:shared?mode=memory&uri=true",
        "SQLITE:///:memory:",
    ],
)
def test_load_refuses_sqlite_in_memory(load: Load, url: str) -> None:
    """Its schema would be gone before the first request; a file's URL is the way out."""
    (line,) = faults(load, DATABASE_URL=url)
    assert line.startswith("DATABASE_URL: ")
    assert "in memory" in line
    assert "sqlite:///relative/path" in line


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("secret", [None, INSECURE_SECRET_KEY, "hunter2", SECRET[1:], "ä" * 15])
def test_load_outside_local_refuses_a_weak_secret(load: Load, environment: str, secret: str | None) -> None:
    """The public default, and anything below 32 bytes, which RFC 7518 demands; it is not shown."""
    given = {} if secret is None else {"SECRET_KEY": secret}
    (line,) = faults(load, ENVIRONMENT=environment, **given)
    assert line.startswith(f"SECRET_KEY: with ENVIRONMENT={environment} ")
    assert "32 bytes" in line
    assert "hunter2" not in line
    assert SECRET[1:] not in line


def test_load_counts_a_secret_in_bytes(load: Load) -> None:
    """Sixteen letters of two bytes each are long enough."""
    assert load(ENVIRONMENT="production", SECRET_KEY="ä" * 16).environment == "production"


def test_load_outside_local_demands_a_password_for_the_first_superuser(load: Load) -> None:
    """A generated one would be printed into a log that others keep."""
    (line,) = faults(load, ENVIRONMENT="production", SECRET_KEY=SECRET, FIRST_SUPERUSER="root@example.com")
    assert line.startswith("FIRST_SUPERUSER_PASSWORD: needed with FIRST_SUPERUSER ")
    assert "8 to 128 characters" in line


@pytest.mark.parametrize(
    "email",
    ["root", "root@", "@example.com", "root@example..com", "a b@example.com", "a" * 65 + "@example.com"],
)
def test_load_with_a_bad_first_superuser_says_that_it_is_no_address(load: Load, email: str) -> None:
    """What no user could have as an address is found at the start."""
    (line,) = faults(load, FIRST_SUPERUSER=email)
    assert line.startswith("FIRST_SUPERUSER: ")
    assert "email address" in line


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\xa0", "\u200b", "\ufeff"])
def test_load_takes_addresses_without_the_blanks_around_them(load: Load, blank: str) -> None:
    """As the API does: they come along when an address is pasted, or read from a file."""
    settings = load(
        FIRST_SUPERUSER=f"{blank}root@example.com{blank}",
        EMAILS_FROM_EMAIL=f"{blank}post@example.com{blank}",
    )
    assert (settings.first_superuser, settings.emails_from_email) == (
        "root@example.com",
        "post@example.com",
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    {
        "/": "",
        "/shop": "/shop",
        "/shop/": "/shop",
        " /shop// ": "/shop",
        "/a/b.c-d_e~f": "/a/b.c-d_e~f",
        "/api": "/api",
        "/api/v1/": "/api/v1",
        "/caf\u00e9": "/caf%C3%A9",
        "/caf%c3%a9": "/caf%c3%a9",
        "/my%20shop": "/my%20shop",
        "/@team:1": "/@team:1",
    }.items(),
)
def test_load_takes_a_root_path_with_and_without_its_slash(load: Load, given: str, expected: str) -> None:
    """It becomes what URLs have."""
    assert load(ROOT_PATH=given).root_path == expected


@pytest.mark.parametrize(
    "path",
    [
        "shop",
        "//shop",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/%2e%2e/b",
        "/a%2Fb",
        "/a%",
        "/a%0Ab",
        "/%FF",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/a'b",
        "/<a>",
        "https://example.com/shop",
        "${ROOT}",
    ],
)
def test_load_with_a_bad_root_path_says_what_it_should_be(load: Load, path: str) -> None:
    """It is put into URLs and into a page."""
    (line,) = faults(load, ROOT_PATH=path)
    assert line.startswith("ROOT_PATH: ")
    assert "/shop" in line


def test_load_counts_a_password_in_its_normal_form(load: Load) -> None:
    """128 code points that a Mac writes as 249."""
    password = "hunter2" + "e\u0301" * 121
    settings = load(FIRST_SUPERUSER="root@example.com", FIRST_SUPERUSER_PASSWORD=password)
    assert settings.first_superuser_password is not None
    assert settings.first_superuser_password.get_secret_value() == password


@pytest.mark.parametrize(
    "password", ["hunter2", "hunter2" * 19, "hunter" + "e\u0301", "hunter2" + "e\u0301" * 122], ids=ascii
)
def test_load_with_a_password_of_bad_length_says_which_are_valid(load: Load, password: str) -> None:
    """As the API has it, in the words for text, and without the password."""
    (line,) = faults(load, FIRST_SUPERUSER="root@example.com", FIRST_SUPERUSER_PASSWORD=password)
    assert line.startswith("FIRST_SUPERUSER_PASSWORD: ")
    assert "8 to 128 characters" in line
    assert "hunter2" not in line


RANGES = {
    "DB_POOL_SIZE": "an integer, at least 1 and at most 1000",
    "DB_POOL_TIMEOUT_SECONDS": "a number, more than 0 and at most 300",
    "DB_CONNECT_TIMEOUT_SECONDS": "a number, more than 0 and at most 300",
    "DB_COMMAND_TIMEOUT_SECONDS": "a number, more than 0 and at most 3600",
    "ACCESS_TOKEN_EXPIRE_MINUTES": "an integer, at least 1 and at most 525600",
    "MAX_BODY_BYTES": "an integer, at least 1024 and at most 1073741824",
    "SMTP_PORT": "an integer, at least 1 and at most 65535",
    "SMTP_TIMEOUT_SECONDS": "a number, more than 0 and at most 300",
    "MAIL_QUEUE_SIZE": "an integer, at least 1 and at most 100000",
    "PASSWORD_RESET_EXPIRE_MINUTES": "an integer, at least 1 and at most 10080",
}


def test_ranges_are_those_of_every_number() -> None:
    """The list that the tests below walk is whole."""
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in {int, float}]
    assert sorted(RANGES) == sorted(name.upper() for name in numbers)


@pytest.mark.parametrize("wrong", ["0", "-20", "99999999999", "inf", "nan", "many", "10s", "1,5", "1h"])
@pytest.mark.parametrize("name", RANGES)
def test_load_with_a_number_that_can_not_be_says_the_range(load: Load, name: str, wrong: str) -> None:
    """Zero, negative and absurd sizes and times, units and words: found at the start, not under load."""
    assert faults(load, **{name: wrong}) == [f"{name}: not a valid value; give {RANGES[name]}"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("DB_POOL_SIZE", "1001"),
        ("DB_POOL_SIZE", "1.5"),
        ("DB_POOL_TIMEOUT_SECONDS", "300.5"),
        ("DB_CONNECT_TIMEOUT_SECONDS", "301"),
        ("DB_COMMAND_TIMEOUT_SECONDS", "3601"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "525601"),
        ("MAX_BODY_BYTES", "1023"),
        ("SMTP_PORT", "65536"),
        ("SMTP_TIMEOUT_SECONDS", "301"),
        ("MAIL_QUEUE_SIZE", "100001"),
        ("PASSWORD_RESET_EXPIRE_MINUTES", "10081"),
    ],
)
def test_load_with_a_number_just_out_of_bounds_says_the_range(load: Load, name: str, wrong: str) -> None:
    """The bounds are where the text says that they are."""
    assert faults(load, **{name: wrong}) == [f"{name}: not a valid value; give {RANGES[name]}"]


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "https://*.example.com",
        "app.example.com",
        "ftp://app.example.com",
        "https://",
        "https://app.example.com/path",
        "https://app.example.com?query",
        "https://app.example.com#fragment",
        "https://app example.com",
        "https://app.example.com:port",
        "https://app.example.com:99999",
        "https://admin:hunter2@app.example.com",
        "https://admin:hunter2@app.example.com/path",
        "https://app.example.com https://other.example.com",
        "https://app.example.com,*",
        '["https://app.example.com"',
        "[https://app.example.com]",
        "[1]",
    ],
)
def test_load_with_a_bad_cors_origin_says_the_form(load: Load, origins: str) -> None:
    """What no browser sends as an origin would silently never match; `*` would match everyone."""
    (line,) = faults(load, CORS_ORIGINS=origins)
    assert line.startswith("CORS_ORIGINS: ")
    assert "scheme://host[:port]" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("name", ["SMTP_TLS", "SMTP_SSL"])
@pytest.mark.parametrize("wrong", ["maybe", "starttls", "2"])
def test_load_with_a_bad_switch_lists_the_valid_values(load: Load, name: str, wrong: str) -> None:
    """A switch is on or off."""
    (line,) = faults(load, SMTP_HOST="smtp.example.com", **{name: wrong})
    assert line == f"{name}: not a valid value; choose one of: true, false"


@pytest.mark.parametrize(
    "host",
    [
        "smtp://smtp.example.com",
        "smtp.example.com:587",
        "app:hunter2@smtp.example.com",
        "smtp.example.com/",
        "smtp example",
        "smtp..example.com",
        "[::1]",
        "smtp.example.com\r\nQUIT",
    ],
)
def test_load_with_a_bad_smtp_host_says_the_form(load: Load, host: str) -> None:
    """A URL, a port or a user in it would be looked up as a name, at the first mail only."""
    (line,) = faults(load, SMTP_HOST=host)
    assert line.startswith("SMTP_HOST: ")
    assert "a name or an IP address" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "app.example.com",
        "https://app.example.com/path",
        "https://a.example.com,https://b.example.com",
        "https://admin:hunter2@app.example.com",
        'https://app.example.com"><script>',
    ],
)
def test_load_with_a_bad_frontend_host_says_the_form(load: Load, origin: str) -> None:
    """Links in mail are made of it."""
    (line,) = faults(load, FRONTEND_HOST=origin)
    assert line.startswith("FRONTEND_HOST: ")
    assert "scheme://host[:port]" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("name", ["PROJECT_NAME", "EMAILS_FROM_NAME"])
@pytest.mark.parametrize(
    "wrong", ["Shop\r\nBcc: eve@example.com", "Sh\nop", "Sh\top", "Sh\u2028op", "x" * 101]
)
def test_load_with_a_name_that_is_no_line_says_so(load: Load, name: str, wrong: str) -> None:
    """Names become headers of mail."""
    (line,) = faults(load, **{name: wrong})
    assert line.startswith(f"{name}: ")
    assert "100 characters" in line


@pytest.mark.parametrize("email", ["post", "post@", "post@example.com\r\nBcc: eve@example.com"])
def test_load_with_a_bad_sender_says_that_it_is_no_address(load: Load, email: str) -> None:
    """An address alone; the name has a variable of its own."""
    (line,) = faults(load, EMAILS_FROM_EMAIL=email)
    assert line.startswith("EMAILS_FROM_EMAIL: ")
    assert "email address" in line


def test_load_with_both_kinds_of_encryption_says_to_choose(load: Load) -> None:
    """One of the two would be ignored, and which one is anybody's guess."""
    (line,) = faults(load, SMTP_HOST="smtp.example.com", SMTP_TLS="true", SMTP_SSL="true")
    assert line.startswith("SMTP_TLS: excludes SMTP_SSL; ")


@pytest.mark.parametrize(
    ("given", "missing"),
    [({"SMTP_USER": "app"}, "SMTP_PASSWORD"), ({"SMTP_PASSWORD": "hunter2"}, "SMTP_USER")],
)
def test_load_with_half_a_login_says_what_is_missing(
    load: Load, given: dict[str, str], missing: str
) -> None:
    """Found at the start, not by a mail that is not sent."""
    (line,) = faults(load, SMTP_HOST="smtp.example.com", **given)
    assert line.startswith(f"{missing}: needed with {next(iter(given))}; ")
    assert "hunter2" not in line


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_load_outside_local_demands_a_sender_and_a_front_end(load: Load, environment: str) -> None:
    """Mail from info@example.com with links to localhost helps nobody."""
    lines = faults(load, ENVIRONMENT=environment, SECRET_KEY=SECRET, SMTP_HOST="smtp.example.com")
    assert [line.partition(":")[0] for line in lines] == ["EMAILS_FROM_EMAIL", "FRONTEND_HOST"]
    assert all(f"needed with SMTP_HOST and ENVIRONMENT={environment}; give " in line for line in lines)


def test_load_tells_every_faulty_variable_at_once(load: Load) -> None:
    """All errors are reported at once."""
    lines = faults(load, DB_BACKEND="oracle", DB_POOL_SIZE="0", FIRST_SUPERUSER="root", CORS_ORIGINS="*")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "CORS_ORIGINS",
        "DB_BACKEND",
        "DB_POOL_SIZE",
        "FIRST_SUPERUSER",
    ]


def test_load_tells_every_fault_between_variables_at_once(load: Load) -> None:
    """Also of what one variable demands of another, each on a line of its own."""
    lines = faults(
        load, DB_BACKEND="postgres", ENVIRONMENT="production", FIRST_SUPERUSER="root@example.com"
    )
    assert sorted(line.partition(":")[0] for line in lines) == [
        "DATABASE_URL",
        "FIRST_SUPERUSER_PASSWORD",
        "SECRET_KEY",
    ]


def test_load_with_a_dotenv_that_is_no_text_says_so(load: Load, tmp_path: Path) -> None:
    """PowerShell's `echo > .env` writes UTF-16: one line about `.env`, not a traceback."""
    (tmp_path / ".env").write_bytes("DB_BACKEND=mongo\n".encode("utf-16"))
    (line,) = faults(load)
    assert ".env" in line
    assert "UTF-8" in line


# -- the object ----------------------------------------------------------------------------------


def test_settings_are_frozen(load: Load) -> None:
    """Nobody can change a setting after the check."""
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.db_pool_size = 1  # type: ignore[misc] # what is tested
    assert settings.db_pool_size == 20


def test_settings_show_no_secret(load: Load) -> None:
    """A printed or logged object holds neither the URL with its password nor the keys."""
    settings = load(
        DB_BACKEND="postgres",
        DATABASE_URL=POSTGRES,
        SECRET_KEY=SECRET,
        FIRST_SUPERUSER_PASSWORD="correct horse",
        SMTP_PASSWORD="battery staple",
    )
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "db_backend" in shown
        for secret in ("hunter2", SECRET, "correct horse", "battery staple"):
            assert secret not in shown


def test_database_choice_demands_nothing_of_the_rest(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """`eitherdb dev` asks which database, before it starts one and knows its URL."""
    load()
    monkeypatch.setenv("DB_BACKEND", "postgres")
    monkeypatch.setenv("ENVIRONMENT", "nonsense")
    choice = DatabaseChoice.load()
    assert (choice.db_backend, choice.database_url) == ("postgres", None)
    monkeypatch.setenv("DB_BACKEND", "oracle")
    with pytest.raises(SettingsError, match=r"^DB_BACKEND: .*: sqlite, postgres, mongo$"):
        DatabaseChoice.load()
