"""Executes the steps of CONTRIBUTING that add a field to Item, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.mongo import schema as mongo_schema
from backends.sql import schema as sql_schema
from tests.provision import Servers

ROOT = Path(__file__).parents[2]
PARTS = [
    *("api", "backends", "cli", "config", "eitherdb", "eitherdb_contract", "migrations", "tests"),
    *("pyproject.toml", "README.md"),
]

FAILED = re.compile(r"\d failed")


class Copy:
    """A copy of the code that a newcomer works on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                # With the bytecode: its copies are as good as compiling all of it again. What another test
                # process is just writing has a number at its end and may be gone in a moment.
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("*.pyc.*"))
            else:
                shutil.copy2(source, root / part)

    def insert_after(self, file: str, line: str, addition: str) -> None:
        """Insert text after each place where this text stands; it must stand somewhere."""
        path = self.root / file
        before = path.read_text()
        assert line in before, f"{file} has no {line!r}: the map is out of date"
        path.write_text(before.replace(line, line + addition))

    def run(self, *command: str, **environment: str) -> str:
        """Run a module of the copy and return what it prints, whatever its exit code."""
        result = subprocess.run(  # noqa: S603 - this test's own words
            [sys.executable, "-m", *command],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root), **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return result.stdout + result.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """Return the copy; it goes with the test."""
    yield Copy(tmp_path / "copy")
    shutil.rmtree(tmp_path)


def _set_revision(copy: Copy, folder: str, number: str) -> None:
    path = copy.root / folder / "schema.py"
    path.write_text(re.sub(r'REVISION = "\d{4}"', f'REVISION = "{number}"', path.read_text()))


def _after(newest: str) -> str:
    return f"{int(newest) + 1:04}"


def test_add_a_field_to_item_follows_the_map(copy: Copy, servers: Servers) -> None:
    """The steps suffice, and the contract suite demands the last of them: the sample."""
    sqlite = {"DATABASE_URL": f"sqlite:///{copy.root}/newcomer.db"}
    mongo = {"DB_BACKEND": "mongo", "DATABASE_URL": servers.mongo_url.replace("/?", "/newcomer?")}
    assert f"{sql_schema.REVISION} applied" in copy.run("cli.main", "migrate", "upgrade", **sqlite)

    # 1
    models = "backends/models/items.py"
    field = 'examples=["Weaves algebraic patterns"]), Searchable()\n    ] = None\n'
    copy.insert_after(models, field, "    colour: Annotated[str | None, Field(max_length=255)] = None\n")
    # 2
    written = copy.run("cli.main", "migrate", "revision", "-m", "item colour", **sqlite)
    number = _after(sql_schema.REVISION)
    assert f"{number}_item_colour.py" in written, written
    _set_revision(copy, "backends/sql", number)
    # 3
    written = copy.run("cli.main", "migrate", "revision", "-m", "item colour", **mongo)
    number = _after(mongo_schema.REVISION)
    assert f"m{number}_item_colour.py" in written, written
    step = f"migrations/mongo/steps/m{number}_item_colour.py"
    for start, code in STEP.items():
        copy.insert_after(step, start, code)
    _set_revision(copy, "backends/mongo", number)

    tests = ("pytest", "-n0", "-q", "--backends=sqlite,mongo-motor", "-p", "no:cacheprovider")
    given = {"EITHERDB_TEST_MONGO_URL": servers.mongo_url}
    forgetful = copy.run(*tests, "tests/contract/test_items.py", **given)
    assert "colour" in forgetful, "no contract test misses the new field in the sample"
    assert FAILED.search(forgetful), "no contract test misses the new field in the sample"
    # 4
    sample = "tests/contract/samples.py"
    copy.insert_after(sample, '"description": "Bernoulli numbers"', ', "colour": "red"')
    copy.insert_after(sample, '"description": "The engine weaves"', ', "colour": "blue"')
    done = copy.run(
        *tests,
        "tests/contract/test_items.py",
        "tests/migrations",
        "-k",
        "test_items or check_ignores",
        **given,
    )
    assert re.search(r"\d passed", done), done
    assert not FAILED.search(done), done
    assert "error" not in done, done


# What is filled in after each line of the template.
STEP = {
    "FIELDS = before.FIELDS": """ | {
    "items": {
        **before.FIELDS["items"],
        "colour": {"bsonType": ["string", "null"], "minLength": 0, "maxLength": 255},
    }
}
""",
    "import Database\n": "from migrations.mongo.operations import document_validator, ensure_collection\n",
    'run again after an interruption."""\n': """
    await ensure_collection(database, "items", validator=document_validator(FIELDS["items"]))
    await database["items"].update_many({"colour": {"$exists": False}}, {"$set": {"colour": None}})
""",
    'which data is lost."""\n': """
    await ensure_collection(database, "items", validator=document_validator(before.FIELDS["items"]))
    await database["items"].update_many({}, {"$unset": {"colour": ""}})
""",
}
