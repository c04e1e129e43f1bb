"""PostgreSQL's URL: every option is obeyed, or refused by its name with what is possible."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from backends.errors import BackendError
from backends.sql.postgres_options import OPTIONS
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


# -- options that are refused --------------------------------------------------------------------


REFUSED = {
    "sslmode=hunter2": "choose one of: disable, allow, prefer, require, verify-ca, verify-full",
    "ssl=hunter2": "choose one of: true, false",
    "sslmode=verify-full": "add sslrootcert=system",
    "sslmode=verify-ca": "add sslrootcert=system",
    "sslmode=require&sslrootcert=system": "system needs sslmode=verify-full",
    "sslrootcert=/none/ca.pem": "the file /none/ca.pem can't be read: No such file or directory",
    "sslcert=/none/ca.pem": "the file /none/ca.pem can't be read",
    "sslkey=/none/ca.pem": "the file /none/ca.pem can't be read",
    "sslcrl=/none/ca.pem": "the file /none/ca.pem can't be read",
    "sslrootcert={file}": "add sslmode=verify-full",
    "sslmode=prefer&sslrootcert={file}": "add sslmode=verify-full",
    "sslmode=disable&sslcert={file}": "disable leaves no use",
    "sslrootcert=system&sslcert={file}": "can't be used",
    "ssl_min_protocol_version=SSLv3": "TLSv1.2",
    "ssl_max_protocol_version=SSLv3": "TLSv1.2",
    "sslnegotiation=hunter2": "postgres, direct",
    "sslcompression=1": "leave it out",
    "sslsni=0": "leave it out",
    "sslcertmode=require": "leave it out",
    "requiressl=1": "sslmode=require",
    "sslcrldir=/x": "sslcrl=",
    "sslkeylogfile=/x": "SSLKEYLOGFILE",
    "channel_binding=require": "sslmode=verify-full",
    "require_auth=scram-sha-256": "pg_hba.conf",
    "gssencmode=require": "sslmode=require",
    "gsslib=hunter2": "gssapi, sspi",
    "gssdelegation=1": "leave it out",
    "requirepeer=postgres": "sslmode=verify-full",
    "passfile=/none": "the file /none can't be read",
    "passfile={open}": "run chmod 600",
    "target_session_attrs=standby": "EitherDB writes; choose one of: read-write, primary, any",
    "target_session_attrs=read-only": "EitherDB writes",
    "target_session_attrs=prefer-standby": "EitherDB writes",
    "load_balance_hosts=random": "in order",
    "hostaddr=127.0.0.1": "as the URL's host",
    "options=-d": "-c name=value",
    "options=-c": "-c name=value",
    "options=-c%20synchronous_commit%3Doff": "synchronous_commit: an answered write must survive",
    "options=-c%20default_transaction_read_only%3Don": "EitherDB writes",
    "options=-c%20session_replication_role%3Dreplica": "foreign keys",
    "options=-c%20standard_conforming_strings%3Doff": "needs it on",
    "search_path=a&options=-c%20search_path%3Db": "contradicts the one in options",
    "search_path=a&schema=b": "contradicts search_path",
    "client_encoding=latin1": "UTF-8 only",
    "replication=database": "leave it out",
    "statement_cache_size=-1": "an integer from 0",
    "statement_cache_size=hunter2": "an integer from 0",
    "prepared_statement_cache_size=x": "an integer from 0",
    "pgbouncer=hunter2": "true, false",
    "pgbouncer=true&statement_cache_size=5": "contradicts pgbouncer",
    "prepared_statements=x": "true, false",
    "connect_timeout=0": "give 1 to 300",
    "connect_timeout=hunter2": "not a number; leave it out, for DB_CONNECT_TIMEOUT_SECONDS",
    "connect_timeout=inf": "give 1 to 300",
    "connect_timeout=nan": "give 1 to 300",
    "timeout=301": "give 1 to 300",
    "command_timeout=5": "give DB_COMMAND_TIMEOUT_SECONDS",
    "socket_timeout=5": "give DB_COMMAND_TIMEOUT_SECONDS",
    "connection_limit=1": "contradicts DB_POOL_SIZE=10; leave it out, and give DB_POOL_SIZE",
    "pool_size=1": "give DB_POOL_SIZE",
    "pool_timeout=1": "give DB_POOL_TIMEOUT_SECONDS",
    "keepalives=1": "tcp_keepalives_idle",
    "keepalives_idle=1": "tcp_keepalives_idle",
    "keepalives_interval=1": "tcp_keepalives_idle",
    "keepalives_count=1": "tcp_keepalives_idle",
    "tcp_user_timeout=1": "tcp_keepalives_idle",
    "service=shop": "write into the URL what the file says",
    "servicefile=/x": "write into the URL what the file says",
    "sslmod=require": "is it sslmode?",
    "SSLMODE=require": "is it sslmode?",
    "bogus=hunter2": "leave it out, or give one of: application_name, ",
    "sslmode=": "has no value",
    "sslmode": "has no value",
    "sslmode=require&sslmode=require": "is given twice",
    "application_name=a%0Ab": "control characters",
}


@pytest.mark.parametrize("query", REFUSED)
def test_option_is_refused_by_name(query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words begin with its name and say what is possible."""
    monkeypatch.setenv("HOME", str(tmp_path))  # no certificates are there
    (tmp_path / "file").touch()
    (tmp_path / "open").touch(mode=0o644)
    text = query.replace("{file}", str(tmp_path / "file")).replace("{open}", str(tmp_path / "open"))
    words = refused(f"{HOST}?{text}")
    names = [part.partition("=")[0] for part in query.split("&")]
    assert any(words.startswith(f"the option {name}: ") for name in names), words
    assert REFUSED[query] in words


def test_setting_and_option_must_agree_where_both_are_given() -> None:
    """Where only the option is given it counts."""
    url = f"{HOST}?connect_timeout=15"
    assert read(url, db_connect_timeout_seconds=15).arguments["timeout"] == 15
    assert "contradicts DB_CONNECT_TIMEOUT_SECONDS=7; give one of them" in refused(
        url, db_connect_timeout_seconds=7
    )


def test_every_option_is_tried() -> None:
    """A row that is added to the table needs a test."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in OPTIONS if f"{name}=" not in source] == []
