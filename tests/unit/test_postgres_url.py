"""PostgreSQL's URL: every option is obeyed, or refused by its name with what is possible."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from backends.errors import BackendError
from backends.sql.postgres_url import PostgresOptions, postgres_options, with_search_path
from tests.provision import make_settings

HOST = "postgresql://app:hunter2@db.example.com/shop"


def read(url: str, **settings: Any) -> PostgresOptions:
    """Read a URL with settings that are not given otherwise."""
    given = {"db_pool_size": 10, "db_pool_timeout_seconds": 60, **settings}
    return postgres_options(make_settings(db_backend="postgres", database_url=url, **given))


def refused(url: str, **settings: Any) -> str:
    """Return with what words a URL is refused; no secret may be in them."""
    with pytest.raises(BackendError) as caught:
        read(url, **settings)
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


# -- where the server is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "hosts"),
    [
        ("//db/shop", [("db", None)]),
        ("//db:6432/shop", [("db", 6432)]),
        ("//a:1,b:2/shop", [("a", 1), ("b", 2)]),
        ("//a,b:2/shop", [("a", None), ("b", 2)]),
        ("//[::1]:5433/shop", [("::1", 5433)]),
        ("//[::1]/shop", [("::1", None)]),
        ("//[fe80::1%eth0]/shop", [("fe80::1%eth0", None)]),
        ("//[::1]:1,127.0.0.1:2/shop", [("::1", 1), ("127.0.0.1", 2)]),
        ("//%2Fvar%2Frun/shop", [("/var/run", None)]),
        ("//%2Fvar%2Frun:6432/shop", [("/var/run", 6432)]),
        ("///shop?host=/var/run", [("/var/run", None)]),
        ("///shop?host=/var/run&port=6432", [("/var/run", 6432)]),
        ("//app@/shop?host=%2Fvar%2Frun", [("/var/run", None)]),
        ("///shop?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("///shop?host=a,b&port=1", [("a", 1), ("b", 1)]),
        ("///shop?host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("//db/shop?port=6432", [("db", 6432)]),
        ("///shop", [(None, None)]),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "POSTGRES"])
def test_hosts(scheme: str, place: str, hosts: list[tuple[str | None, int | None]]) -> None:
    """As libpq and SQLAlchemy write them."""
    options = read(f"{scheme}:{place}")
    assert list(options.hosts) == hosts
    assert options.arguments["database"] == "shop"


def test_several_hosts_are_searched_for_one_that_writes() -> None:
    """The others are standbys, unless the URL says that any will do."""
    assert "target_session_attrs" not in read("postgresql://a/shop").arguments
    assert read("postgresql://a,b/shop").arguments["target_session_attrs"] == "read-write"
    assert read("postgresql://a,b/shop?target_session_attrs=any").arguments["target_session_attrs"] == "any"


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("app:hunter2", {"user": "app", "password": "hunter2"}),
        ("app:p%40ss%2Fw%3Ard%20%25%23", {"user": "app", "password": "p@ss/w:rd %#"}),
        ("app:a+b", {"user": "app", "password": "a+b"}),
        ("app:a:b@c", {"user": "app", "password": "a:b@c"}),
        ("app:a/b?c#d", {"user": "app", "password": "a/b?c#d"}),
        ("app:50%off%zz%", {"user": "app", "password": "50%off%zz%"}),
        ("%C3%A4pp", {"user": "äpp"}),
        ("app:", {"user": "app"}),
    ],
)
def test_user_and_password_are_decoded(account: str, expected: dict[str, str]) -> None:
    """Signs that had better be encoded are taken where they can be told from a port and a path."""
    arguments = read(f"postgresql://{account}@db/shop").arguments
    assert {name: arguments.get(name) for name in ("user", "password")} == {"password": None} | expected


def test_parts_may_be_options() -> None:
    """Where nothing stands before the question mark."""
    arguments = read("postgresql://?host=db&dbname=shop&user=app&password=hunter2").arguments
    assert (arguments["database"], arguments["user"], arguments["password"]) == ("shop", "app", "hunter2")


def test_missing_parts_are_left_to_the_driver() -> None:
    """Which takes them from the environment, or the database that is named like the user."""
    arguments = read("postgresql://db").arguments
    assert not {"user", "password", "database"} & arguments.keys()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://app:1/hunter2@db/shop", "write @ as %40"),
        ("postgresql://app:1#hunter2@db/shop", "# as %23"),
        ("postgresql://app:1?hunter2@db/shop", "? as %3F"),
        ("postgresql://db/shop#hunter2", "# as %23"),
        ("postgresql://app:hunter2%ff@db/shop", "UTF-8"),
        ("postgresql://db:hunter2/shop", "a port is a number"),
        ("postgresql://db:0/shop", "a port is a number"),
        ("postgresql://db:65536/shop", "a port is a number"),
        ("postgresql://::1/shop", "[::1]:5432"),
        ("postgresql://db/shop?host=other", "the option host: is given twice"),
        ("postgresql://db:1/shop?port=2", "the option port: does not fit the hosts"),
        ("postgresql:///shop?host=a,b&port=1,2,3", "the option port: does not fit the hosts"),
        (f"{HOST}?user=other", "the option user: is given twice"),
        (f"{HOST}?password=hunter2", "the option password: is given twice"),
        (f"{HOST}?dbname=other", "the option database: is given twice"),
        (f"{HOST}?database=other", "the option database: is given twice"),
    ],
)
def test_url_that_is_no_url_is_refused(url: str, words: str) -> None:
    """With what to write instead."""
    assert words in refused(url)


# -- options that are obeyed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("passfile={private}", {"passfile": "{private}"}),
        ("krbsrvname=pg", {"krbsrvname": "pg"}),
        ("gsslib=gssapi", {"gsslib": "gssapi"}),
        ("target_session_attrs=primary", {"target_session_attrs": "primary"}),
        ("target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
        ("connect_timeout=15", {"timeout": 15.0}),
        ("timeout=15", {"timeout": 15.0}),
        ("statement_cache_size=7", {"statement_cache_size": 7}),
        ("prepared_statement_cache_size=7", {"statement_cache_size": 7}),
        ("pgbouncer=true", {"statement_cache_size": 0}),
        ("pgbouncer=true&statement_cache_size=0", {"statement_cache_size": 0}),
        ("pgbouncer=false&statement_cache_size=7", {"statement_cache_size": 7}),
        ("prepared_statements=false", {"statement_cache_size": 0}),
    ],
)
def test_option_becomes_an_argument(query: str, expected: dict[str, Any], tmp_path: Path) -> None:
    """Under the name that asyncpg has for it."""
    private = tmp_path / "private"
    private.touch(mode=0o600)
    arguments = read(f"{HOST}?{query.replace('{private}', str(private))}").arguments
    expected = {name: str(private) if value == "{private}" else value for name, value in expected.items()}
    assert {name: arguments[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("query", "passed_on"),
    [
        ("sslmode=disable", None),
        ("sslmode=allow", None),
        ("sslmode=prefer", None),
        ("sslmode=require", None),
        ("ssl=true", "sslmode=require"),
        ("ssl=false", "sslmode=disable"),
        ("ssl=prefer", "sslmode=prefer"),
        ("sslmode=verify-ca&sslrootcert={file}", None),
        ("sslmode=verify-full&sslrootcert={file}&sslcrl={file}", None),
        ("sslmode=require&sslcert={file}&sslkey={file}&sslpassword=hunter%202", None),
        ("sslmode=require&ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.3", None),
        ("sslmode=require&sslnegotiation=direct", None),
    ],
)
def test_option_of_tls_is_passed_on(query: str, passed_on: str | None, tmp_path: Path) -> None:
    """Asyncpg knows libpq's options of TLS in a URL only, so they are handed over as one."""
    file = tmp_path / "a file"
    file.touch()
    given = query.replace("{file}", quote(str(file)))
    dsn = urlsplit(read(f"{HOST}?{given}").arguments["dsn"])
    assert (dsn.scheme, dsn.netloc, dsn.path) == ("postgresql", "", "")
    assert parse_qs(dsn.query) == parse_qs(passed_on or given)


