"""The provision for the contract suite: `pytest --pyargs eitherdb_contract`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from backends.capabilities import Capability
from config import Settings
from eitherdb_contract.provision import Provision
from eitherdb_lmdb.scratch import open_scratch
from migrations import open_migrator


class LmdbProvision(Provision):
    """A database in a temporary folder."""

    name = "lmdb"
    capabilities = frozenset({Capability.TRANSACTIONS})

    async def start(self) -> None:
        """See `Provision`."""
        self._folder = Path(tempfile.mkdtemp(prefix="eitherdb-lmdb-"))
        self._scratch = await open_scratch(
            Settings(
                _env_file=None,
                db_backend="lmdb",
                database_url=f"lmdb://{self._folder}/data",
                db_pool_size=10,
                db_pool_timeout_seconds=60,
            )
        )
        self.settings = self._scratch.settings
        await open_migrator(self.settings).upgrade()

    async def clean(self) -> None:
        """See `Provision`."""
        await self._scratch.clean()

    async def stop(self) -> None:
        """See `Provision`."""
        await self._scratch.drop()
        shutil.rmtree(self._folder)


def pytest_contract_provisions() -> list[Provision]:
    """Return the backends of a test run."""
    return [LmdbProvision()]
