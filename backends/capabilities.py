"""What a backend can do beyond the rules that all of them keep.

A capability is probed when the backend opens, never guessed from its name or version. Where one is
absent the operations that need it raise `NotSupported`; they are never done half.
"""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """One question a member; the remedy is what an operator does to get it."""

    TRANSACTIONS = "transactions"
    """Can several rows change in one step? To move money, add many items, delete a user with its items."""

    SCHEMA_VALIDATION = "schema_validation"
    """Does the database itself refuse a row that breaks the schema? No method needs it."""

    @property
    def loss(self) -> str:
        """What an operator has to do without where it is absent."""
        return _LOSSES[self]

    @property
    def remedy(self) -> str:
        """What to do where it is absent: one sentence for an operator."""
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
