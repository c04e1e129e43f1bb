# ruff: noqa: T201 - a program, whose output the test reads
"""What `test_blocking.py` runs as a program: a pool of forked workers, then an import that is interrupted.

The settings come from the environment. The argument is the id of the owner of the items.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback

import eitherdb
from backends.errors import NotFound
from backends.ids import new_id
from eitherdb.models import NewItem

WORKERS, ITEMS, BATCH = 2, 8, 50

db = eitherdb.open_blocking()
OWNER = sys.argv[1]


def work(number: int) -> tuple[int, str, str]:
    """Add an item in a worker, and read it; return the worker, the title and the error of an unknown id."""
    item = db.items.add(NewItem(title=f"item {number}"), owner_id=OWNER)
    try:
        db.repository(type(item)).get(new_id())
    except NotFound as exc:
        return os.getpid(), db.items.get(item.id).title, exc.entity
    return os.getpid(), item.title, "no error"


def fork() -> None:
    """Use the database in forked processes, of which one ends without the database's knowledge."""
    assert db.items.list(owner_id=OWNER).count == 0
    entries = db.users.list().data
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        done = pool.map(work, range(ITEMS), chunksize=1)
    child = os.fork()
    if child == 0:
        work(ITEMS)
        sys.exit(0)  # with everything that an interpreter does at its end
    assert os.waitpid(child, 0)[1] == 0
    assert os.getpid() not in {pid for pid, _, _ in done}
    print(sorted(title for _, title, _ in done), {refused for *_, refused in done})
    # The connections of this process have survived the ends of its children.
    print(work(ITEMS + 1)[1], db.items.list(owner_id=OWNER).count, db.users.list().data == entries)


def interrupted() -> None:
    """Add items until Ctrl-C, in batches; go on after it."""
    in_use, before = -1, db.items.list(owner_id=OWNER, limit=0).count or 0
    try:
        print("ready", flush=True)
        while True:
            db.items.add_many([NewItem(title="batch")] * BATCH, owner_id=OWNER)
    except KeyboardInterrupt:
        in_use = db.connections_in_use
        print(traceback.format_exc().count("db.items.add_many("))
    added = (db.items.list(owner_id=OWNER, limit=0).count or 0) - before
    print(in_use, added > 0, added % BATCH)


if __name__ == "__main__":
    fork()
    interrupted()
    # The database is not closed: the program ends nevertheless.
