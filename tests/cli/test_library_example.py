"""`examples/library`: served by two commands on every database, with the same responses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.cli.command import ROOT, environment, run, serving
from tests.clients.readme import SERVER, blocks
from tests.provision import Provision

SUPERUSER = {"username": "root@example.com", "password": "correct horse"}
ADA = {"email": "ada@example.com", "password": "correct horse"}
ISBN = "9780306406157"


def copy_library(folder: Path) -> Path:
    """Copy the example; return its folder."""
    ignored = shutil.ignore_patterns("__*")
    return Path(shutil.copytree(ROOT / "examples/library", folder / "library", ignore=ignored))


def shown(response: httpx2.Response) -> str:
    """Return a response in which ids, times and tokens are names."""
    text = re.sub(r"[0-9a-f]{24}", "ID", f"{response.status_code} {response.text}")
    return re.sub(r'"20\d\d-[^"]+Z"', "TIME", text)


EXPECTED = """\
200 {"id":"ID","name":"Mary Shelley","created_at":TIME}
403 {"detail":"The user doesn't have enough privileges","code":"forbidden"}
200 {"id":"ID","title":"Frankenstein","isbn":"9780306406157","author_id":"ID","price":"12.50",\
"state":"draft","published_on":null,"tags":["novel"],"owner_id":"ID","created_at":TIME}
409 {"detail":"Another book already has this isbn","code":"already_exists"}
422 {"detail":[{"loc":["body","author_id"],"msg":"No author has this id","type":"reference_not_found"}],\
"code":"validation_error"}
422 {"detail":[{"loc":["body"],"msg":"Value error, a published book needs published_on",\
"type":"value_error"}],"code":"validation_error"}
200 {"id":"ID","title":"Frankenstein","isbn":"9780306406157","author_id":"ID","price":"12.50",\
"state":"published","published_on":"1818-01-01","tags":["novel"],"owner_id":"ID","created_at":TIME}
200 {"data":[],"count":0,"next_cursor":null}
409 {"detail":"At least one book refers to it","code":"still_referenced"}
200 {"message":"Book deleted successfully"}
200 {"message":"Author deleted successfully"}"""


async def test_library_is_served_alike_on_every_database(migrated: Provision, tmp_path: Path) -> None:
    """The committed revision creates it; the rule, the reference and the filters hold."""
    folder = copy_library(tmp_path)
    variables = {
        "RESOURCES": "library.py",
        "FIRST_SUPERUSER": SUPERUSER["username"],
        "FIRST_SUPERUSER_PASSWORD": SUPERUSER["password"],
    }
    async with migrated.empty_database() as settings:
        upgraded = run(folder, "migrate", "upgrade", settings=settings, **variables)
        assert upgraded.out.splitlines()[-1] == "library:0001 applied"
        async with (
            serving(folder, "serve", settings=settings, **variables) as server,
            httpx2.AsyncClient(base_url=f"{server.url}/api/v1") as client,
        ):
            assert "\n".join(map(shown, await conversation(client))) == EXPECTED


async def conversation(client: httpx2.AsyncClient) -> list[httpx2.Response]:
    """Send the requests in turn."""

    async def token(username: str, password: str) -> dict[str, str]:
        answer = await client.post("/login/access-token", data={"username": username, "password": password})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    await client.post("/users/signup", json=ADA)
    root, ada = await token(**SUPERUSER), await token(ADA["email"], ADA["password"])
    author = await client.post("/authors/", json={"name": "Mary Shelley"}, headers=root)
    book = {
        "title": "Frankenstein",
        "isbn": ISBN,
        "author_id": author.json()["id"],
        "price": "12.5",
        "tags": ["novel"],
    }
    refused = await client.post("/authors/", json={"name": "x"}, headers=ada)
    added = await client.post("/books/", json=book, headers=ada)
    again = await client.post("/books/", json=book, headers=ada)
    orphan = await client.post("/books/", json={**book, "isbn": ISBN[::-1], "author_id": "x"}, headers=ada)
    path = f"/books/{added.json()['id']}"
    broken = await client.patch(path, json={"state": "published"}, headers=ada)
    published = {"state": "published", "published_on": "1818-01-01"}
    changed = await client.patch(path, json=published, headers=ada)
    query = "price__lt=12.50&state=draft&state=published&tags=novel"
    listed = await client.get(f"/books/?{query}", headers=ada)
    kept = await client.delete(f"/authors/{author.json()['id']}", headers=root)
    gone = await client.delete(path, headers=ada)
    last = await client.delete(f"/authors/{author.json()['id']}", headers=root)
    return [author, refused, added, again, orphan, broken, changed, listed, kept, gone, last]


def test_its_own_tests_pass(migrated: Provision, tmp_path: Path) -> None:
    """As a user runs them: pytest in the folder, on the server of DATABASE_URL."""
    folder = copy_library(tmp_path)
    plugins = ("-p", "no:schemathesis", "-p", "no:cacheprovider")

    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-m", "pytest", *plugins],
        cwd=folder,
        env=environment(tmp_path, migrated.settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"eitherdb: Author, Book on {migrated.settings.db_backend}" in done.stdout


def test_readme_shows_the_code() -> None:
    """Each piece of Python in the README but the client's is in the files, after its imports."""
    folder = ROOT / "examples/library"
    code = (folder / "library.py").read_text() + (folder / "test_library.py").read_text()
    found = blocks(folder / "README.md", "python")
    shown = [re.sub(r"\A((from|import) .*\n|\n)+", "", block) for block in found if SERVER not in block]
    assert len(shown) == 4
    assert [block for block in shown if block not in code] == []
