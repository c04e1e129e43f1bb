"""Validation of stored rows against the contract, for `eitherdb check --rows`.

`stored` defines the rows that a backend reads. `rules` validates one row, `ledger` an account with its
entries. `walk` and `ledger_walk` validate the whole database. All modules are independent of backends.
"""

from backends.rows.json_fields import json_fields
from backends.rows.stored import KINDS, Fields, Place, Problem, RowKind, StoredRow, shown
from backends.rows.unreadable import unreadable, unreadable_record, unreadable_resource

__all__ = [
    "KINDS",
    "Fields",
    "Place",
    "Problem",
    "RowKind",
    "StoredRow",
    "json_fields",
    "shown",
    "unreadable",
    "unreadable_record",
    "unreadable_resource",
]
