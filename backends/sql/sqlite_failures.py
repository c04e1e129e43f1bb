"""Failures by SQLite's result codes: https://www.sqlite.org/rescode.html."""

from __future__ import annotations

from backends.failures import COLLISION, Failure

_WAIT = "find the process that holds it, or raise DB_COMMAND_TIMEOUT_SECONDS"
_WRITABLE = "let this process's user write the file, the files beside it and their folder"
_DISK = "check that the disk is neither full nor broken, and that the file system is local"
_RESTORE = "restore a backup, or try `.recover` of the sqlite3 command"

FAILURES: dict[str, Failure] = {
    # Locks
    "SQLITE_BUSY": Failure("unavailable", "another process holds the write lock", _WAIT),
    "SQLITE_BUSY_SNAPSHOT": COLLISION,
    "SQLITE_LOCKED": COLLISION,
    "SQLITE_INTERRUPT": Failure(
        "unavailable", "a statement took too long", "raise DB_COMMAND_TIMEOUT_SECONDS"
    ),
    "SQLITE_PROTOCOL": Failure("unavailable", "the file's locks don't work", _DISK),
    # The file
    "SQLITE_CANTOPEN": Failure(
        "unavailable", "the file can't be opened", "check the path in DATABASE_URL; " + _WRITABLE
    ),
    "SQLITE_CANTOPEN_ISDIR": Failure(
        "unavailable", "the path is a folder", "give the path of a file in DATABASE_URL"
    ),
    "SQLITE_READONLY": Failure("denied", "the database can't be written", _WRITABLE),
    "SQLITE_READONLY_DBMOVED": Failure(
        "unavailable", "the file was moved or deleted while it was open", "put it back"
    ),
    "SQLITE_PERM": Failure("denied", "the file's permissions don't allow this", _WRITABLE),
    "SQLITE_AUTH": Failure("denied", "SQLite's authorizer denied this", _WRITABLE),
    "SQLITE_FULL": Failure(
        "unavailable", "the disk is full, or the file has its maximum size", "free space on the disk"
    ),
    "SQLITE_IOERR": Failure("unavailable", "the disk failed", _DISK),
    "SQLITE_NOLFS": Failure("failed", "the file system allows no file of this size", _DISK),
    "SQLITE_NOTADB": Failure(
        "failed", "the file is not an SQLite database", "check the path in DATABASE_URL, or " + _RESTORE
    ),
    "SQLITE_CORRUPT": Failure("failed", "the database is damaged", _RESTORE),
    "SQLITE_FORMAT": Failure("failed", "the database is damaged", _RESTORE),
    # The rest
    "SQLITE_ERROR": Failure(
        "failed",
        "SQLite can't run a statement: the schema is not what EitherDB expects",
        "run `eitherdb migrate upgrade`; `eitherdb migrate check` shows what was changed by hand",
    ),
    "SQLITE_CONSTRAINT": Failure(
        "failed", "the schema refused a row", "`eitherdb migrate check` shows what was changed by hand"
    ),
    "SQLITE_SCHEMA": Failure("unavailable", "the schema was changed meanwhile", "try again"),
    "SQLITE_NOMEM": Failure("unavailable", "there is no memory left", "give this process more"),
    "SQLITE_TOOBIG": Failure("failed", "a value is larger than SQLite allows", "give a smaller one"),
    "SQLITE_MISMATCH": Failure("failed", "a value has the wrong type", "its column was changed by hand"),
    "SQLITE_RANGE": Failure("failed", "a statement has the wrong parameters", "report this as a bug"),
    "SQLITE_MISUSE": Failure("failed", "SQLite was misused", "report this as a bug"),
    "SQLITE_INTERNAL": Failure("failed", "SQLite reported an internal error", "update Python's SQLite"),
}
"""Failures by name. Unlisted extended codes, such as SQLITE_IOERR_READ, fall back to their prefix."""
