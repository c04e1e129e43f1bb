"""EitherDB on LMDB (http://www.lmdb.tech/doc/): what the entry point `eitherdb.backends` leads to."""

from __future__ import annotations

from eitherdb_lmdb.backend import open_backend
from eitherdb_lmdb.migrator import open_migrator

URL_SCHEMES = ("lmdb",)

__all__ = ["URL_SCHEMES", "open_backend", "open_migrator"]
