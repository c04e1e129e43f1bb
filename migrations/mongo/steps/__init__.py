"""The steps, oldest first by number: a module `mNNNN_what_it_does` with a docstring and two coroutines.

`upgrade(database)` and `downgrade(database)` must be idempotent and resumable: a step whose process died
in the middle is run again from its start, on what the first run left. Creating what may exist
(`operations`) and updates that select only what is still old are both by nature.

A step holds its own definitions, not those of `backends.mongo.schema`, which move on. `FIELDS` has the
fields of every collection as the step leaves them, so that the next step goes on from there.
"""
