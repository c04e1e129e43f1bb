"""A database that is open read-only: methods that read work, and methods that write are refused."""

from __future__ import annotations

from typing import Any

import pytest

import eitherdb
from eitherdb.blocking import ReadOnlyDatabase
from eitherdb.blocking.generate import READS
from tests.backends.methods import METHODS, add_rows
from tests.blocking import Awaited
from tests.provision import Provision


async def test_read_only_database_reads_and_refuses_every_write(migrated: Provision) -> None:
    """The error names the method, and no row is changed."""
    await migrated.clean()
    with eitherdb.open_blocking(migrated.settings) as db:
        awaited: Any = Awaited(db)
        rows = await add_rows(awaited)
    with eitherdb.open_blocking(migrated.settings, read_only=True) as db:
        awaited = Awaited(db)
        for name, (call, _, _) in METHODS.items():
            method = name.partition(" ")[0]
            if method.partition(".")[2] in READS:
                await call(awaited, rows)
                continue
            with pytest.raises(ReadOnlyDatabase) as caught:
                await call(awaited, rows)
            assert caught.value.method == method
            assert str(caught.value).startswith(
                f"db.{method}(…) writes, and the database is open read-only"
            )
        assert db.items.list().data == [rows.item]
        assert db.users.list().count == 2
        db.check_schema()
