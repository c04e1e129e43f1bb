"""EitherDB on LMDB (http://www.lmdb.tech/doc/): the module of the entry point `eitherdb.backends`."""

from __future__ import annotations

from eitherdb_lmdb.backend import open_backend
from eitherdb_lmdb.migrator import open_migrator
from eitherdb_lmdb.scratch import open_scratch

URL_SCHEMES = ("lmdb",)

__all__ = ["URL_SCHEMES", "open_backend", "open_migrator", "open_scratch"]
