"""Transfers under load while servers and databases are killed: the ledger must add up, to the entry."""
