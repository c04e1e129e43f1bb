"""Every error that a backend may raise; nothing of a driver leaks past `backends/`.

    BackendError                 an unknown failure of the database
    ├── NotFound                 no row has that id
    ├── NotOwner                 the item is someone else's
    ├── VersionMismatch          the row was changed since the version that the caller knows
    ├── AlreadyExists            a unique value is taken
    ├── AccountNotEmpty          there is money in what is to be deleted
    ├── InsufficientFunds        the account has less than is to leave it
    ├── CurrencyMismatch         the two accounts have different currencies
    ├── BalanceOverflow          the account can't hold as much
    ├── IdempotencyKeyReused     the key was used for something else
    ├── NotSupported             the server lacks a capability that the operation needs
    ├── UnreadableRow            what is stored is not what the contract can serve
    ├── SchemaMismatch           the database's schema is older or newer than the code's
    ├── ForeignSchema            another application's things have names that EitherDB uses
    ├── ServerUnfit              the server or its user lacks what the contract needs
    └── Unavailable              the database can't be reached, or not in time
        ├── ConnectionLost       the connection broke in the middle of a call
        ├── PermissionDenied     the database's user may not do that
        └── Conflict             concurrent changes kept colliding until the retries were used up

A constructor takes facts and makes the message; a caller reads the facts, never the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

from backends.capabilities import Capability

Entity = Literal["user", "item", "account", "transfer"]


class BackendError(Exception):
    """The database failed in a way that EitherDB has no name for; the cause is chained."""


class NotFound(BackendError):
    """No `entity` has this id; a malformed id is one that no row has."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"no {entity} has the id {id!r}")
        self.entity = entity
        self.id = id


class NotOwner(BackendError):
    """The `entity` exists, but belongs to another user than the one who must own it."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"the {entity} {id!r} belongs to another user")
        self.entity = entity
        self.id = id


class VersionMismatch(BackendError):
    """The `entity` was changed since the version that the caller knows."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"the {entity} {id!r} has another version")
        self.entity = entity
        self.id = id


class AlreadyExists(BackendError):
    """Another `entity` already has this value in `field`."""

    def __init__(self, entity: Entity, field: str) -> None:
        super().__init__(f"another {entity} already has this {field}")
        self.entity = entity
        self.field = field


class AccountNotEmpty(BackendError):
    """There is money in the account that is to be deleted, or in one of the user who is."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"there is money in the {entity} {id!r}")
        self.entity = entity
        self.id = id


class InsufficientFunds(BackendError):
    """The account has less than is to leave it."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"the account {account_id!r} has less than that")
        self.account_id = account_id


class CurrencyMismatch(BackendError):
    """The two accounts of a transfer have different currencies."""

    def __init__(self, from_currency: str, to_currency: str) -> None:
        super().__init__(f"the accounts have different currencies: {from_currency} and {to_currency}")
        self.from_currency = from_currency
        self.to_currency = to_currency


class BalanceOverflow(BackendError):
    """The account's balance would exceed `MAX_MINOR`."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"the account {account_id!r} can't hold that much more")
        self.account_id = account_id


class IdempotencyKeyReused(BackendError):
    """The caller's key was used before, for something else."""

    def __init__(self, key: str) -> None:
        super().__init__("the idempotency key was used for another request")
        self.key = key


class NotSupported(BackendError):
    """The server can't do `operation` atomically, so it is not done at all."""

    def __init__(self, operation: str, capability: Capability) -> None:
        super().__init__(f"{operation} needs {capability}: {capability.remedy}")
        self.operation = operation
        self.capability = capability


class SchemaMismatch(BackendError):
    """The database's schema is not the one that this code was written for.

    Attributes:
        applied: The revision that the database has; None for an empty one.
        expected: The revision that the code needs.
    """

    def __init__(self, applied: str | None, expected: str) -> None:
        if applied is None or applied < expected:
            relation, remedy = "older than", "run `eitherdb migrate upgrade`"
        else:
            relation = "newer than"
            remedy = (
                f"deploy the EitherDB that made it, or go back with that version's "
                f"`eitherdb migrate downgrade {expected}`"
            )
        super().__init__(
            f"the database's schema ({applied or 'empty'}) is {relation} the code's ({expected}): {remedy}"
        )
        self.applied = applied
        self.expected = expected


class ForeignSchema(BackendError):
    """The database holds something of another application under a name that EitherDB uses.

    Nothing is changed in such a database.

    Attributes:
        detail: What was found.
        remedy: What an operator can do.
    """

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}: {remedy}; nothing was changed")
        self.detail = detail
        self.remedy = remedy

    @classmethod
    def occupied(cls, found: Iterable[str], *, has_schemas: bool = False) -> Self:
        """Return the error about things under EitherDB's names.

        Args:
            found: Each with its kind, as `table users`.
            has_schemas: Whether another schema of the same database would do.
        """
        return cls(
            f"the database has {', '.join(sorted(found))}, which EitherDB's migrations did not make",
            f"rename what is in the way, or {_another_database(has_schemas=has_schemas)}",
        )

    @classmethod
    def history(cls, place: str, revisions: Iterable[str], *, has_schemas: bool = False) -> Self:
        """Return the error about the migrations of another application.

        Args:
            place: The table or collection that records them.
            revisions: What it records.
            has_schemas: Whether another schema of the same database would do.
        """
        return cls(
            f"{place} is the migration history of another application ({', '.join(revisions)})",
            _another_database(has_schemas=has_schemas),
        )


def _another_database(*, has_schemas: bool) -> str:
    return "name another database in DATABASE_URL" + (
        ", or another schema with `?search_path=`" if has_schemas else ""
    )


class ServerUnfit(BackendError):
    """The server, the database or its user lacks what the contract needs; the text has a line for each."""

    def __init__(self, unmet: Sequence[str]) -> None:
        super().__init__("\n".join(unmet))
        self.unmet = tuple(unmet)


class UnreadableRow(BackendError):
    """A stored row is not what the contract can serve: somebody else wrote it.

    Attributes:
        kind: The name of its table, such as "items".
        id: Its id, or its key.
        problem: What is wrong with it.
    """

    def __init__(self, kind: str, id: str, problem: str) -> None:
        super().__init__(f"{kind} {id}: {problem}")
        self.kind = kind
        self.id = id
        self.problem = problem


class Unavailable(BackendError):
    """The database can't be reached or does not answer in time; trying again later may help.

    Whether a write was done is unknown, unless the operation's contract says otherwise.

    Attributes:
        retry_after_seconds: How long a client should wait.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class ConnectionLost(Unavailable):
    """The connection broke in the middle of a call: what it was doing may have been done."""


class PermissionDenied(Unavailable):
    """The database's user may not do that, or the database can't be written; nothing was changed.

    An operator has to mend it, which takes longer than most other reasons.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retry_after_seconds=10)


class Conflict(Unavailable):
    """Concurrent changes of the same rows collided in every try; nothing was changed."""
