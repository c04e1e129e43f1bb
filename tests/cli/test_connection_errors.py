"""Failed connections to real servers: commands report each in one line.

The line names the operation, the server's message and the remedy, and shows no secret.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from pymongo import MongoClient

from cli.local_servers import MONGOD_IS_READY, find_mongod, mongod_command, start_postgres
from cli.server_folder import ServerFolder
from config import MongoDriver
from tests.cli.command import call, free_port
from tests.cli.listeners import (
    listening,
    make_certificate,
    postgres,
    says,
    says_nothing,
    server_context,
)
from tests.provision import Servers

# A driver that is closed while it connects leaves the socket to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _collect_sockets() -> Iterator[None]:
    """Collect these sockets before the tests of another module run."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


SOON = {"DB_CONNECT_TIMEOUT_SECONDS": "1.5"}
"""For silent servers, and for MongoDB's drivers, which retry until the timeout."""

HTTP = says(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n")
MYSQL = says(b"J\x00\x00\x00\n8.0.36\x00\x08\x00\x00\x00abcdefgh\x00", first=True)
COMMANDS = ("check", "serve", "migrate upgrade")


def refused(folder: Path, command: str, **variables: str) -> str:
    """Run a command that must fail with exit code 2; return its line about the database."""
    words = [*command.split(), *(["--port", str(free_port())] if command == "serve" else [])]
    result = call(folder, *words, settings=None, stdin="", **variables)
    output = result.out + result.err
    assert result.exit_code == 2, result
    assert "Traceback" not in output
    assert "hunter2" not in output
    assert "hunter3" not in output
    (line,) = [line for line in output.splitlines() if "DATABASE_URL" in line]
    return line


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start PostgreSQL, MongoDB, proxies and other servers; yield their ports and certificate files."""
    folder = tmp_path_factory.mktemp("tls")
    certificates = {
        "ca": make_certificate(folder, "localhost"),
        "other_ca": make_certificate(folder, "other", host="db.example.com"),
        "old_ca": make_certificate(folder, "old", is_expired=True),
    }
    with ExitStack() as cleanup:
        enter = cleanup.enter_context
        server = enter(start_postgres(tmp_path_factory.mktemp("pg"), durable=False))
        hba = "local all app scram-sha-256\nlocal all shut reject\nlocal all all trust\n"
        (next(folder.parent.glob("pg*/db")) / "pg_hba.conf").write_text(hba)
        socket = parse_qs(urlsplit(server.url).query)["host"][0]
        for statement in (
            "CREATE ROLE app LOGIN PASSWORD 'hunter2'",
            "CREATE ROLE shut LOGIN",
            "CREATE ROLE few LOGIN CONNECTION LIMIT 0",
            "SELECT pg_reload_conf()",
        ):
            _psql(socket, statement)
        contexts = {name: server_context(file) for name, file in certificates.items()}
        file = f"{socket}/.s.PGSQL.5432"
        ports = {
            "plain": enter(listening(postgres(file))),
            "tls": enter(listening(postgres(file, contexts["ca"]))),
            "other": enter(listening(postgres(file, contexts["other_ca"]))),
            "old": enter(listening(postgres(file, contexts["old_ca"]))),
            "http": enter(listening(HTTP)),
            "mysql": enter(listening(MYSQL)),
            "silent": enter(listening(says_nothing)),
            "closed": free_port(),
            "mongo": _start_mongo(tmp_path_factory.mktemp("mongo"), certificates["ca"], cleanup),
        }
        texts = {name: str(value) for name, value in (ports | certificates).items()}
        yield texts


def _psql(socket: str, statement: str) -> None:
    from asyncio import run  # noqa: PLC0415

    import asyncpg  # noqa: PLC0415

    async def execute() -> None:
        connection = await asyncpg.connect(host=socket, user="postgres")
        await connection.execute(statement)
        await connection.close()

    run(execute())


def _start_mongo(folder: Path, certificate: Path, cleanup: ExitStack) -> int:
    """Start a MongoDB server that requires TLS and a password; return its port."""
    programs, _ = find_mongod()
    server = ServerFolder(folder, cleanup)
    server.db.mkdir()
    port = free_port()
    tls = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate)]
    tls += ["--tlsCAFile", str(certificate), "--tlsAllowConnectionsWithoutCertificates"]
    command = [*mongod_command(programs, server.db, port), "--auth", *tls]
    server.run(command, f"mongodb://localhost:{port}", ready=MONGOD_IS_READY)
    with MongoClient[dict[str, object]](
        f"mongodb://localhost:{port}/?tls=true&tlsCAFile={certificate}"
    ) as admin:
        admin["admin"].command("createUser", "app", pwd="hunter2", roles=[])
    return port


# -- PostgreSQL ----------------------------------------------------------------------------------

POSTGRES = {
    "app:hunter2@localhost:{closed}/shop": "nothing listens at this address ([Errno 111]",
    "app:hunter2@no-such-host.invalid/shop": "the host name is unknown ([Errno",
    "app:hunter2@localhost:{silent}/shop": "the server did not answer in time; check that PostgreSQL",
    "app:hunter2@/shop?host=/none": "the socket does not exist ([Errno 2]",
    "app:hunter2@localhost:{plain}/shop?sslmode=require": "the server refuses TLS, or is not PostgreSQL",
    "app:hunter2@localhost:{tls}/shop?sslrootcert=system": "the server's certificate is not trusted ([SSL",
    "app:hunter2@localhost:{tls}/shop?sslmode=verify-ca&sslrootcert={other_ca}": "is not trusted ([SSL",
    "app:hunter2@localhost:{other}/shop?sslmode=verify-full&sslrootcert={other_ca}": "is for another host",
    "app:hunter2@localhost:{old}/shop?sslmode=verify-full&sslrootcert={old_ca}": "has expired (",
    "app:hunter2@localhost:{http}/shop": "or is not PostgreSQL",
    "app:hunter2@localhost:{http}/shop?sslmode=disable": "or is not PostgreSQL",
    "app:hunter2@localhost:{mysql}/shop": "or is not PostgreSQL",
    "app:hunter2@localhost:{mongo}/shop?sslmode=disable": "or is not PostgreSQL",
    "app:hunter3@localhost:{plain}/postgres": "the password is wrong or the user unknown (28P01: pass",
    "app@localhost:{plain}/postgres": "password",
    "nobody:hunter2@localhost:{plain}/postgres": '(28000: role "nobody" does not exist); check the user',
    "shut@localhost:{plain}/postgres": "(28000: pg_hba.conf rejects connection",
    "few@localhost:{plain}/postgres": '(53300: too many connections for role "few"); lower DB_POOL_SIZE',
    "app:hunter2@localhost:{plain}/shop": '(3D000: database "shop" does not exist); run CREATE DATABASE',
    "app:hunter2@localhost:{closed},localhost:{plain}/shop": '(3D000: database "shop" does not exist)',
    "app:hunter2@localhost:{silent},localhost:{plain}/shop": '(3D000: database "shop" does not exist)',
    "app:hunter2@localhost:{plain}/postgres?options=-c%20nonsense%3D1": "(42704: unrecognized",
    "app:hunter2@localhost:{plain}/postgres?options=-c%20geqo%3Dx": "check the options in DATABASE_URL",
}


@pytest.mark.parametrize("url", POSTGRES)
def test_postgres_failure_is_reported_in_one_line(url: str, names: dict[str, str], tmp_path: Path) -> None:
    """`check` uses the same code as all commands."""
    text = "postgresql://" + url.format(**names)
    limits = SOON if "{silent}" in url else {"DB_CONNECT_TIMEOUT_SECONDS": "30"}
    line = refused(tmp_path, "check", DB_BACKEND="postgres", DATABASE_URL=text, **limits)
    assert "can't use the postgres database at postgresql://" in line
    assert POSTGRES[url].format(**names) in line


@pytest.mark.parametrize(
    "query", ["sslmode=verify-full&sslrootcert={ca}", "sslmode=require", "sslmode=prefer"]
)
def test_postgres_connects_with_tls(query: str, names: dict[str, str], tmp_path: Path) -> None:
    """The certificate is accepted if the URL names its authority or requires no verification."""
    url = "postgresql://app:hunter2@localhost:{tls}/shop?" + query
    line = refused(tmp_path, "check", DB_BACKEND="postgres", DATABASE_URL=url.format(**names))
    assert '(3D000: database "shop" does not exist)' in line


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_report_a_wrong_password_alike(
    command: str, names: dict[str, str], tmp_path: Path
) -> None:
    """Each command that connects has the same line."""
    url = f"postgresql://app:hunter3@localhost:{names['plain']}/shop?application_name=hunter2"
    line = refused(tmp_path, command, DB_BACKEND="postgres", DATABASE_URL=url)
    assert '28P01: password authentication failed for user "app"' in line


# -- MongoDB -------------------------------------------------------------------------------------

MONGO = {
    "app:hunter2@localhost:{closed}/shop": "nothing listens at this address (localhost:",
    "app:hunter2@no-such-host.invalid/shop": "the host name is unknown (no-such-host.invalid:27017: [",
    "app:hunter2@localhost:{silent}/shop": "the server did not answer in time",
    "app:hunter2@%2Fnone.sock/shop": "the socket does not exist (",
    "app:hunter2@localhost:{mongo}/shop": "or is not MongoDB (localhost:",
    "app:hunter2@localhost:{mongo}/shop?tls=true": "the server's certificate is not trusted (localhost:",
    "app:hunter2@127.0.0.1:{mongo}/shop?tls=true&tlsCAFile={ca}": "is for another host name (127.0.0.1:",
    "app:hunter2@localhost:{http}/shop": "or is not MongoDB (",
    "app:hunter2@localhost:{mysql}/shop": "or is not MongoDB (",
    "app:hunter2@localhost:{plain}/shop": "or is not MongoDB (",
    "app:hunter2@localhost:{http}/shop?tls=true": "the TLS handshake failed (SSL handshake failed: ",
    "app:hunter3@localhost:{mongo}/shop?tls=true&tlsCAFile={ca}&authSource=admin": "(18: Auth",
    "nobody:hunter2@localhost:{mongo}/shop?tls=true&tlsCAFile={ca}": "(18: Authentication failed.); check",
}


@pytest.mark.parametrize("driver", get_args(MongoDriver))
@pytest.mark.parametrize("url", MONGO)
def test_mongo_failure_is_reported_in_one_line(
    url: str, driver: MongoDriver, names: dict[str, str], tmp_path: Path
) -> None:
    """Both drivers have the same line, although their messages differ."""
    text = "mongodb://" + url.format(**names)
    line = refused(tmp_path, "check", DB_BACKEND="mongo", DATABASE_URL=text, MONGO_DRIVER=driver, **SOON)
    assert "can't use the mongo database at mongodb://" in line
    assert MONGO[url].format(**names) in line


@pytest.mark.parametrize("driver", get_args(MongoDriver))
def test_mongo_without_tls_is_reported_if_the_url_requires_tls(
    driver: MongoDriver, servers: Servers, tmp_path: Path
) -> None:
    """The shared server has no TLS."""
    place = servers.mongo_url.partition("://")[2].partition("?")[0]
    url = f"mongodb://{place}shop?tls=true"
    line = refused(
        tmp_path, "migrate upgrade", DB_BACKEND="mongo", DATABASE_URL=url, MONGO_DRIVER=driver, **SOON
    )
    assert "the TLS handshake failed (SSL handshake failed: " in line


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_report_an_unknown_replica_set_alike(
    command: str, servers: Servers, tmp_path: Path
) -> None:
    """Each command that connects has the same line."""
    place = servers.mongo_url.partition("://")[2].partition("?")[0]
    url = f"mongodb://{place}shop?replicaSet=rs9"
    line = refused(tmp_path, command, DB_BACKEND="mongo", DATABASE_URL=url, **SOON)
    assert "no member of this replica set responds (" in line
    assert "check replicaSet" in line
