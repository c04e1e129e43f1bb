"""Routers of a user's module: what can't be served is refused in one line that says what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, WebSocket
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.app import create_app
from api.user_routers import routers_of
from backends.models.resources import DeclarationError, Resource
from backends.models.resources.loading import classes_of, load_declarations
from eitherdb.routes import Repository
from tests.api.declared import DECLARED, Author, Book
from tests.provision import make_settings

REPOSITORY: Any = Repository
"""For arguments that a type checker refuses too."""


class Shelf(Resource, path="shelves"):
    """A resource that is not served."""

    number: int


class Message(BaseModel):
    """Another model than EitherDB's, which has the name."""


class Best(BaseModel):
    """A model with a row."""

    book: Book


class OwnRoute(APIRoute):
    """A route class of the user."""


async def endpoint() -> None:
    """Do nothing."""


async def undescribed():  # type: ignore[no-untyped-def]  # noqa: ANN201 - is refused
    """Return something."""


async def websocket(socket: WebSocket) -> None:
    """Do nothing."""


async def add_book(body: Book) -> None:
    """Take a row from a client."""


async def unreadable(book: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821 - is refused
    """Take what is not defined."""


async def read_shelves(shelves: Repository[Shelf]) -> None:
    """Use what is not served."""


def read_later(books: Repository[Book]) -> None:
    """Have no way to await."""


def refusal(*routers: APIRouter, resources: tuple[type[Resource], ...] = DECLARED) -> str:
    """Return the message with which the routers are refused."""
    with pytest.raises(DeclarationError) as caught:
        create_app(make_settings(), resources=resources, routers=routers)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def get(path: str, function: Any = endpoint, **options: Any) -> Callable[[APIRouter], Any]:
    """Return the function that declares a route."""
    return lambda router: router.get(path, **options)(function)


PLACE = "tests/unit/test_user_routers.py, line "


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            get("/books/{id}"),
            "endpoint: GET /books/{id} hides EitherDB's GET /books/{book_id}; give it ano",
        ),
        (get("/books/{id:int}"), "GET /books/{id:int} hides EitherDB's GET /books/{book_id}"),
        (get("/{a}/{b}"), "GET /{a}/{b} hides EitherDB's "),
        (get("/{rest:path}"), "GET /{rest:path} hides EitherDB's "),
        (get("/users/me"), "GET /users/me hides EitherDB's GET /users/me"),
        (
            lambda router: router.post("/books/bulk")(endpoint),
            "POST /books/bulk hides EitherDB's POST /books/bulk",
        ),
        (
            get("/x", operation_id="books-read_book"),
            "endpoint: EitherDB's GET /books/{book_id} has the operation id books-read_book too; give the",
        ),
        (
            lambda router: [get("/x")(router), get("/x/{y}")(router)],
            "endpoint: GET /x has the operation id x-endpoint too; give the function another name",
        ),
        (
            lambda router: [get("/x/{y}")(router), get("/x/new", name="new")(router)],
            "endpoint: GET /x/new is hidden by GET /x/{y}; declare it first, or give it another path",
        ),
        (
            lambda router: router.api_route("/x", methods=["GET", "POST"])(endpoint),
            "a route of GET, POST is not served; write one route for each of GET, POST, PUT, PATCH, DELETE",
        ),
        (lambda router: router.head("/x")(endpoint), "a route of HEAD is not served"),
        (get(""), "endpoint: the path is empty; write one, such as "),
        (
            lambda router: router.websocket("/x")(websocket),
            "websocket: APIWebSocketRoute is not served; declare it by get, post, put, patch or delete of",
        ),
        (lambda router: router.mount("/x", make_settings), "the route /x: Mount is not served"),
        (
            get("/x", read_shelves),
            "read_shelves: Repository[Shelf] has no rows: the class is not declared; import",
        ),
        (
            get("/x", response_model=list[Message]),
            "endpoint: the API has another model of the name Message; give the model another name",
        ),
        (
            get("/x", undescribed),
            "undescribed: it has no return annotation; write -> Book, or the type that it returns",
        ),
        (
            get("/x", response_model=Best),
            "endpoint: a Book within another model has no id; return a Book, or a list or dict of them",
        ),
        (
            lambda router: router.post("/x")(add_book),
            "add_book: clients would set the read-only reviews of a Book; take a BaseModel with the fields",
        ),
        (
            get("/x", unreadable),
            "unreadable: an annotation can't be read: name 'Missing' is not defined; define or import it",
        ),
        (
            get("/x", read_later),
            "read_later is no coroutine, and takes a repository; write async def",
        ),
    ],
)
def test_route_is_refused_in_one_line(declare: Callable[[APIRouter], Any], message: str) -> None:
    """The line names the file, the line and the function."""
    router = APIRouter()
    declare(router)
    found = refusal(router)
    assert message in found
    assert found.startswith((PLACE, "the route /x: "))


