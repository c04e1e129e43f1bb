"""Declared resources in the OpenAPI document: names, forms and examples follow by rule."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter

from api.app import create_app
from eitherdb import Reference, Resource
from tests.api.declared import DECLARED, Book
from tests.provision import make_settings

WRITABLE = {
    *("title", "isbn", "author_id", "editor_id", "price", "state", "rank", "weight"),
    *("share", "is_lent"),
    *("published_on", "printed_at", "tags", "size", "notes"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the document of an application with the declared resources."""
    return create_app(make_settings(), resources=DECLARED).openapi()


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Return an operation."""
    found: dict[str, Any] = document["paths"][f"/api/v1{path}"][method]
    return found


def test_operations_are_named_after_path_and_class(document: dict[str, Any]) -> None:
    """Hyphens in the path, underscores in names."""
    operations = {
        (method, path.removeprefix("/api/v1")): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] == ["line-items"]
    }
    assert operations == {
        ("get", "/line-items/"): "line-items-read_line_items",
        ("post", "/line-items/"): "line-items-create_line_item",
        ("post", "/line-items/bulk"): "line-items-create_line_items",
        ("get", "/line-items/{line_item_id}"): "line-items-read_line_item",
        ("patch", "/line-items/{line_item_id}"): "line-items-patch_line_item",
        ("put", "/line-items/{line_item_id}"): "line-items-update_line_item",
        ("delete", "/line-items/{line_item_id}"): "line-items-delete_line_item",
    }


def test_forms_are_named_after_class_and_path(document: dict[str, Any]) -> None:
    """As those of items."""
    names = {name for name in document["components"]["schemas"] if name.startswith("LineItem")}
    singular = {"LineItemCreate", "LineItemUpdate", "LineItemPublic"}
    assert names == singular | {"LineItemsCreate", "LineItemsCreated", "LineItemsPublic"}


def test_tag_is_described_by_the_docstring(document: dict[str, Any]) -> None:
    """By its first line."""
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert tags["books"] == "A book of one's own."


def test_bodies_have_the_writable_fields(document: dict[str, Any]) -> None:
    """Nothing of the server's and nothing read-only; in a change nothing immutable either."""
    schemas = document["components"]["schemas"]
    assert set(schemas["BookCreate"]["properties"]) == WRITABLE
    assert schemas["BookCreate"]["required"] == ["title", "isbn"]
    assert set(schemas["BookUpdate"]["properties"]) == WRITABLE - {"isbn"}
    assert "required" not in schemas["BookUpdate"]
    served = {"id", "reviews", "owner_id", "created_at"}
    assert set(schemas["BookPublic"]["required"]) == WRITABLE | served
    assert schemas["BookPublic"]["properties"]["state"]["enum"] == ["draft", "published"]
    assert schemas["BookUpdate"]["properties"]["title"]["description"] == "As on the cover."


def test_decimals_have_their_digits_in_bodies_and_all_places_in_responses(document: dict[str, Any]) -> None:
    """A filter may be below the bound of the field."""
    schemas = document["components"]["schemas"]
    patterns = {
        form: schemas[form]["properties"]["price"]["anyOf"][0]["pattern"]
        for form in ("BookCreate", "BookPublic")
    }
    parameters = operation_of(document, "get", "/books/")["parameters"]
    (at_most,) = (each["schema"] for each in parameters if each["name"] == "price__lte")
    assert patterns == {
        "BookCreate": r"^[0-9]{1,10}(\.[0-9]{1,2})?$",
        "BookPublic": r"^-?[0-9]+\.[0-9]{2}$",
    }
    assert at_most["anyOf"][0]["pattern"] == r"^-?[0-9]{1,10}(\.[0-9]{1,2})?$"
    share = schemas["BookCreate"]["properties"]["share"]["anyOf"][0]["pattern"]
    assert share == r"^-?[0-9]{1,1}(\.[0-9]{1,9})?$"


