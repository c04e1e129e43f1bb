"""What is stored, row by row: is it what the contract can serve?

`stored` has what a backend reads for it, `rules` what is asked of one row, `ledger` what is asked of an
account and its entries; `walk` and `ledger_walk` ask it of all. None of them knows a backend.
"""

from backends.rows.stored import KINDS, Fields, Place, Problem, RowKind, StoredRow, shown
from backends.rows.unreadable import unreadable, unreadable_record

__all__ = [
    "KINDS",
    "Fields",
    "Place",
    "Problem",
    "RowKind",
    "StoredRow",
    "shown",
    "unreadable",
    "unreadable_record",
]