def test_router_with_a_route_class_is_refused() -> None:
    """The route class of EitherDB has the limits of requests."""
    router = APIRouter(route_class=OwnRoute)
    get("/x")(router)
    assert "OwnRoute is not served; declare it by get, post, put, patch or delete of an API" in refusal(
        router
    )


def test_router_that_is_listed_twice_is_refused() -> None:
    """As a route that is declared twice."""
    router = APIRouter()
    get("/x")(router)
    assert "GET /x is hidden by GET /x" in refusal(router, router)


def test_items_and_paths_beside_those_of_resources_are_served() -> None:
    """A route may use every repository, and any path that hides no other."""
    router = APIRouter()
    get("/books/statistics")(router)
    get("/books/{id}/pages", name="pages")(router)
    get("/books", name="books")(router)
    app = create_app(make_settings(), resources=DECLARED, routers=[router])
    paths = [getattr(route, "path", "").removeprefix("/api/v1") for route in app.routes]
    assert paths.index("/books/statistics") < paths.index("/books/{book_id}") < paths.index("/books")


@pytest.mark.parametrize("resource", [int, Resource, "books", None])
def test_repository_of_no_resource_is_refused(resource: Any) -> None:
    """As soon as the annotation is read."""
    with pytest.raises(DeclarationError, match="it is no resource; name a class that is declared: Book"):
        REPOSITORY[resource]


def test_repository_is_one_dependency() -> None:
    """FastAPI solves a dependency that is one object once for a request."""
    assert REPOSITORY[Book] == REPOSITORY[Book]
    assert REPOSITORY[Book] != REPOSITORY[Author]


MODULE = """
from typing import Annotated
from fastapi import APIRouter
from eitherdb import Resource

class Shelf(Resource, path="shelves"):
    number: int

shelves = APIRouter(prefix="/shelves")
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "shelves is not served; write routers = [shelves]"),
        ("routers = shelves", "routers is APIRouter and no list; write routers = [router]"),
        ("import json as routers", "routers is a module and no list; write routers = [router]"),
        ("routers = [shelves, 5]", "routers[1] is int and no APIRouter; write routers = [router], "),
        ("routers = [Shelf]", "routers[0] is ModelMetaclass and no APIRouter"),
    ],
)
def test_export_is_refused_in_one_line(line: str, message: str, tmp_path: Any) -> None:
    """A router that nobody serves is a mistake too."""
    file = tmp_path / "shop.py"
    file.write_text(MODULE + line)
    with pytest.raises(DeclarationError) as caught:
        routers_of(load_declarations([str(file)]))
    assert str(caught.value).startswith(f"{file}: {message}")


def test_export_of_a_package(tmp_path: Any) -> None:
    """The package exports; its submodules do not. An empty list is one too."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "shelves.py").write_text(MODULE + "routers = []\n")
    (package / "__init__.py").write_text(
        "from .shelves import Shelf, shelves\nrouters = (shelves,)\nnothing = []\n"
    )
    declarations = load_declarations([str(package)])
    (router,) = routers_of(declarations)
    assert router.prefix == "/shelves"
    assert [each.__name__ for each in classes_of(declarations)] == ["Shelf"]


def test_response_that_pydantic_does_not_know_is_refused_in_one_line(tmp_path: Any) -> None:
    """When the module is loaded, by the name of the class as the user wrote it."""
    file = tmp_path / "shop.py"
    file.write_text(f"{MODULE}\nclass Thing: pass\n\n@shelves.get('/x')\nasync def read() -> Thing: ...\n")
    with pytest.raises(DeclarationError) as caught:
        load_declarations([str(file)])
    assert str(caught.value) == (
        f"{file}, line 13: FastAPIError: Invalid args for response field! Hint: check that <class "
        "'shop.Thing'> is a valid Pydantic field type; correct it there"
    )


def test_route_before_its_class_is_served(tmp_path: Any) -> None:
    """Its annotations are read when the whole module is loaded."""
    file = tmp_path / "shop.py"
    file.write_text(
        "from __future__ import annotations\nfrom fastapi import APIRouter\n"
        "from eitherdb import Resource\nfrom eitherdb.routes import Repository\n"
        "router = APIRouter()\n@router.get('/x')\nasync def read(rows: Repository[Crate]) -> int: ...\n"
        "class Crate(Resource, path='crates'):\n    number: int\nrouters = [router]\n"
    )
    declarations = load_declarations([str(file)])
    app = create_app(make_settings(), resources=classes_of(declarations), routers=routers_of(declarations))
    assert "parameters" not in app.openapi()["paths"]["/api/v1/x"]["get"]
