"""The Alembic revisions, ordered by number.

`TABLES` names the tables that a revision creates. A table of this name that exists before the revision
belongs to another application. A revision that creates no tables needs no `TABLES`.
"""
