"""The test set-up of a backend: its name, its capabilities and its database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from backends import open_backend
from backends.capabilities import Capability
from backends.ids import Clock, IdSource, new_id, utc_now
from backends.models.resources import Resource
from backends.protocols import Backend
from config import Settings
from migrations import open_migrator
from migrations.resources.history import history_of


class Provision(ABC):
    """One backend in a test run. Each object is started and stopped once.

    Attributes:
        name: The backend's name in test ids and in `--backends`.
        capabilities: The backend's capabilities. If the opened backend has others, every test fails.
        settings: The settings of the database that the tests use in turn; set by `start`.
        resources: The declared resources of that database; set by `declare`.
    """

    name: str
    capabilities: frozenset[Capability]
    settings: Settings
    resources: Sequence[type[Resource]] = ()

    @abstractmethod
    async def start(self) -> None:
        """Start what the backend needs, create and migrate the shared database, and set `settings`."""

    @abstractmethod
    async def stop(self) -> None:
        """Remove everything that `start` created."""

    @abstractmethod
    async def clean(self) -> None:
        """Remove all rows from the shared database. Called before each test, while backends are open."""

    async def declare(self, resources: Sequence[type[Resource]]) -> None:
        """Add declared resources to the shared database, once, after `start` and before `open`.

        Tests of declared resources have a started provision, and so a database, of their own. They remove
        their rows without `clean`.
        """
        history = history_of("contract", [cls.__resource__ for cls in resources])
        await open_migrator(self.settings, [history]).upgrade()
        self.resources = resources

    async def open(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock = utc_now,
        id_source: IdSource = new_id,
    ) -> Backend:
        """Open the shared database, or another one by its settings.

        Several backends may be open at once.
        """
        return await open_backend(
            settings or self.settings, clock=clock, id_source=id_source, resources=self.resources
        )
