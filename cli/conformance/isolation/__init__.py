"""Four anomalies, tried for real: in the server's own transactions, and in EitherDB's methods.

The first shows what the database would let happen to code that reads, thinks and writes; the second that
EitherDB's repositories let none of it through, because they decide in the write itself. The schedules are
those of Adya, Liskov and O'Neil, "Generalized Isolation Level Definitions" (ICDE 2000).
"""

from cli.conformance.isolation.finding import Finding
from cli.conformance.isolation.trials import ANOMALIES, measure

__all__ = [
    "ANOMALIES",
    "Finding",
    "measure",
]
