"""PostgreSQL's URL: every option that is not obeyed is refused by its name with what is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.sql.postgres_options import OPTIONS
from tests.unit.test_postgres_url import HOST, read, refused

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
    here = Path(__file__)
    source = here.read_text(encoding="utf-8") + (here.parent / "test_postgres_url.py").read_text(
        encoding="utf-8"
    )
    assert [name for name in OPTIONS if f"{name}=" not in source] == []
