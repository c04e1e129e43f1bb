"""The result of the trials of one anomaly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

NO_TRANSACTION = "there is no transaction that stays open between calls"


@dataclass(frozen=True, slots=True)
class Finding:
    """The results of the two trials of one anomaly.

    Attributes:
        anomaly: The anomaly's name.
        means: Its definition, in one sentence.
        in_transactions: "possible" or "prevented" in the server's own transactions, "failed" if an error
            ended the trial; None without transactions.
        in_eitherdb: The same for EitherDB's methods; None if they are refused.
        seen_in_transactions: The observation in the server's own transactions.
        seen_in_eitherdb: The observation in EitherDB's methods.
    """

    anomaly: str
    means: str
    in_transactions: str | None
    seen_in_transactions: str
    in_eitherdb: str | None
    seen_in_eitherdb: str

    @property
    def conforms(self) -> bool:
        """Whether both trials ended without an error, and EitherDB prevented the anomaly."""
        return self.in_transactions != "failed" and self.in_eitherdb in {"prevented", None}


TrialResult: TypeAlias = tuple[str | None, str]
"""The status of a trial, as in `Finding`, and the observation."""
