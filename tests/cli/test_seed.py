"""`eitherdb seed`: rows of resources and users from files, on every database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api.security import Passwords
from tests.cli.command import Result, call_async
from tests.cli.seeded import declare, seed, seeded
from tests.provision import Provision

USERS = """\
email,password,full_name,is_active,is_superuser\r
Ada@Example.com,correct horse,"Ada, Countess\r
of Lovelace",,true\r
bob@example.com,battery staple,,FALSE,\r
"""


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the declaration and a migrated SQLite database."""
    return declare(tmp_path_factory.mktemp("seed"))


async def test_seed_stores_users_and_rows(migrated: Provision, declared: Path) -> None:
    """References and owners are found by unique values; what the database refuses is named by line."""
    async with seeded(migrated, declared) as into:
        stored = await into("users.csv", USERS)
        assert stored == Result(0, "Stored 2 users from users.csv.\n", "")
        ada = await into.backend.users.find_by_email("ada@example.com")
        bob = await into.backend.users.find_by_email("bob@example.com")
        assert ada is not None
        assert bob is not None
        assert (ada.full_name, ada.is_active, ada.is_superuser) == (
            "Ada, Countess\r\nof Lovelace",
            True,
            True,
        )
        assert (bob.full_name, bob.is_active, bob.is_superuser) == (None, False, False)
        passwords = Passwords()
        assert (await passwords.verify("battery staple", bob)).matches
        passwords.close()

        again = await into("users.jsonl", '\n{"email": "BOB@example.com ", "password": "x"}\n')
        assert again.err == (
            "users.jsonl:2: password: String should have at least 8 characters\n"
            "eitherdb: users.jsonl: 1 of 1 rows are refused; nothing was stored\n"
        )
        again = await into("users.jsonl", '{"email": "BOB@example.com ", "password": "long enough"}\n')
        assert again.err.startswith("users.jsonl:1: email: User with this email already exists\neitherdb: ")

        assert (await into("authors.json", '[{"code": "MS"}, {"code": "LB"}]')).exit_code == 0
        books = (
            "owner,isbn,author_id.code,lent_to_id.email\n,001,MS,\nbob@example.com,001,LB,ADA@example.com\n"
        )
        assert (await into("books.csv", books, "--owner", ada.id)).exit_code == 0
        authors = dict(await into.rows("authors", "code", "id"))
        assert await into.rows("books", "isbn", "owner_id", "author_id", "lent_to_id") == [
            ("001", ada.id, authors["MS"], None),
            ("001", bob.id, authors["LB"], ada.id),
        ]

        rest = f"isbn,author_id\n002,{authors['MS']}\n003,{authors['MS']}\n004,{authors['MS']}\n"
        taken = f"{rest}001,{authors['MS']}\n004,{authors['MS']}\n"
        stopped = await into("books.csv", taken, "--owner", "ada@example.com", "--batch", "2")
        assert stopped == Result(
            2,
            "",
            "books.csv:5: Another book already has this isbn\n"
            "eitherdb: books.csv: nothing of lines 4 to 5 was stored, and the first 2 rows are stored: go "
            "on with --skip 2\n",
        )
        fixed = await into("books.csv", f"{rest}004,{authors['MS']}\n", "--owner", ada.id, "--skip", "2")
        assert fixed.err.startswith(
            "books.csv:5: Another book already has this isbn: that of line 4\neitherdb: "
        )
        missing = await into("books.csv", f"{rest}005,{'a' * 24}\n", "--owner", ada.id, "--skip", "2")
        assert missing.err.startswith("books.csv:5: author_id: No author has this id\neitherdb: ")
        assert [
            isbn for isbn, owner in await into.rows("books", "isbn", "owner_id") if owner == ada.id
        ] == [
            "001",
            "002",
            "003",
        ]
        one = await into("books.csv", rest, "--owner", ada.id, "--skip", "2", "--batch", "1")
        assert one == Result(0, "Stored 1 books from books.csv.\n", "")


SAMPLES_CSV = """\
\ufefftitle,flag,number,weight,price,at,day,tags,extra\r
"Line 1
""Line"" 2",FALSE,-3,1.5e3,12.5,2026-11-28T10:00:00+01:00,2026-11-28,"[""a"", ""b""]","{""k"": [1, null]}"\r
\r
plain,,,,,,,,\r
"""
SAMPLES: list[dict[str, Any]] = [
    {
        "title": 'Line 1\n"Line" 2',
        "flag": False,
        "number": -3,
        "weight": 1500.0,
        "price": "12.5",
        "at": "2026-11-28T10:00:00+01:00",
        "day": "2026-11-28",
        "tags": ["a", "b"],
        "extra": {"k": [1, None]},
    },
    {"title": "plain"},
]
STORED = [
    ('Line 1\n"Line" 2', False, -3, 1500.0, "12.50", "2026-11-28T09:00:00.000Z", "2026-11-28"),
    ("plain", True, 7, None, None, None, None),
]


async def test_seed_reads_the_same_rows_from_every_format(migrated: Provision, declared: Path) -> None:
    """An empty cell is absent: the field has its default. The hook runs, and standard input is a file."""
    async with seeded(migrated, declared) as into:
        texts = {
            "csv": SAMPLES_CSV,
            "json": json.dumps(SAMPLES, indent=1),
            "ndjson": "\n".join(map(json.dumps, SAMPLES)),
        }
        for ending, text in texts.items():
            stored = await into(f"line-samples.{ending}", text)
            assert stored == Result(0, f"Stored 2 line samples from line-samples.{ending}.\n", "")
        piped = await call_async(
            declared,
            *("seed", "-", "--resource", "line_samples", "--format", "csv"),
            settings=into.settings,
            stdin=SAMPLES_CSV,
            RESOURCES="library.py",
        )
        assert piped == Result(0, "Stored 2 line samples from stdin.\n", "")
        names = ("title", "flag", "number", "weight", "price", "at", "day")
        assert await into.rows("line_samples", *names) == STORED * 4
        assert set(map(str, await into.rows("line_samples", "tags", "extra", "slug"))) == {
            str((["a", "b"], {"k": [1, None]}, 'line 1\n"line" 2')),
            str(([], None, "plain")),
        }


def test_interrupted_seed_goes_on(declared: Path) -> None:
    """Ctrl-C ends the command between two batches, and `--skip` goes on after them."""
    (declared / "line-samples.csv").write_text("title\nx1\nx2\nx3\nx4\nx5\n")
    arguments = ("seed", "line-samples.csv", "--batch", "2")
    checked = seed(declared, *arguments, INTERRUPTED_AT="x4", INTERRUPTED_IN="checking")
    assert checked == Result(130, "", "eitherdb: interrupted; nothing was stored\n")
    stored = seed(declared, *arguments, INTERRUPTED_AT="x4")
    assert stored == Result(
        130, "", "eitherdb: interrupted; the first 2 rows are stored: go on with --skip 2\n"
    )
    assert seed(declared, *arguments, "--skip", "2").out == "Stored 3 line samples from line-samples.csv.\n"
