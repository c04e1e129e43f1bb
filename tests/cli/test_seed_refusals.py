"""`eitherdb seed` refuses a file: each reason is a line, and nothing is stored."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import typer

from backends.errors import BackendError, ConnectionLost, PermissionDenied
from backends.models import NewUser
from backends.models.items import Item
from cli.progress import progress
from cli.seeding.command import target_of
from cli.seeding.files import SeedFile
from cli.seeding.run import Seeding, Stopped
from cli.seeding.targets import NewRow, ResourceTarget
from tests.backends.raw import opened
from tests.cli.command import Result
from tests.cli.seeded import declare, seed
from tests.conftest import find_provision
from tests.provision import Servers

REFUSED_CSV = """\
title,flag,number,weight,price,at,day,tags,extra
a,yes,1.0,nan,1e1,now,today,"[1]","[]"
"b

c",,,,,,,"[""x"" ",
refused,,,,,,,,
too,few
nul\x00,,,,,,,,"{""k"": 1, ""k"": NaN}"
"""
REFUSALS = """\
line-samples.csv:2: flag: Input should be a valid boolean
line-samples.csv:2: number: Input should be a valid integer
line-samples.csv:2: weight: Input should be a valid number
line-samples.csv:2: price: Input should be a decimal number in a string, such as '12.50'
line-samples.csv:2: at: Input should be a time such as 2026-11-22T16:25:25Z
line-samples.csv:2: day: Input should be a date such as 2026-11-22
line-samples.csv:2: tags.0: Input should be a valid string
line-samples.csv:2: extra: Input should be a valid dictionary
line-samples.csv:3: tags: should be JSON, such as ["a", "b"]
line-samples.csv:6: Value error, no sample has this title
line-samples.csv:7: has 2 cells, and the header 9
line-samples.csv:8: extra: has NaN, which is no JSON
line-samples.csv:8: extra: has the key 'k' twice
eitherdb: line-samples.csv: 5 of 5 rows are refused; nothing was stored
"""


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the declaration and a migrated SQLite database."""
    return declare(tmp_path_factory.mktemp("seed"))


def test_refused_rows_are_named_by_line(declared: Path) -> None:
    """Nothing is stored, and `--dry-run` says the same. Twenty problems are named at most."""
    (declared / "line-samples.csv").write_text(REFUSED_CSV)
    for options in ([], ["--dry-run"]):
        assert seed(declared, "seed", "line-samples.csv", *options) == Result(2, "", REFUSALS)

    (declared / "line-samples.csv").write_text("title,flag\n" + "a,x\n" * 1000 + "a,true\n")
    refused = seed(declared, "seed", "line-samples.csv")
    assert len(refused.err.splitlines()) == 21
    assert refused.err.endswith("1,000 of 1,001 rows are refused; nothing was stored\n")

    (declared / "line-samples.csv").write_text("title\na\n")
    assert seed(declared, "seed", "line-samples.csv", "--dry-run").out == (
        "1 line samples in line-samples.csv are valid; nothing was stored (--dry-run).\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "options", "lines"),
    [
        (
            "line-samples.csv",
            "titel,slug,id\na,b,c\n",
            [],
            [
                "line-samples.csv:1: titel: is no field of line samples; did you mean title?",
                "line-samples.csv:1: slug: is set by the service; leave it out",
                "line-samples.csv:1: id: is set by the service; leave it out",
                "eitherdb: line-samples.csv: nothing was stored",
            ],
        ),
        (
            "line-samples.csv",
            "a;b\n1;2\n",
            [],
            [
                "line-samples.csv:1: a;b: is no field of line samples; separate the columns by commas",
                "eitherdb: line-samples.csv: nothing was stored",
            ],
        ),
        (
            "line-samples.json",
            '[{"title": "a"},\n {"titel": "b"}, 3]',
            [],
            [
                "line-samples.json:2: titel: is no field of line samples; did you mean title?",
                "line-samples.json:2: should be an object with the fields of a row, not a number",
                "eitherdb: line-samples.json: 2 of 3 rows are refused; nothing was stored",
            ],
        ),
        ("line-samples.csv", "", [], ["eitherdb: line-samples.csv has no rows"]),
        ("line-samples.csv", "title\n", [], ["eitherdb: line-samples.csv has no rows"]),
        (
            "line-samples.csv",
            "title\na\n",
            ["--skip", "2"],
            ["eitherdb: --skip 2: line-samples.csv has 1 rows"],
        ),
        (
            "line-samples.csv",
            "title\na\n",
            ["--owner", "ada@example.com"],
            ["eitherdb: --owner: line_samples have no owner"],
        ),
        (
            "items.csv",
            "title\na\n",
            [],
            ["eitherdb: items have owners: give --owner EMAIL, or a column owner"],
        ),
        (
            "items.jsonl",
            '{"title": "a"}\n{"title": "b", "owner": "a@b.com"}\n',
            [],
            [
                "items.jsonl:1: has no owner: give --owner EMAIL, or a column owner",
                (
                    "items.jsonl:2: owner: no user has the address a@b.com; "
                    "`eitherdb user list --search TEXT` finds users"
                ),
                "eitherdb: items.jsonl: 2 of 2 rows are refused; nothing was stored",
            ],
        ),
        (
            "books.csv",
            "owner,isbn,author_id.code,author_id\n,001,XX,\n",
            [],
            [
                "books.csv:2: author_id.code: no row of authors has code XX",
                "books.csv:2: has no owner: give --owner EMAIL, or a column owner",
                "eitherdb: books.csv: 1 of 1 rows are refused; nothing was stored",
            ],
        ),
        (
            "users.csv",
            "email,password\na@example.com,long enough\nA@example.com,long enough\nb,short\n",
            [],
            [
                "users.csv:3: email: line 2 has the same address",
                (
                    "users.csv:4: email: value is not a valid email address: An email address must have an "
                    "@-sign."
                ),
                "users.csv:4: password: String should have at least 8 characters",
                "eitherdb: users.csv: 2 of 3 rows are refused; nothing was stored",
            ],
        ),
        (
            "users.csv",
            "email,hashed_password\na@example.com,x\n",
            [],
            [
                "users.csv:1: hashed_password: is set by the service; leave it out",
                "eitherdb: users.csv: nothing was stored",
            ],
        ),
        (
            "users.csv",
            "email\n",
            ["--batch", "5"],
            ["eitherdb: users have no owner, and are stored one by one: leave out --owner and --batch"],
        ),
        (
            "book.csv",
            "isbn\n",
            [],
            ["eitherdb: no resource has the name book: did you mean books?"],
        ),
        (
            "books.txt",
            "isbn\n",
            [],
            ["eitherdb: the format of books.txt is not known: give it with --format csv, json or jsonl"],
        ),
    ],
)
def test_file_is_refused(
    name: str, text: str, options: list[str], lines: list[str], declared: Path
) -> None:
    """Each reason is a line."""
    (declared / name).write_bytes(text.encode())
    refused = seed(declared, "seed", name, *options)
    assert (refused.exit_code, refused.out, refused.err.splitlines()) == (2, "", lines)


def test_missing_file_and_nameless_input_are_refused(declared: Path) -> None:
    """One line says what to give."""
    assert seed(declared, "seed", "none.csv").refusal() == "none.csv: No such file or directory"
    assert seed(declared, "seed", ".", "--format", "csv").refusal() == ".: Is a directory"
    assert "--resource books" in seed(declared, "seed", "-", "--format", "csv").refusal()


async def test_server_without_transactions_stores_row_by_row(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch of several rows is refused, with what to do instead."""
    provision = find_provision("mongomock", servers)
    await provision.start()
    await provision.clean()
    async with opened(provision.open()) as backend, AsyncExitStack() as stack:
        user = await backend.users.add(NewUser(email="a@example.com", hashed_password="x"))
        with pytest.raises(typer.Exit):
            await target_of(backend, provision.settings, stack, "items", owner=user.id, batch=None)
        refused = capsys.readouterr().err
        assert refused.startswith(
            "eitherdb: this server can't store several rows together, all or none: give "
        )
        assert "--batch 1, or use a server with transactions" in refused

        target = await target_of(backend, provision.settings, stack, "items", owner=user.id, batch=1)
        file = SeedFile(io.BytesIO(b"title\na\nb\n"), "items.csv", "csv", max_row_bytes=1000)
        with progress(1) as on_progress:
            assert (
                await Seeding(file, target, skip=0, progress=on_progress, is_interrupted=bool).store() == 2
            )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionLost("it is gone"),
            (
                "it is gone; whether lines 3 to 4 are stored is not known, and the 1 rows before are: "
                "look, and go on with --skip 1 or --skip 3"
            ),
        ),
        (
            PermissionDenied("no INSERT"),
            (
                "no INSERT; nothing of lines 3 to 4 was stored, and the first 1 rows are stored: go on "
                "with --skip 1"
            ),
        ),
    ],
)
async def test_failure_of_the_database_says_what_is_known(
    error: BackendError, message: str, servers: Servers
) -> None:
    """A lost connection may have stored the batch; another failure has not."""

    class Failing(ResourceTarget):
        async def store(self, rows: Sequence[NewRow]) -> None:
            del rows
            raise error

    provision = find_provision("mongomock", servers)
    await provision.start()
    async with opened(provision.open()) as backend:
        target = Failing(backend, Item, {}, owner_id="a" * 24, batch=5)
        file = SeedFile(io.BytesIO(b"title\na\nb\nc\n"), "items.csv", "csv", max_row_bytes=1000)
        with progress(1) as on_progress, pytest.raises(Stopped) as stopped:
            await Seeding(file, target, skip=1, progress=on_progress, is_interrupted=bool).store()
    assert str(stopped.value) == f"items.csv: {message}"
