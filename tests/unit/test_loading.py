"""Modules of declarations: how they are found, loaded and refused."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from backends.models import Item
from backends.models.resources import DeclarationError, Resource, loading
from backends.models.resources.loading import load_declarations, load_resources
from backends.resource_rows import require_served

IMPORTS = """
from typing import Annotated
from pydantic import Field
from eitherdb import Reference, Resource
"""
AUTHOR = f"""{IMPORTS}
class Author(Resource, path="authors"):
    name: Annotated[str, Field(max_length=100)]
"""
BOOK = f"""{IMPORTS}
class Book(Resource, path="books"):
    author_id: Annotated[str, Reference("authors")]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of a test; it is not on `sys.path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in {"", "."}])
    return tmp_path


def write(files: dict[str, str]) -> None:
    """Write files by their paths."""
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def names(*sources: str) -> list[str]:
    """Return the names of the declared classes."""
    return [each.__name__ for each in load_resources(sources)]


def refusal(*sources: str) -> str:
    """Return the message with which the sources are refused; assert that it is one line."""
    with pytest.raises(DeclarationError) as caught:
        load_resources(sources)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_load_a_file_keeps_its_folder_off_the_path(folder: Path) -> None:
    """A file is loaded under a private name, in the order of its classes, and once."""
    write({"library.py": AUTHOR + BOOK})
    before = set(sys.path)
    (first,) = load_declarations(["library.py"])
    (second,) = load_declarations([str(folder / "library.py")])
    assert [each.__name__ for each in first.resources] == ["Author", "Book"]
    assert first.resources == second.resources
    assert (first.path, first.source) == (folder / "library.py", "library.py")
    assert first.module.__name__.startswith("_eitherdb_resources_")
    assert "library" not in sys.modules
    assert set(sys.path) == before


def test_load_two_files_of_one_name() -> None:
    """Files with the same name in two folders are two modules, in the order of RESOURCES."""
    write({"one/models.py": BOOK, "two/models.py": AUTHOR})
    assert names("one/models.py", "two/models.py") == ["Book", "Author"]
    assert names("two/models.py", "one/models.py", "two/models.py") == ["Author", "Book"]


@pytest.mark.parametrize("source", ["library", "./library/", "library/__init__.py"])
def test_load_a_package_with_relative_imports(source: str) -> None:
    """A package's submodules declare too, and its own `config` and `api` are its own."""
    write(
        {
            "library/__init__.py": "from . import books, config\nfrom .api import limits\n",
            "library/books.py": "from .authors import Author\n" + BOOK,
            "library/authors.py": AUTHOR,
            "library/config.py": "NAME = 'theirs'",
            "library/api/__init__.py": "",
            "library/api/limits.py": "",
        }
    )
    (found,) = load_declarations([source])
    assert [each.__name__ for each in found.resources] == ["Author", "Book"]
    assert found.module.config.NAME == "theirs"
    assert sys.modules["config"].__name__ == "config"
    assert not hasattr(sys.modules["config"], "NAME")


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"shelf_14.py": AUTHOR + BOOK}, "shelf_14.py"),
        (
            {
                "shelf_15/__init__.py": "from . import books\n",
                "shelf_15/books.py": "from .authors import Author\n" + BOOK,
                "shelf_15/authors.py": AUTHOR,
            },
            "shelf_15",
        ),
    ],
    ids=["file", "package"],
)
def test_load_takes_a_module_that_a_script_has_imported(
    files: dict[str, str], source: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise rows would be instances of another class than the one that the script knows.

    Each case has a name of its own, because the classes of the other one may live on.
    """
    name = source.removesuffix(".py")
    write(files)
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    try:
        imported = importlib.import_module(name)
        (found,) = load_declarations([source])
        assert found.module is imported
        assert [each.__name__ for each in found.resources] == ["Author", "Book"]
        assert load_declarations([source]) == (found,)
        assert not [each for each in set(sys.modules) - before if each.startswith("_eitherdb_resources_")]
    finally:
        for each in set(sys.modules) - before:
            if each.startswith(name):
                del sys.modules[each]


def test_class_that_was_imported_too_late_is_refused() -> None:
    """A class of the same name, or of no resource that is served, has no repository."""
    write({"one.py": AUTHOR, "two.py": AUTHOR})
    (served,), (other,) = load_resources(["one.py"]), load_resources(["two.py"])
    assert require_served(served, {"authors": served}) == "authors"
    with pytest.raises(DeclarationError) as caught:
        require_served(other, {"authors": served})
    assert str(caught.value) == (
        f"{other.__module__}.Author: the database was opened with the class of the same name in "
        f"{served.__module__}; import the module that declares it before the database is opened"
    )
    for cls in (other, Resource):
        with pytest.raises(DeclarationError, match="add its module to RESOURCES; there are: items"):
            require_served(cls, {"items": Item})


def test_load_a_module_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that can be imported needs no path. A second call of a process finds the same classes."""
    write({"site/shop_14/__init__.py": "", "site/shop_14/books.py": AUTHOR})
    monkeypatch.syspath_prepend(folder / "site")
    assert load_resources(["shop_14.books"]) == load_resources(["shop_14.books"])
    assert names("shop_14.books") == ["Author"]


def test_load_installed_distributions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points come after RESOURCES, by their names; a module that both name is loaded once."""
    write(
        {
            "site/zoo_14.py": AUTHOR,
            "site/shop_14_b.py": BOOK,
            "site/shop_14-1.dist-info/METADATA": "Name: shop_14\nVersion: 1\n",
            "site/shop_14-1.dist-info/entry_points.txt": (
                "[eitherdb.resources]\nb = zoo_14\na = shop_14_b\n"
            ),
        }
    )
    monkeypatch.syspath_prepend(folder / "site")
    loading._installed.cache_clear()
    try:
        assert names() == ["Book", "Author"]
        assert names("zoo_14") == ["Author", "Book"]
    finally:
        loading._installed.cache_clear()


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ({}, "library.py", "RESOURCES=library.py: no such file; "),
        (
            {"library/books.py": AUTHOR},
            "library",
            "add library/__init__.py, which imports the declarations",
        ),
        ({"library.txt": AUTHOR}, "./library.txt", "is no Python file or package; name it .py"),
        ({}, "library_14", "there is no such module; install it, or give its path: ./library_14.py"),
        ({}, "my library", "my library: is no file and no module"),
        ({}, "config", "config: is EitherDB's own module; give the path of yours: ./config.py"),
        ({}, "json", "json: it declares no resource; write class Book("),
        ({"a.py": "import json"}, "a.py", "a.py: it declares no resource"),
        ({"a.py": "x = 1\nclass A(:"}, "a.py", "a.py, line 2: SyntaxError: invalid syntax; correct it"),
        ({"a.py": "x = 1\n1 / 0"}, "a.py", "a.py, line 2: ZeroDivisionError: division by zero; "),
        ({"a.py": "raise SystemExit(3)"}, "a.py", "a.py, line 1: SystemExit: 3; "),
        ({"a.py": "raise ValueError('a\\nb')"}, "a.py", "a.py, line 1: ValueError: a; "),
        ({"a.py": "import gone_14"}, "a.py", "install it in EitherDB's environment, or correct the import"),
        ({"a.py": "import b", "b.py": ""}, "a.py", "give RESOURCES=., and write `from . import b`"),
        ({"a.py": "from . import b", "b.py": ""}, "a.py", "make the folder a package with __init__.py"),
        (
            {"p/__init__.py": "import b", "p/b.py": ""},
            "p",
            "write a relative import, such as `from . import b`",
        ),
        (
            {"a.py": "import config", "config.py": ""},
            "a.py",
            "line 1: `import config` finds EitherDB's config, not ",
        ),
        ({"a.py": "\nfrom api.x import y", "api/x.py": ""}, "a.py", "a.py, line 2: `import api` finds "),
        (
            {"p/__init__.py": "from .q import r", "p/q/r.py": "def f():\n  import cli", "p/cli.py": ""},
            "p",
            "p/q/r.py, line 2: `import cli` finds EitherDB's cli, not p/cli.py; make the folder a package ",
        ),
        (
            {"a.py": AUTHOR + AUTHOR.replace('"authors"', '"writers"')},
            "a.py",
            "Author: two classes have this name, with the paths authors and writers; ",
        ),
        (
            {"a.py": AUTHOR, "b.py": AUTHOR},
            "a.py,b.py",
            "Author: two classes have this name, with the paths",
        ),
        (
            {"a.py": AUTHOR + AUTHOR.replace("Author", "Writer")},
            "a.py",
            "Writer: Author has the path authors too; give one of them another path",
        ),
        (
            {"a.py": AUTHOR + AUTHOR.replace("Author", "Authors").replace('"authors"', '"many"')},
            "a.py",
            "Authors: Author has a schema AuthorsCreate in the API too; give the class or the ",
        ),
        ({"a.py": AUTHOR.replace("Author", "Entry")}, "a.py", "Entry: EitherDB has a class of this name"),
        (
            {"a.py": BOOK},
            "a.py",
            "Book.author_id: it refers to 'authors', which nobody declares; give one of: users, items, boo",
        ),
        (
            {
                "a.py": BOOK
                + BOOK.replace("Book", "Author")
                .replace("authors", "x")
                .replace("books", "authors")
                .replace('"x"', '"books"')
            },
            "a.py",
            "each needs another: Book.author_id -> Author.author_id -> Book.author_id; let one of these ",
        ),
        ({"a.py": BOOK.replace("authors", "books")}, "a.py", "Book.author_id -> Book.author_id; "),
    ],
)
def test_load_refuses_in_one_line(files: dict[str, str], source: str, message: str) -> None:
    """What can't be loaded or served is refused in one line that says what would be right."""
    write(files)
    assert message in refusal(*source.split(","))


def test_load_accepts_a_cycle_that_null_breaks() -> None:
    """An optional reference to the own resource is a tree; two resources may refer to each other so."""
    tree = BOOK.replace("authors", "books").replace(
        'Reference("books")]', 'Reference("books")] | None = None'
    )
    write({"tree.py": tree})
    assert names("tree.py") == ["Book"]


def test_load_takes_a_corrected_module_after_a_refusal() -> None:
    """A module that failed is not remembered."""
    write({"a.py": "1 / 0"})
    refusal("a.py")
    write({"a.py": AUTHOR})
    assert names("a.py") == ["Author"]


def test_load_allows_imports_of_own_modules_without_a_user_module_beside() -> None:
    """A module may import EitherDB's settings."""
    write({"a.py": "from config import Settings\n" + AUTHOR})
    assert names("a.py") == ["Author"]
