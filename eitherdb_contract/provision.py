"""What a backend's author gives to be tested: a name, what it can do, and a database to do it on."""

from __future__ import annotations

from abc import ABC, abstractmethod

from backends import open_backend
from backends.capabilities import Capability
from backends.ids import Clock, IdSource, new_id, utc_now
from backends.protocols import Backend
from config import Settings


class Provision(ABC):
    """One backend's place in a test run. An object of it is started and stopped once.

    Attributes:
        name: What the backend is called in the names of tests and in `--backends`.
        capabilities: What it can do. If it says another thing when it is opened, every test fails.
        settings: Of the database that the tests share, one after the other; there from `start` on.
    """

    name: str
    capabilities: frozenset[Capability]
    settings: Settings

    @abstractmethod
    async def start(self) -> None:
        """Start what is needed, make the shared database, migrate it, and set `settings`."""

    @abstractmethod
    async def stop(self) -> None:
        """Remove everything that `start` made."""

    @abstractmethod
    async def clean(self) -> None:
        """Remove every row from the shared database; runs before each test, while backends are open."""

    async def open(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock = utc_now,
        id_source: IdSource = new_id,
    ) -> Backend:
        """Open the shared database, or that of other settings; several may be open at once."""
        return await open_backend(settings or self.settings, clock=clock, id_source=id_source)
