"""The errors that backends raise. Drivers' errors never leave `backends/`.

    BackendError                 an unknown failure of the database
    ├── NotFound                 no row has this id
    ├── NotOwner                 the row belongs to another user
    ├── VersionMismatch          the row has changed since the version that the caller knows
    ├── AlreadyExists            a unique value is in use
    ├── StillReferenced          another row refers to the row to delete
    ├── RuleBroken               a row is refused by a rule of its class
    ├── AccountNotEmpty          an account to delete has a balance
    ├── InsufficientFunds        the balance is less than the amount
    ├── CurrencyMismatch         the two accounts have different currencies
    ├── BalanceOverflow          the balance would exceed the maximum
    ├── IdempotencyKeyReused     the idempotency key was used for another request
    ├── NotSupported             the server lacks a capability that the operation needs
    ├── UnreadableRow            a stored row violates the contract
    ├── SchemaMismatch           the database's schema is not the one that the code needs
    │   ├── RevisionMismatch     it is older or newer
    │   ├── ResourcesMissing     it lacks the tables or collections of declared resources
    │   └── SchemaDrifted        they differ from what is declared
    ├── ForeignSchema            objects of another application have names that EitherDB uses
    ├── ServerUnfit              the server or its user does not meet the requirements
    └── Unavailable              the database can't be reached, or does not respond in time
        ├── ConnectionLost       the connection broke in the middle of a call
        ├── PermissionDenied     the database user lacks a privilege
        └── Conflict             concurrent changes collided in every attempt

Constructors take facts and build the message. Callers read the facts, never the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeAlias

from backends.capabilities import Capability

Entity: TypeAlias = str
"""`user`, `account`, `transfer`, or the `entity` of a resource's specification, such as `item`."""


class BackendError(Exception):
    """An unknown failure of the database. The driver's error is chained."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let worker processes return errors: constructors take facts, and not the message in `args`."""
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(cls: type[BackendError], args: tuple[Any, ...]) -> BackendError:
    error = cls.__new__(cls)
    error.args = args
    return error


class NotFound(BackendError):
    """No `entity` has this id. Malformed ids are unknown ids."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"no {entity} has the id {id!r}")
        self.entity = entity
        self.id = id


class NotOwner(BackendError):
    """The `entity` belongs to another user than the required owner."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"the {entity} {id!r} belongs to another user")
        self.entity = entity
        self.id = id


class VersionMismatch(BackendError):
    """The `entity` has changed since the version that the caller knows."""

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


class StillReferenced(BackendError):
    """A row refers to the row to delete, or to a row that would be deleted with it.

    Attributes:
        by: The entity of the row that refers.
    """

    def __init__(self, entity: Entity, id: str, by: Entity) -> None:
        super().__init__(f"a {by} refers to the {entity} {id!r}")
        self.entity = entity
        self.id = id
        self.by = by


class RuleBroken(BackendError):
    """A validator or a hook of the class refuses a row.

    Attributes:
        problems: `ValidationError.errors()`.
        new: The new row as the caller gave it; None for a change.
    """

    def __init__(self, entity: Entity, problems: Sequence[Any]) -> None:
        super().__init__(f"the {entity} would break a rule: {problems[0]['msg']}")
        self.entity = entity
        self.problems = problems
        self.new: object = None


class AccountNotEmpty(BackendError):
    """The account to delete, or an account of the user to delete, has a balance."""

    def __init__(self, entity: Entity, id: str) -> None:
        super().__init__(f"there is money in the {entity} {id!r}")
        self.entity = entity
        self.id = id


class InsufficientFunds(BackendError):
    """The account's balance is less than the amount."""

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
    """The caller's idempotency key was used for another request."""

    def __init__(self, key: str) -> None:
        super().__init__("the idempotency key was used for another request")
        self.key = key


class NotSupported(BackendError):
    """The server can't run `operation` atomically. Nothing was changed."""

    def __init__(self, operation: str, capability: Capability) -> None:
        super().__init__(f"{operation} needs {capability}: {capability.remedy}")
        self.operation = operation
        self.capability = capability


class SchemaMismatch(BackendError):
    """The database's schema is not the one that the code needs; a migration helps."""


class RevisionMismatch(SchemaMismatch):
    """The revision of the database's schema is not the one that the code needs.

    Attributes:
        applied: The revision of the database; None if it is empty.
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


class ResourcesMissing(SchemaMismatch):
    """The database lacks the tables or collections of declared resources.

    Attributes:
        names: The names of the resources.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"the database lacks the declared {', '.join(names)}: run `eitherdb migrate upgrade`, after "
            "`eitherdb migrate revision` if no revision adds them",
        )
        self.names = tuple(names)


class SchemaDrifted(SchemaMismatch):
    """The tables or collections of declared resources are not as declared.

    Attributes:
        differences: One sentence per difference.
    """

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(
            f"{'; '.join(differences)}: find out what changed it by hand; `eitherdb migrate check` lists "
            "the differences"
        )
        self.differences = tuple(differences)


class ForeignSchema(BackendError):
    """The database has objects of another application under names that EitherDB uses.

    EitherDB changes nothing in such a database.

    Attributes:
        detail: The objects that were found.
        remedy: The action for an operator.
    """

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}: {remedy}; nothing was changed")
        self.detail = detail
        self.remedy = remedy

    @classmethod
    def occupied(cls, found: Iterable[str], *, has_schemas: bool = False) -> Self:
        """Return the error about objects with names that EitherDB uses.

        Args:
            found: The objects, each with its kind: `table users`.
            has_schemas: Whether the operator can choose another schema of the same database.
        """
        return cls(
            f"the database has {', '.join(sorted(found))}, which EitherDB's migrations did not make",
            f"rename what is in the way, or {_another_database(has_schemas=has_schemas)}",
        )

    @classmethod
    def history(cls, place: str, revisions: Iterable[str], *, has_schemas: bool = False) -> Self:
        """Return the error about the migration history of another application.

        Args:
            place: The table or collection with the history.
            revisions: The recorded revisions.
            has_schemas: Whether the operator can choose another schema of the same database.
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
    """The server, the database or its user fails requirements. The message has one line for each."""

    def __init__(self, unmet: Sequence[str]) -> None:
        super().__init__("\n".join(unmet))
        self.unmet = tuple(unmet)


class UnreadableRow(BackendError):
    """A stored row violates the contract, because another program wrote it.

    Attributes:
        kind: The name of the table, such as "items".
        id: The row's id or key.
        problem: A description of the violation.
    """

    def __init__(self, kind: str, id: str, problem: str) -> None:
        super().__init__(f"{kind} {id}: {problem}")
        self.kind = kind
        self.id = id
        self.problem = problem


class Unavailable(BackendError):
    """The database can't be reached or does not respond in time. A later retry may succeed.

    It is unknown whether a write took effect, unless the operation's contract says otherwise.

    Attributes:
        retry_after_seconds: The time that a client should wait before it retries.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class ConnectionLost(Unavailable):
    """The connection broke in the middle of a call. The call may have taken effect."""


class PermissionDenied(Unavailable):
    """The database user lacks a privilege, or the database is read-only. Nothing was changed.

    Clients wait longer before they retry, because an operator has to act first.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retry_after_seconds=10)


class Conflict(Unavailable):
    """Concurrent changes of the same rows collided in every attempt. Nothing was changed."""
