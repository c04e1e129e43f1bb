"""The folder of a local server: its data, its log, its lock and its process."""

import atexit
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any


class LocalServerError(Exception):
    """No server could be started; the message says what was tried and what fixes it."""


class ServerFolder:
    """A server's folder, locked until `cleanup` closes, and the server's process."""

    def __init__(self, data: Path, cleanup: ExitStack) -> None:
        if os.name != "posix":
            raise LocalServerError("Local servers need Linux or macOS: set DATABASE_URL instead.")
        import fcntl  # missing on Windows, where the other commands must run

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
        with suppress(ValueError):  # empty at first, and possibly incomplete after a crash of the machine
            self.last = json.loads(self._lock.read())
        if not is_held:
            raise LocalServerError(
                f"{data} is in use by process {self.last.get('holder')}: stop that process, or use its "
                f"server with DATABASE_URL='{self.last.get('url')}'."
            )
        if left_behind := self.last.get("server"):
            end_process(left_behind, lambda: serves(left_behind, self.db))

    def run(self, command: list[str], url: str, *, ready: str) -> int:
        """Start `command` and return its process id once it has logged `ready`.

        A probe of the port proves nothing: another server may listen there while this one fails.
        """
        self.log.unlink(missing_ok=True)  # processes of a killed server may still write to the old file
        with self.log.open("xb") as log:
            # In its own session: otherwise Ctrl-C would end it before the API has shut down.
            child = subprocess.Popen(  # noqa: S603 - fixed arguments and found programs
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self._cleanup.callback(end_process, child.pid, lambda: child.poll() is None)
        self._lock.truncate(0)
        self._lock.write(json.dumps({"holder": os.getpid(), "server": child.pid, "url": url}))
        self._lock.flush()
        wait_until(lambda: child.poll() is not None or ready in self._written(), seconds=30)
        if child.poll() is None and ready in self._written():
            return child.pid
        state = "took over 30 seconds" if child.returncode is None else f"exited with {child.returncode}"
        raise self.error(f"{' '.join(command)}: {state}")

    def keep(self) -> ExitStack:
        """Return the stack that ends the server and unlocks the folder, at the latest at exit."""
        kept = self._cleanup.pop_all()
        kept.callback(atexit.unregister, atexit.register(kept.close))
        return kept

    def error(self, what: str) -> LocalServerError:
        """Build the error that says what failed, with the end of the server's log."""
        lines = self._written().splitlines()
        # mongod writes JSON, and after an error many lines about its shutdown.
        severe = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line]
        excerpt = "\n".join(line[:500] for line in (severe or lines)[-8:])
        return LocalServerError(f"{what}. The end of {self.log}:\n{excerpt}")

    def _written(self) -> str:
        return self.log.read_text(errors="replace")


def serves(pid: int, db: Path) -> bool:
    """Return whether the process has `db` in its command line; otherwise its id was reused."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return str(db) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        return False
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return str(db) in subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603


def end_process(pid: int, is_alive: Callable[[], bool]) -> None:
    """End a process with SIGINT, on which both servers shut down without waiting for clients."""
    for signum, seconds in ((signal.SIGINT, 15), (signal.SIGKILL, 5)):
        if is_alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
            wait_until(lambda: not is_alive(), seconds=seconds)


def wait_until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Poll every 10 ms; return False at the timeout."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
