"""The steps, ordered by number: each is a module `mNNNN_summary` with a docstring and two coroutines.

`upgrade(database)` and `downgrade(database)` must be idempotent and resumable: after an interruption a step
runs again from its start. The functions of `operations` are idempotent, and so are updates that select only
documents in the old form.

A step has its own definitions, because those of `backends.mongo.schema` change later. `FIELDS` has the
fields of every collection after the step; the next step builds on it.
"""