def test_examples_are_valid(document: dict[str, Any]) -> None:
    """A form without an example that its class accepts has none."""
    (example,) = document["components"]["schemas"]["BookCreate"]["examples"]
    assert example == {"title": "Title", "isbn": "0000000000000"}
    TypeAdapter(Book).validate_python(example)


@pytest.mark.parametrize(
    ("method", "path", "needs_token", "statuses"),
    [
        ("get", "/books/", True, {"401", "403"}),
        ("post", "/books/", True, {"401", "403", "409", "501"}),
        ("patch", "/books/{book_id}", True, {"401", "403", "404", "409", "412"}),
        ("delete", "/books/{book_id}", True, {"401", "403", "404", "412"}),
        ("delete", "/authors/{author_id}", True, {"401", "403", "404", "409", "412", "501"}),
        ("get", "/notices/", False, set()),
        ("post", "/notices/", False, {"400"}),
        ("post", "/notices/bulk", False, {"400", "501"}),
        ("delete", "/notices/{notice_id}", False, {"404", "412"}),
    ],
)
def test_operation_documents_who_may_and_what_may_fail(
    document: dict[str, Any], method: str, path: str, *, needs_token: bool, statuses: set[str]
) -> None:
    """A route for anyone has no token and no idempotency key, which belongs to a user."""
    operation = operation_of(document, method, path)
    assert ("security" in operation) is needs_token
    some = {"400", "401", "403", "404", "409", "412", "501"}
    found = set(operation["responses"]) & some
    # The caller's user: inactive, or deleted.
    assert found - statuses <= ({"400", "404"} if needs_token else set())
    assert statuses <= found
    if method == "post":
        parameters = {each["name"] for each in operation.get("parameters", ())}
        assert parameters == ({"idempotency-key"} if needs_token else set())


class Shelf(Resource, path="shelves"):
    """A shelf, which is deleted with its owner."""

    label: Annotated[str, Field(max_length=9)]


class Folder(Resource, path="folders", owned=False):
    """A folder, which is deleted with its shelf."""

    shelf_id: Annotated[str, Reference("shelves", on_delete="cascade")]


class Loan(Resource, path="loans", owned=False):
    """A loan, which keeps its folder."""

    folder_id: Annotated[str, Reference("folders", on_delete="restrict")]


class Mark(Resource, path="marks", owned=False):
    """A mark, which keeps the user who made it, and loses its loan."""

    user_id: Annotated[str, Reference("users", on_delete="restrict")]
    loan_id: Annotated[str | None, Reference("loans", on_delete="set_null")] = None


@pytest.mark.parametrize(
    ("path", "keep"),
    [
        ("/users/me", {"loan", "mark"}),
        ("/users/{user_id}", {"loan", "mark"}),
        ("/shelves/{shelf_id}", {"loan"}),
        ("/folders/{folder_id}", {"loan"}),
        ("/loans/{loan_id}", set()),
        ("/marks/{mark_id}", set()),
    ],
)
def test_deletion_documents_what_refers_to_the_row_or_what_is_deleted_with_it(
    path: str, keep: set[str]
) -> None:
    """Each resource of which a row may keep it has an example, in the document of this application only."""
    declaring = create_app(make_settings(), resources=(Shelf, Folder, Loan, Mark)).openapi()
    responses = operation_of(declaring, "delete", path)["responses"]
    examples = responses.get("409", {"content": {"application/json": {"examples": {}}}})["content"]
    details = set(examples["application/json"]["examples"]) - {"There is money in an account of the user"}
    assert details == {f"At least one {entity} refers to it" for entity in keep}
    if path.startswith("/users"):
        responses = operation_of(create_app(make_settings()).openapi(), "delete", path)["responses"]
        assert set(responses["409"]["content"]["application/json"]["examples"]) == {
            "There is money in an account of the user"
        }
