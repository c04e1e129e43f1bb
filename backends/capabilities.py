"""Optional capabilities of a server.

A backend probes its capabilities when it opens; it never infers them from a name or version. Operations
that need a missing capability raise `NotSupported` and change nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """A capability that a server may lack."""

    TRANSACTIONS = "transactions"
    """Several rows can change in one step. Transfers, `add_many` and the deletion of users need it."""

    SCHEMA_VALIDATION = "schema_validation"
    """The database itself rejects a row that violates the schema. No method needs it."""

    @property
    def loss(self) -> str:
        """The consequence of a missing capability, for an operator."""
        return _LOSSES[self]

    @property
    def remedy(self) -> str:
        """The way to get a missing capability, for an operator."""
        return _REMEDIES[self]


_LOSSES = {
    Capability.TRANSACTIONS: "moving money, deleting users and adding many items answer 501",
    Capability.SCHEMA_VALIDATION: "what others than EitherDB write into the database is not checked",
}
_REMEDIES = {
    Capability.TRANSACTIONS: (
        "use a server with transactions; MongoDB has them as a replica set, of which one node is enough "
        "(start mongod with --replSet rs0 and run rs.initiate() once)"
    ),
    Capability.SCHEMA_VALIDATION: "use a database that checks rows itself; MongoDB does from 5.0 on",
}
