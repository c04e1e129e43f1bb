"""The provision that the contract suite runs on: an empty, migrated scratch database on the server."""

from __future__ import annotations

from collections.abc import Sequence

from backends import open_scratch
from backends.capabilities import Capability
from backends.errors import BackendError
from backends.models.resources import Resource
from backends.requirements import Purpose, require
from backends.scratch import Scratch
from config import Settings
from eitherdb_contract.provision import Provision
from migrations import open_migrator
from migrations.resources.history import History


class ScratchProvision(Provision):
    """A scratch database on the configured server.

    Attributes:
        scratch: The scratch database; set by `start`.
    """

    scratch: Scratch

    def __init__(
        self,
        settings: Settings,
        capabilities: frozenset[Capability] = frozenset(),
        histories: Sequence[History] = (),
    ) -> None:
        """Store the settings; declare the capabilities that were probed on the server.

        Args:
            settings: The settings, with the URL of the server.
            capabilities: The capabilities.
            histories: The revisions of the user's resources.
        """
        self._histories = histories
        self.name = settings.db_backend
        self.capabilities = capabilities
        # The suite requires a pool of ten: up to a thousand concurrent calls wait for the connections.
        self._settings = settings.model_copy(update={"db_pool_size": 10, "db_pool_timeout_seconds": 60.0})

    async def start(self) -> None:
        """See `Provision`."""
        self.scratch = await open_scratch(self._settings)
        self.settings = self.scratch.settings
        try:
            self._check_backend()
            await self._check_server()
            await open_migrator(self.settings).upgrade()
        except BaseException:
            await self.scratch.drop()
            raise

    async def declare(self, resources: Sequence[type[Resource]]) -> None:
        """See `Provision`. The user's resources get their tables from the user's own revisions."""
        declared = {spec.name: spec for history in self._histories for spec in history.declared}
        if {cls.__resource__.name: cls.__resource__ for cls in resources} != declared:
            await super().declare(resources)
            return
        await open_migrator(self.settings, self._histories).upgrade()
        self.resources = resources

    async def _check_server(self) -> None:
        backend = await self.open()
        try:
            require(await backend.check_server(Purpose.MIGRATE))
        finally:
            await backend.close()

    def _check_backend(self) -> None:
        if self.settings.db_backend != self.name:
            raise BackendError(
                f"`open_scratch` of {self.name} gave settings with DB_BACKEND={self.settings.db_backend}"
            )

    async def stop(self) -> None:
        """See `Provision`."""
        await self.scratch.drop()

    async def clean(self) -> None:
        """See `Provision`."""
        await self.scratch.clean()