@pytest.mark.parametrize(
    ("query", "session"),
    [
        ("", {}),
        ("application_name=shop%20api", {"application_name": "shop api"}),
        ("fallback_application_name=shop", {"application_name": "shop"}),
        ("application_name=a&fallback_application_name=b", {"application_name": "a"}),
        ("search_path=shop", {"search_path": "shop"}),
        ("schema=shop", {"search_path": "shop"}),
        ("schema=shop&search_path=shop", {"search_path": "shop"}),
        ("options=-c%20search_path%3Dshop", {"search_path": "shop"}),
        ("options=-csearch_path=shop", {"search_path": "shop"}),
        ("options=--search-path=shop", {"search_path": "shop"}),
        ("options=-c%20search_path%3Dshop&search_path=shop", {"search_path": "shop"}),
        (
            "options=-c%20statement_timeout%3D5000%20-c%20search_path%3Da%5C%20b",
            {"statement_timeout": "5000", "search_path": "a b"},
        ),
        ("options=endpoint%3Dep-1", {"options": "endpoint=ep-1"}),
        ("options=project%3Dp%20-c%20geqo%3Doff", {"options": "project=p", "geqo": "off"}),
        ("client_encoding=utf8&gssencmode=prefer&channel_binding=prefer&sslsni=1", {}),
        ("connection_limit=10&pool_timeout=60&command_timeout=30", {}),
    ],
)
def test_option_becomes_a_setting_of_the_session(query: str, session: dict[str, str]) -> None:
    """What asks for what happens anyway changes nothing."""
    expected = {"application_name": "eitherdb"} | session
    assert read(f"{HOST}?{query}").arguments["server_settings"] == expected


def test_certificates_of_the_system_are_checked_with_the_name() -> None:
    """Asyncpg would look for a file of the name `system`."""
    for query in ("sslrootcert=system", "sslmode=verify-full&sslrootcert=system&sslnegotiation=direct"):
        arguments = read(f"{HOST}?{query}").arguments
        context = arguments["ssl"]
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert arguments["direct_tls"] == ("direct" in query)


def test_migrations_have_no_time_limit_and_all_other_options() -> None:
    """One function reads the URL for all who connect."""
    settings = make_settings(db_backend="postgres", database_url=f"{HOST}?sslmode=require&pgbouncer=true")
    service, migration = (
        postgres_options(settings),
        postgres_options(settings, command_timeout=False),
    )
    assert (service.hosts, service.keeps_statements) == (migration.hosts, migration.keeps_statements)
    assert not service.keeps_statements
    assert {**service.arguments, "command_timeout": None} == migration.arguments


def test_report_replaces_the_schema() -> None:
    """However the URL names it; everything else stays."""
    session = "-c%20search_path%3Db%20-c%20geqo%3Da%5C%20b%20endpoint%3De"
    url = f"{HOST}?schema=a&sslmode=require&options={session}"
    options = read(with_search_path(url, "scratch"))
    assert options.arguments["server_settings"] == {
        "application_name": "eitherdb",
        "search_path": "scratch",
        "geqo": "a b",
        "options": "endpoint=e",
    }
    assert options.arguments["dsn"] == "postgresql://?sslmode=require"
    assert read(with_search_path(HOST, "scratch")).arguments["password"] == "hunter2"
