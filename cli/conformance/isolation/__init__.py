"""Trials of four isolation anomalies, in the server's own transactions and in EitherDB's methods.

The first trial shows which anomalies the database allows in code that reads, computes and writes. The
second shows that EitherDB's repositories allow none: they decide in the write itself. The schedules are
those of Adya, Liskov and O'Neil, "Generalized Isolation Level Definitions" (ICDE 2000).
"""

from cli.conformance.isolation.finding import Finding
from cli.conformance.isolation.trials import ANOMALIES, measure

__all__ = [
    "ANOMALIES",
    "Finding",
    "measure",
]
