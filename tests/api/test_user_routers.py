"""Routers of a user's module: served like the routes of EitherDB."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from api.app import create_app
from api.resources.own_models import own_models
from api.user_route_checks import models_of
from backends import open_backend
from backends.ids import new_id
from backends.models import with_items
from tests.api.declared import DECLARED
from tests.api.responses import (
    NOT_AUTHENTICATED,
    NOT_OWNER,
    NOT_PRIVILEGED,
    Refusal,
    assert_invalid,
    assert_ok,
    assert_refused,
)
from tests.api.service import Account, Service, as_json
from tests.api.user_routers import routers
from tests.provision import make_settings

BOOK_NOT_FOUND = Refusal(404, "Book not found", "not_found")
TOO_CHEAP = Refusal(409, "The books would cost less than nothing", "conflict")


@pytest.fixture
async def owner(declared: Service) -> Account:
    """Return a user without a book."""
    return await declared.user()


async def stored(owner: Account, **values: Any) -> dict[str, Any]:
    """Store a book and return it."""
    body = {"title": "Book", "isbn": str(int(new_id(), 16))[-13:], **values}
    answer = await owner.http.post("/books/", **as_json(body))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_route_reaches_rows_through_the_repository(declared: Service, owner: Account) -> None:
    """With the caller's scope; the response is that of the resource's own routes."""
    book = await stored(owner, published_on="2026-01-02")
    published = await owner.http.post(f"/books/{book['id']}/publication")
    read = await owner.http.get(f"/books/{book['id']}")
    assert (published.status_code, published.text) == (201, read.text)
    assert_ok(read, {**book, "state": "published"})
    assert (await owner.http.get("/books/own")).text == f"[{read.text}]"
    by_title = await owner.http.get("/books/by-title")
    assert by_title.text == f'{{"{book["title"]}":{read.text}}}'
    path = f"/books/{book['id']}/publication"
    assert_refused(await declared.anyone.post(path), NOT_AUTHENTICATED)
    assert_refused(await (await declared.user()).http.post(path), NOT_OWNER)
    assert_refused(await owner.http.post(f"/books/{new_id()}/publication"), BOOK_NOT_FOUND)


async def test_repository_of_a_route_keeps_the_rules(owner: Account) -> None:
    """A rule of the class that a route would break is a 422, as in a PATCH."""
    book = await stored(owner)
    refused = await owner.http.post(f"/books/{book['id']}/publication")
    assert_invalid(refused, ("body",))
    patched = await owner.http.patch(f"/books/{book['id']}", **as_json({"state": "published"}))
    assert refused.text == patched.text


async def test_caller_of_a_route_is_public(owner: Account) -> None:
    """Whatever a route does with the caller, the hash of the password does not leave the service."""
    me = (await owner.http.get("/users/me")).json()
    assert_ok(await owner.http.get("/books/reader"), {"reader": me})


async def test_literal_path_is_no_id(owner: Account) -> None:
    """`/books/statistics` is the user's route, although `/books/{book_id}` fits too."""
    await stored(owner)
    answer = await owner.http.get("/books/statistics")
    assert_ok(answer, {"count": 1, "environment": "local"})


async def test_route_has_the_limits_and_errors_of_the_api(declared: Service, owner: Account) -> None:
    """Callers first, then the body; every error has a detail and a code."""
    superuser = await declared.superuser()
    broken: dict[str, Any] = {"content": "{", "headers": {"Content-Type": "application/json"}}
    deep = {**broken, "content": '{"percent":' * 200 + "1" + "}" * 200}
    for sent in (broken, deep):
        assert_refused(await declared.anyone.post("/books/discount", **sent), NOT_AUTHENTICATED)
        assert_refused(await owner.http.post("/books/discount", **sent), NOT_PRIVILEGED)
        answer = await superuser.http.post("/books/discount", **sent)
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "json_invalid")
    assert_invalid(
        await superuser.http.post("/books/discount", **as_json({"percent": "x"})), ("body", "percent")
    )
    assert_refused(await superuser.http.post("/books/discount", **as_json({"percent": 101})), TOO_CHEAP)
    assert_ok(await superuser.http.post("/books/discount", **as_json({"percent": 7})), 7)
    head = await owner.http.head("/books/own")
    assert (head.status_code, head.content) == (200, b"")


async def test_lifespan_of_a_router_is_run(declared: Service) -> None:
    """What it yields is the state of requests, if the server keeps a state."""
    opener = partial(open_backend, resources=DECLARED)
    app = create_app(declared.settings, resources=DECLARED, routers=routers, opener=opener)
    async with app.router.lifespan_context(app) as state:
        assert state == {"opened": "by the lifespan"}


def test_document_has_the_routes() -> None:
    """With operation ids by the rule, and the problems that follow from the dependencies."""
    document = create_app(make_settings(), resources=DECLARED, routers=routers).openapi()
    found = {
        (method, path.removeprefix("/api/v1")): (
            operation["operationId"],
            operation["tags"],
            {"401", "403", "413", "500"} & set(operation["responses"]),
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    signed_in = {"401", "403", "413", "500"}
    assert found["get", "/books/statistics"] == ("books-read_statistics", ["books"], signed_in)
    assert found["post", "/books/{book_id}/publication"] == ("books-publish_book", ["books"], signed_in)
    assert found["get", "/books/lifespan"] == ("books-read_lifespan", ["books"], {"413", "500"})
    assert found["post", "/books/discount"] == (
        "administration-discount_books",
        ["administration"],
        signed_in,
    )
    operation = document["paths"]["/api/v1/books/{book_id}/publication"]["post"]
    schema = operation["responses"]["201"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/BookPublic"} in schema["anyOf"]
    others = create_app(make_settings(), resources=DECLARED).openapi()
    assert {name: document["paths"][name] for name in others["paths"]} == others["paths"]
    assert set(document["components"]["schemas"]) - set(others["components"]["schemas"]) == {
        "Statistics",
        "Discount",
    }


def test_own_models_are_those_of_the_routes() -> None:
    """Their names are known without the routes, which are built later."""
    app = create_app(make_settings(environment="local"), resources=DECLARED)
    known = own_models(tuple(with_items(DECLARED).values()))
    found = {model.__name__: model for route in app.routes for model in models_of(route)}
    models = {name: model for name, model in found.items() if name.isidentifier()}  # FastAPI names others
    assert len(models) > 40
    assert {name: known[name]() for name in models} == models
