"""Puts this backend to the contract suite: `pytest --pyargs eitherdb_contract`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from backends.capabilities import Capability
from config import Settings
from eitherdb_contract.provision import Provision
from eitherdb_lmdb.store import REVISION, REVISION_KEY, close_environment, open_environment, path_of
from migrations import open_migrator


class LmdbProvision(Provision):
    """A database in a temporary folder."""

    name = "lmdb"
    capabilities = frozenset({Capability.TRANSACTIONS})

    async def start(self) -> None:
        """See `Provision`."""
        self._folder = Path(tempfile.mkdtemp(prefix="eitherdb-lmdb-"))
        self.settings = Settings(
            _env_file=None,
            db_backend="lmdb",
            database_url=f"lmdb://{self._folder}/shared",
            db_pool_size=10,
            db_pool_timeout_seconds=60,
        )
        await open_migrator(self.settings).upgrade()
        self._environment = open_environment(path_of(self.settings))
        self._keys = self._environment.open_db()

    async def clean(self) -> None:
        """See `Provision`."""
        with self._environment.begin(write=True) as transaction:
            transaction.drop(self._keys, delete=False)
            transaction.put(REVISION_KEY, REVISION.encode())

    async def stop(self) -> None:
        """See `Provision`."""
        close_environment(path_of(self.settings))
        shutil.rmtree(self._folder)


def pytest_contract_provisions() -> list[Provision]:
    """Name the backends of a test run."""
    return [LmdbProvision()]
