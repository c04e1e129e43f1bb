"""A statement whose entries are fetched without `await`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.models import Account, StatementEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`backends.models.Statement` for a plain `for`.

    Attributes:
        account: The account.
        entries: See `backends.models.Statement`.
    """

    account: Account
    entries: Iterator[list[StatementEntry]]
