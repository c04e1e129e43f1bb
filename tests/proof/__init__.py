"""Load tests of transfers, with crashes of services and databases; the ledger is checked entry by entry."""
