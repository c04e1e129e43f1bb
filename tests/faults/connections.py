"""Faults of SQL's connections: failovers, limits, connection poolers, and SQLite's file."""

from __future__ import annotations

from tests.faults.fault import Fault

_POOL, _POSTGRES = "backends/sql/postgres_pool.py", "backends/sql/postgres.py"
_HAND_OVER = """\
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
"""


def _fault(file: str, what: str, *edits: tuple[str, str], first: str, backends: str = "postgres") -> Fault:
    return Fault(f"connections: {what}", file, edits, f"tests/backends/test_{first}.py", backends)


FAULTS = [
    _fault(
        _POOL,
        "a refused connection that fails its caller",
        (
            "if _is_limit(exc) or (self._sessions and isinstance(exc, asyncpg.PostgresError)):",
            "if _is_limit(exc) and not self._sessions:",
        ),
        first="connection_limits",
    ),
    _fault(
        _POOL,
        "the last waiter is served first",
        (_HAND_OVER, _HAND_OVER.replace("popleft", "pop")),
        first="connection_limits",
    ),
    _fault(
        _POOL,
        "a limit that is never tried again",
        ("if self._retry is None:\n", "if not self._sessions and self._retry is None:\n"),
        ("missing = 0 if self._retry is not None else", "missing = 0 if self._sessions else"),
        first="connection_limits",
    ),
    _fault(
        _POOL,
        "a session from before a failover goes back to the pool",
        ("if connection.generation != self._generation:", "if False:"),
        first="failover",
    ),
    _fault(
        _POSTGRES,
        "a write that is not repeated on a new session",
        ("return self._pool.renew(session)", "return self._pool.renew(session) and False"),
        first="failover",
    ),
    _fault(
        _POOL,
        "a server that stays read-only costs a session per call",
        ("if now < self._renewed_at + RENEWAL_SECONDS:", "if now < self._renewed_at:"),
        first="failover",
    ),
    _fault(
        _POSTGRES,
        "a session that ended while it was idle fails the call",
        ("code in _ENDED_BEFORE or _NOT_SENT_ON in str(exc) or isinstance", "False and isinstance"),
        first="failover",
    ),
    _fault(
        _POSTGRES,
        "two round trips for a statement behind a pooler",
        ("            self._fetch_on = fetch_unnamed", "            pass"),
        first="round_trips",
    ),
    _fault(
        "backends/sql/sqlite_connection.py",
        "a file that was deleted is written to",
        ("if self._made is not None and self._identity() != self._made_for:", "if False:"),
        first="sqlite_files",
        backends="sqlite",
    ),
    _fault(
        "backends/sql/sqlite_connection.py",
        "a connection that is open while the process forks",
        ("        self._lock.acquire()\n        self.close()\n", "        self._lock.acquire()\n"),
        first="sqlite_files",
        backends="sqlite",
    ),
    _fault(
        "backends/sql/sqlite.py",
        "a file that is gone is made anew",
        ("self._arguments = self._options.of_existing_file", "pass"),
        first="sqlite_files",
        backends="sqlite",
    ),
]
