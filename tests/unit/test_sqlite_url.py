"""SQLite's URL: which file it names, and every option obeyed, or refused by its name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backends.errors import BackendError
from backends.sql.sqlite import connect
from backends.sql.sqlite_url import OPTIONS, SqliteOptions, sqlite_options
from tests.provision import make_settings


def read(url: str) -> SqliteOptions:
    """Read a URL."""
    return sqlite_options(make_settings(db_backend="sqlite", database_url=url))


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/data/shop.db", "/here/data/shop.db"),
        ("//data/shop.db", "/data/shop.db"),
        ("//data/my shop.db", "/data/my shop.db"),
        ("//data/my%20shop.db", "/data/my shop.db"),
        ("//data/100%.db", "/data/100%.db"),
        ("//data/100%25.db", "/data/100%.db"),
        ("//data/what%3F.db", "/data/what?.db"),
        ("//data/a%23b.db", "/data/a#b.db"),
        ("//data/a#b.db", "/data/a#b.db"),
        ("//data/a@b.db", "/data/a@b.db"),
        ("//data/a+b.db", "/data/a+b.db"),
        ("//data/größe.db", "/data/größe.db"),
        ("/~/shop.db", "/home/app/shop.db"),
        ("/file:shop.db", "/here/shop.db"),
        ("/file:/data/shop.db", "/data/shop.db"),
        ("/file:///data/shop.db", "/data/shop.db"),
        ("/file://localhost/data/shop.db", "/data/shop.db"),
        ("/file:shop.db?uri=true", "/here/shop.db"),
    ],
)
def test_path_names_a_file(path: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Percent-encoded or not; three slashes before a relative path, four before an absolute one."""
    monkeypatch.setenv("HOME", "/home/app")
    monkeypatch.chdir(tmp_path)
    options = read(f"sqlite://{path}")
    assert str(options.file).replace(str(tmp_path), "/here") == file
    assert options.arguments["database"] == str(options.file)


@pytest.mark.parametrize("name", ["a b", "a%b", "a?b", "a#b", "a&b=c", "ä", "a'b", "a%20b"])
@pytest.mark.parametrize("query", ["", "?mode=rwc", "?psow=0"])
def test_connection_makes_the_file_that_is_named(name: str, query: str, tmp_path: Path) -> None:
    """Also where SQLite is given an URI, which has rules of its own."""
    encoded = name.replace("%", "%25").replace("?", "%3F")
    settings = make_settings(db_backend="sqlite", database_url=f"sqlite:///{tmp_path}/{encoded}{query}")
    with closing(connect(settings)) as connection:
        connection.execute("CREATE TABLE x (y)")
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://shop.db", "there must be three slashes"),
        ("sqlite://app:hunter2@host/shop.db", "there must be three slashes"),
        ("sqlite:///?mode=rw", "the URL names no file"),
        ("sqlite:///file:?mode=rw", "the URL names no file"),
        ("sqlite:///a%00b", "the URL names no file"),
    ],
)
def test_url_without_a_file_is_refused(url: str, words: str) -> None:
    """With what to write instead."""
    with pytest.raises(BackendError, match=words):
        read(url)


def test_mode_rw_makes_no_file(tmp_path: Path) -> None:
    """A slip in the path is found, where a new file would be empty."""
    url = f"sqlite:///{tmp_path}/shop.db?mode=rw"
    assert read(url).must_exist
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect(make_settings(db_backend="sqlite", database_url=url))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "mode=rwc",
        "cache=private&immutable=0&nolock=0&vfs=unix&uri=true",
        "check_same_thread=false&isolation_level=IMMEDIATE&detect_types=0",
        "timeout=30&cached_statements=10&psow=1",
    ],
)
def test_option_is_applied(query: str, tmp_path: Path) -> None:
    """By SQLite, by the driver, or because it is so in any case."""
    settings = make_settings(db_backend="sqlite", database_url=f"sqlite:///{tmp_path}/shop.db?{query}")
    with closing(connect(settings)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_options_reach_the_driver() -> None:
    """Those of the driver as arguments, those of SQLite in its URI."""
    assert read("sqlite:////x.db?cached_statements=10&psow=0&mode=rw").arguments == {
        "database": "file:/x.db?mode=rw&psow=0",
        "uri": True,
        "timeout": 30.0,
        "cached_statements": 10,
    }


REFUSED = {
    "mode=ro": "EitherDB writes; leave it out, or give rw",
    "mode=hunter2": "choose one of: rwc, rw",
    "cache=shared": "block each other",
    "immutable=1": "EitherDB writes",
    "nolock=1": "would damage the file",
    "vfs=unix-none": "the system's own locks",
    "psow=x": "true, false",
    "uri=x": "true, false",
    "check_same_thread=true": "leave it out",
    "isolation_level=DEFERRED": "BEGIN IMMEDIATE",
    "detect_types=1": "leave it out",
    "cached_statements=x": "an integer from 0",
    "timeout=5": "contradicts DB_COMMAND_TIMEOUT_SECONDS=30",
    "timeout=x": "not a number",
    "journal_mode=wal": "leave it out, or give one of: cached_statements, mode, psow, uri",
    "mod=rw": "is it mode?",
    "mode=": "has no value",
    "mode=rw&mode=rw": "is given twice",
}


@pytest.mark.parametrize("query", REFUSED)
def test_option_is_refused_by_name(query: str) -> None:
    """The words begin with its name and say what is possible."""
    with pytest.raises(BackendError) as caught:
        read(f"sqlite:////x.db?{query}")
    words = str(caught.value)
    assert words.startswith(f"the option {query.partition('=')[0]}: ")
    assert REFUSED[query] in words
    assert "hunter2" not in words


def test_every_option_is_tried() -> None:
    """A row that is added to the table needs a test."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in OPTIONS if f"{name}=" not in source] == []
