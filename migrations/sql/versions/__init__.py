"""The revisions, oldest first by number.

`TABLES` names the tables that a revision creates: what has one of these names before is another
application's. A revision that creates none needs no `TABLES`.
"""
