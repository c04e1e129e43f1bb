"""`eitherdb conformance` on the user's own resources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import call_async, eitherdb
from tests.cli.test_conformance import leftovers, report
from tests.conftest import ONE_BACKEND
from tests.provision import Provision

SHOP = '''
from typing import Annotated
from pydantic import Field, model_validator
from eitherdb import Reference, Resource, Sortable, Unique

class Shop(Resource, path="shops", owned=False):
    """A shop."""
    name: Annotated[str, Field(max_length=20), Unique(), Sortable()]

class Book(Resource, path="books"):
    """Has the name of one of the suite's resources."""
    shop_id: Annotated[str, Reference("shops")]

    @model_validator(mode="after")
    def _never(self):
        raise ValueError("no book is good enough")
'''


@ONE_BACKEND
@pytest.mark.timeout(240)
async def test_conformance_proves_declared_resources(migrated: Provision, tmp_path: Path) -> None:
    """The report lists each with its tests, in tables of its revision; a class that takes no row fails."""
    (tmp_path / "shop.py").write_text(SHOP)
    conformance = ("conformance", "--rule", "Declared references", "--rule", "Unique groups")
    async with migrated.empty_database() as settings:
        refused = await call_async(tmp_path, *conformance, settings=settings, RESOURCES="shop.py")
        expected = (
            "the declaration has changes without a revision in migrations: add shops, add books; run "
        )
        assert refused.refusal().startswith(expected)
        revision = ("migrate", "revision", "-m", "Shops")
        done = await call_async(tmp_path, *revision, settings=settings, RESOURCES="shop.py")
        assert done.exit_code == 0, done
        done = await eitherdb(tmp_path, *conformance, settings=settings, RESOURCES="shop.py")
        assert await leftovers(settings) == []
    found = report(tmp_path)
    assert (done.exit_code, found["conforms"], done.err) == (1, False, "")
    shops, books = found["resources"]
    assert (shops["name"], shops["status"], shops["failed"]) == ("shops", "passed", 0)
    assert f"resource    shops: passed, {shops['passed']} passed\n" in done.out
    assert (books["name"], books["status"]) == ("books", "failed")
    failures = [each for rule in found["rules"] for each in rule["failures"]]
    assert failures
    assert all("books" in each["test"] for each in failures)
    assert all("no book is good enough" in each["example"] for each in failures), failures
