"""The arguments of psycopg that follow from DATABASE_URL."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from backends.errors import BackendError
from backends.sql.mapped.psycopg_connect import read_options
from tests.provision import make_settings

DEFAULTS = {
    "application_name": "eitherdb",
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "prepare_threshold": None,
    "target_session_attrs": "any",
}


def options_of(url: str) -> Any:
    """Return the options for a URL."""
    return read_options(make_settings(db_backend="postgres", database_url=url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql:///name", {"dbname": "name"}),
        (
            "postgresql://ada:p%40ss@db:5433/name",
            {"user": "ada", "password": "p@ss", "host": "db", "port": "5433", "dbname": "name"},
        ),
        (
            "postgresql://a:1,b:2/name",
            {"host": "a,b", "port": "1,2", "dbname": "name", "target_session_attrs": "primary"},
        ),
        ("postgresql://%2Frun%2Fpg/name", {"host": "/run/pg", "dbname": "name"}),
        (
            "postgresql://db?target_session_attrs=read-write",
            {"host": "db", "target_session_attrs": "primary"},
        ),
        ("postgresql://db?ssl=true", {"host": "db", "sslmode": "require"}),
        (
            "postgresql://db?connect_timeout=7",
            {"host": "db", "connect_timeout": 7, "tcp_user_timeout": 7000},
        ),
        (
            "postgresql://db?application_name=report&pgbouncer=true",
            {"host": "db", "application_name": "report"},
        ),
    ],
)
def test_options_of_the_url_become_arguments(url: str, expected: dict[str, Any]) -> None:
    """Each option has its libpq name; `read-write` would refuse a session that only reads."""
    assert options_of(url).arguments == DEFAULTS | expected


def test_settings_of_the_session_become_options_of_the_server() -> None:
    """The search path is set in each transaction; other settings are passed on, with blanks escaped."""
    options = options_of(
        "postgresql://db?search_path=a%20b&options=-c%20work_mem%3D8MB%20endpoint%3Dx%20-c%20a.b%3Dx%5C%20y"
    )
    assert options.search_path == "a b"
    assert options.session == r"endpoint=x -c work_mem=8MB -c a.b=x\ y"


def test_missing_psycopg_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message names it, and what needs none."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BackendError, match=r"eitherdb\[reports\]'`, or use async_session_factory"):
        options_of("postgresql://db")


def test_invalid_options_are_refused_as_by_the_service() -> None:
    """The same table decides, with the same words."""
    for option in ("sslmode=verify-full&sslrootcert=/nowhere", "nonsense=1", "sslmode=disable&sslcrl=x"):
        with pytest.raises(BackendError, match="the option"):
            options_of(f"postgresql://db?{option}")
