"""`eitherdb resources`, and the modules of a user beside EitherDB's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from pydantic import TypeAdapter

from backends.models.resources import ResourceSpec
from tests.cli.command import Result, call, run, serving

pytestmark = pytest.mark.one_backend

LIBRARY = '''
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from eitherdb import Filterable, Reference, Resource, Searchable, Sortable


class Author(Resource, path="authors", owned=False):
    """Who writes books."""

    name: Annotated[str, Field(min_length=1, max_length=100), Sortable(), Searchable()]


class Book(Resource, path="books", unique=[("owner_id", "isbn")], public_when={"state": "published"}):
    """A book of one's own."""

    isbn: Annotated[str, Field(pattern=r"^[0-9]{13}$"), Filterable()]
    author_id: Annotated[str, Reference("authors", on_delete="restrict"), Filterable()]
    price: Annotated[Decimal, Field(max_digits=12, decimal_places=2, ge=0)]
    state: Annotated[Literal["draft", "published"], Filterable()] = "draft"
    published_on: date | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=20)] = []
'''

LISTED = """\
/authors/  Author: Who writes books.
  name  text of 1 to 100  required, sortable, searchable
  access: read signed_in, create superuser, change superuser, delete superuser

/books/  Book: A book of one's own.
  isbn          text of 0 to 13                 required, filterable
  author_id     reference to authors, restrict  required, filterable
  price         decimal(12, 2)                  required
  state         draft | published               filterable
  published_on  date, or null
  tags          list of text
  unique together: owner_id, isbn
  access: read owner, create signed_in, change owner, delete owner
  public when state is "published"
"""


def test_resources_lists_the_declarations(tmp_path: Path) -> None:
    """People read a list; `--json` prints the specifications."""
    (tmp_path / "library.py").write_text(LIBRARY)
    assert call(tmp_path, "resources", RESOURCES="library.py").out == LISTED
    printed = call(tmp_path, "resources", "--json", RESOURCES="library.py").out
    specs = TypeAdapter(list[ResourceSpec]).validate_json(printed)
    assert [(spec.name, len(spec.fields)) for spec in specs] == [("authors", 1), ("books", 6)]
    assert json.loads(printed)[1]["unique"] == [["owner_id", "isbn"]]


def test_resources_without_declarations(tmp_path: Path) -> None:
    """Nothing declared is no error."""
    assert call(tmp_path, "resources").out.startswith("No resource is declared. Set RESOURCES to ")
    assert call(tmp_path, "resources", "--json").out == "[]\n"


def test_resources_refuses_a_declaration_in_one_line(tmp_path: Path) -> None:
    """The exit code is 2, and the line names class, field and what would be right."""
    (tmp_path / "library.py").write_text(LIBRARY.replace("max_length=100", ""))
    refused = call(tmp_path, "resources", RESOURCES="library.py").refusal()
    assert refused == "Author.name: a text needs a bound; write Annotated[str, Field(max_length=255)]"


ROUTES = """
from fastapi import APIRouter
from eitherdb.routes import Repository

router = APIRouter(prefix="/books")

@router.get("/statistics")
async def read_statistics(books: Repository[Book]) -> int:
    return len((await books.list()).data)

routers = [router]
"""


async def test_routes_of_a_module_are_served_and_documented(tmp_path: Path) -> None:
    """`dev` serves them, `openapi` documents them, and each command refuses one that hides another."""
    file = tmp_path / "library.py"
    file.write_text(LIBRARY + ROUTES.replace("/statistics", "/{number}"))
    for command in ("resources", "openapi", "serve", "dev"):
        refused = call(tmp_path, command, RESOURCES="library.py").refusal()
        assert refused == (
            "library.py, line 31, read_statistics: GET /books/{number} hides EitherDB's GET "
            "/books/{book_id}; give it another path"
        )
    assert not (tmp_path / "migrations").exists()
    file.write_text(LIBRARY + ROUTES)
    document = json.loads((await asyncio.to_thread(run, tmp_path, "openapi", RESOURCES="library.py")).out)
    operation = document["paths"]["/api/v1/books/statistics"]["get"]
    assert operation["operationId"] == "books-read_statistics"
    async with serving(tmp_path, "dev", RESOURCES="library.py") as server:
        assert httpx2.get(f"{server.url}/api/v1/books/statistics").json() == 0


def test_a_user_module_in_place_of_an_own_one_is_named(tmp_path: Path) -> None:
    """`PYTHONPATH=.` beside a `config.py` is refused in one line, before anything is imported from it."""
    (tmp_path / "config.py").write_text("1 / 0")
    refused = run(tmp_path, "resources", PYTHONPATH=".").refusal()
    assert refused.startswith(
        f"`import config` finds {tmp_path / 'config.py'} instead of EitherDB's config: "
    )
    assert run(tmp_path, "resources").exit_code == 0


def test_revision_needs_no_database(tmp_path: Path) -> None:
    """The file is written beside the declaration; a second run has nothing to write."""
    (tmp_path / "library.py").write_text(LIBRARY)

    def revision(summary: str) -> Result:
        arguments = ("migrate", "revision", "-m", summary)
        return call(tmp_path, *arguments, DB_BACKEND="mongo", RESOURCES="library.py")

    written = revision("Books")
    assert written.out == "Wrote migrations/0001_books.py; read it, then run `eitherdb migrate upgrade`.\n"
    again = revision("More").refusal()
    assert again == "the revisions add up to what is declared: there is nothing to write"
    history = call(tmp_path, "migrate", "history", RESOURCES="library.py")
    assert history.out.endswith("library:0001  Books\n")


async def test_serve_refuses_what_has_no_revision_and_dev_writes_it(tmp_path: Path) -> None:
    """`serve` names the command at each step; `dev` writes the revision, applies it and says so."""
    (tmp_path / "library.py").write_text(LIBRARY)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(lambda: call(tmp_path, *arguments, RESOURCES="library.py"))

    await asyncio.to_thread(call, tmp_path, "migrate", "upgrade")
    refused = (await run("serve")).refusal()
    assert refused == (
        "the declaration has changes without a revision in migrations: add authors, add books; run "
        '`eitherdb migrate revision -m "…"` and then `eitherdb migrate upgrade`'
    )
    assert (await run("migrate", "revision", "-m", "Books")).exit_code == 0
    refused = (await run("serve")).refusal()
    assert (
        "(library:base) are older than their revisions (library:0001): run `eitherdb migrate up" in refused
    )
    (tmp_path / "migrations" / "0001_books.py").unlink()
    async with serving(tmp_path, "dev", RESOURCES="library.py") as server:
        assert "Wrote migrations/0001_add_authors_add_books.py, because" in server.output
        assert "Applied migration library:0001" in server.output
        assert httpx2.get(f"{server.url}/api/v1/books/").json()["code"] == "not_authenticated"
    assert (await run("migrate", "current")).out.endswith("library:0001\n")
    assert (await run("migrate", "check")).out == "The database has the declared schema.\n"
    assert (await run("migrate", "downgrade", "library:-1", "--yes")).out == "library:0001 undone\n"
