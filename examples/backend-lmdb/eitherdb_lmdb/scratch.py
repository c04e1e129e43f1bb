"""Scratch databases for `eitherdb conformance` and the contract suite: each in its own folder."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping

from pydantic import SecretStr

from backends.scratch import SCRATCH_PREFIX, Scratch, Transaction
from config import Settings
from eitherdb_lmdb.keys import remove, walk
from eitherdb_lmdb.store import (
    HISTORY_PREFIX,
    REVISION_KEY,
    close_environment,
    open_environment,
    path_of,
)


class LmdbScratch:
    """`backends.scratch.Scratch` as a separate environment."""

    def __init__(self, settings: Settings) -> None:
        """Use the folder of these settings."""
        self.settings = settings
        self._path = path_of(settings)
        self._environment = open_environment(self._path)

    async def clean(self) -> None:
        """See `Scratch`."""
        with self._environment.begin(write=True) as transaction:
            kept = [*walk(transaction, REVISION_KEY), *walk(transaction, HISTORY_PREFIX)]
            remove(transaction, b"")
            for key, value in kept:
                transaction.put(key, value)

    async def durability_faults(self) -> list[str]:
        """See `Scratch`."""
        flags = self._environment.flags()
        return [f"{name} is off" for name in ("sync", "metasync") if not flags[name]]

    async def set_numbers(self, numbers: Mapping[int, int]) -> None:
        """See `Scratch`. Never called, because `begin` returns None."""
        raise NotImplementedError

    async def begin(self) -> Transaction | None:
        """See `Scratch`. Return None, because a transaction of LMDB belongs to a thread."""
        return None

    async def drop(self) -> None:
        """See `Scratch`."""
        close_environment(self._path)
        shutil.rmtree(self._path)


async def open_scratch(settings: Settings) -> Scratch:
    """See `backends.open_scratch`."""
    path = path_of(settings).with_name(SCRATCH_PREFIX + secrets.token_hex(6))
    return LmdbScratch(settings.model_copy(update={"database_url": SecretStr(f"lmdb://{path}")}))
