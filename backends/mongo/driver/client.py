"""Names and the connection counter that both drivers use."""

# ruff: noqa: D102 - the methods are events of PyMongo's listener

from __future__ import annotations

from pymongo.monitoring import ConnectionCheckedInEvent, ConnectionCheckedOutEvent, ConnectionPoolListener

DEFAULT_DATABASE = "eitherdb"
APP_NAME = "eitherdb"


class ConnectionCounter(ConnectionPoolListener):
    """Counts the connections that are checked out, from the driver's events."""

    def __init__(self) -> None:
        self.in_use = 0

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:  # noqa: ARG002
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:  # noqa: ARG002
        self.in_use -= 1

    def pool_created(self, event: object) -> None: ...
    def pool_ready(self, event: object) -> None: ...
    def pool_cleared(self, event: object) -> None: ...
    def pool_closed(self, event: object) -> None: ...
    def connection_created(self, event: object) -> None: ...
    def connection_ready(self, event: object) -> None: ...
    def connection_closed(self, event: object) -> None: ...
    def connection_check_out_started(self, event: object) -> None: ...
    def connection_check_out_failed(self, event: object) -> None: ...
