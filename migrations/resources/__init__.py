"""Revisions of declared resources: one file for every database, beside the declaration.

`operations` says what a revision does, as data. `history` reads a folder of revisions, `changes` compares
the declaration with what the revisions add up to, and `writer` writes the next one. None of them needs a
database. The migrators of SQL and MongoDB apply the operations.
"""
