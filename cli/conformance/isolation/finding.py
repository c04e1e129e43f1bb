"""What was found of one anomaly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

NO_TRANSACTION = "there is no transaction that stays open between calls"


@dataclass(frozen=True, slots=True)
class Finding:
    """One anomaly.

    Attributes:
        anomaly: Its name.
        means: What it is, in one sentence.
        in_transactions: "possible" or "prevented" in the server's own transactions, "failed" if an error
            ended the trial; None where it has none.
        in_eitherdb: The same of EitherDB's methods; None where they are refused.
        seen_in_transactions: What was seen in the server's own transactions.
        seen_in_eitherdb: What was seen in EitherDB's methods.
    """

    anomaly: str
    means: str
    in_transactions: str | None
    seen_in_transactions: str
    in_eitherdb: str | None
    seen_in_eitherdb: str

    @property
    def conforms(self) -> bool:
        """Whether both trials came to their end, and EitherDB let nothing through."""
        return self.in_transactions != "failed" and self.in_eitherdb in {"prevented", None}


Seen: TypeAlias = tuple[str | None, str]
"""What becomes of a trial: as `Finding` names it, and in words."""
