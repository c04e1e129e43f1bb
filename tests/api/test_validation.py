"""What a body may be: every field of every route that takes one; 422 and never 500, and no echo."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx2
import pytest

from tests.api.responses import INCORRECT_PASSWORD, assert_invalid, assert_refused
from tests.api.routes import SOURCE, TARGET, WITH_BODY, WITH_FIELDS, Route, Scene
from tests.api.service import PASSWORD, SECRET, Service, as_json
from tests.conftest import ONE_BACKEND

JSON = {"Content-Type": "application/json"}
ASTRAL = "😀"  # one code point: two UTF-16 units, four bytes
every_route = pytest.mark.parametrize("route", WITH_BODY, ids=str)
every_route_with_fields = pytest.mark.parametrize("route", WITH_FIELDS, ids=str)


def address(length: int) -> str:
    """Make an e-mail address of so many characters."""
    local, domain = "a" * 64, "b" * 63 + "." + "c" * 63 + "."
    return f"{local}@{domain}{'d' * (length - 65 - len(domain) - 4)}.com"


NO_TEXT: list[Any] = [
    0,
    1.5,
    10**400,
    True,
    [],
    [PASSWORD],
    {PASSWORD: PASSWORD},
    {"$gt": ""},
    "nul\x00nul",
    "\ud800",
    f"{SECRET}\udfff{SECRET}",
]
NO_FLAG: list[Any] = [None, "", "maybe", 2, 0.5, 10**400, [], {"$gt": ""}, "\x00", "\ud800"]
NO_ADDRESS: list[Any] = [
    "",
    "x",
    "a@",
    "@example.com",
    "a@b",
    "a b@example.com",
    "a@example..com",
    "a@exam\nple.com",
    "a\xa0@example.com",
    "a" * 65 + "@example.com",
    "\u00fc" * 33 + "@example.com",
    "a@" + "b" * 64 + ".com",
    "Ada <ada@example.com>",
    "a@[127.0.0.1]",
    address(256),
    address(10_000),
    SECRET,
]
NO_ID: list[Any] = [0, 1.5, 10**400, True, [], {"$gt": ""}, "\ud800"]
NO_AMOUNT: list[Any] = [
    *(0, -1, 2**53, 2**53 + 1, 2**63, 10**400, -(2**53), -(2**63) - 1),
    *(1.5, 1.0, 1e3, 9007199254740991.0, float("inf"), True, False, "1", "", [], {"$gt": 0}),
]
NO_CURRENCY: list[Any] = [*NO_TEXT, "", "EU", "eur", "EURO", " EUR", "ZZZ", "XXX", "XAU"]
TOO_LONG = ("x" * 256, ASTRAL * 256, "x" * 100_000)
FAULTS: dict[str, list[Any]] = {
    "email": [*NO_TEXT, *NO_ADDRESS],
    "password": [*NO_TEXT, "", SECRET, ASTRAL * 7, SECRET * 22, ASTRAL * 129, "x" * 100_000],
    "name": [*NO_TEXT, *TOO_LONG],
    "title": [*NO_TEXT, *TOO_LONG, ""],
    "description": [*NO_TEXT, *TOO_LONG],
    "flag": NO_FLAG,
    "source": NO_ID,
    "target": NO_ID,
    "amount": NO_AMOUNT,
    "currency": NO_CURRENCY,
}
BOUNDARIES: dict[str, list[Any]] = {
    "email": [
        address(254),
        "a@b.co",
        "x@example.com",
        "ü@exämple.com",
        "a+tag@sub.example.com",
        "ü" * 32 + "@x.io",
    ],
    "password": [SECRET + "78", ASTRAL * 8, SECRET + "x" * 122, ASTRAL * 128],
    "name": ["", "x" * 255, ASTRAL * 255],
    "title": ["x", " ", "x" * 255, ASTRAL * 255],
    "description": ["", "x" * 255, ASTRAL * 255],
    "flag": [True, False],
    "source": [SOURCE],
    "target": [TARGET],
    "amount": [1, 2, 500],
    "currency": ["EUR", "JPY", "CLF"],
}


@ONE_BACKEND
@every_route_with_fields
async def test_fields_refuse_what_they_can_not_be(scene: Scene, route: Route) -> None:
    """Wrong types, operators, NUL, lone surrogates, lengths: a 422 for the field; nothing is stored."""
    before = await scene.stored()
    for name, field in route.fields.items():
        for value in (*FAULTS[field.kind], *(() if field.nullable else (None,))):
            answer = await scene.send(route, {**(route.body or {}), name: value})
            assert_invalid(answer, ("body", name))
    assert await scene.stored() == before


@every_route_with_fields
async def test_fields_accept_their_boundaries(scene: Scene, route: Route) -> None:
    """The shortest and the longest values, counted in code points, all fields at once."""
    boundaries = {name: BOUNDARIES[field.kind] for name, field in route.fields.items()}
    for number in range(max(map(len, boundaries.values()))):
        body = {name: values[number % len(values)] for name, values in boundaries.items()}
        if "current_password" in body:
            body["new_password"] = body["current_password"]
            # In the right form, and so refused for what it is.
            assert_refused(await scene.send(route, body), INCORRECT_PASSWORD)
            continue
        answer = await scene.send(route, body)
        assert answer.status_code == 200, (body, answer.text)
        sent = cast("dict[str, Any]", scene.filled(body))
        assert {**sent, **answer.json()} == {**answer.json(), **sent}


@every_route_with_fields
async def test_fields_may_be_left_out_unless_they_are_required(scene: Scene, route: Route) -> None:
    """Without one the body is refused for it, or accepted."""
    for name, field in route.fields.items():
        body = {key: value for key, value in (route.body or {}).items() if key != name}
        if "email" in body:
            body["email"] = f"without.{name}@example.com"
        answer = await scene.send(route, body)
        if field.required:
            assert_invalid(answer, ("body", name))
        else:
            assert answer.status_code == 200, answer.text


@every_route_with_fields
async def test_body_of_operators_is_refused_or_ignored(scene: Scene, route: Route) -> None:
    """A whole body that means something to a database means nothing to the API."""
    before = await scene.stored()
    operators = {"$set": {"is_superuser": True}, "$where": "1", "$gt": ""}
    answer = await scene.send(route, dict.fromkeys(route.fields, operators))
    assert_invalid(answer, *(("body", name) for name in route.fields))
    answer = await scene.send(route, operators)
    required = [name for name, field in route.fields.items() if field.required]
    if required:
        assert_invalid(answer, *(("body", name) for name in required))
    else:
        assert answer.status_code == 200
    assert await scene.stored() == before


async def send_raw(
    scene: Scene, route: Route, content: bytes, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Send these bytes as the body."""
    return await scene.caller(route).request(
        route.method, scene.path(route), content=content, headers=JSON if headers is None else headers
    )


@ONE_BACKEND
@every_route
async def test_body_that_is_no_object_is_refused(scene: Scene, route: Route) -> None:
    """Arrays, texts, numbers, null and nothing: 422 for the body as a whole."""
    before = await scene.stored()
    for content in (b"", b"[]", b"[{}]", b'"x"', b"1", b"true", b"null", b" null ", b"NaN"):
        assert_invalid(await send_raw(scene, route, content), ("body",))
    assert await scene.stored() == before


@ONE_BACKEND
@every_route
async def test_body_that_is_no_json_is_refused(scene: Scene, route: Route) -> None:
    """Broken, endless, too deep, of bytes that are no text: a 4xx in the common form, never a 500."""
    before = await scene.stored()
    for content in (
        b"{",
        b"{'title': 'x'}",
        b'{"title": "x"} x',
        b"\xff\xfe\x00",
        b'{"title": "\xff", "full_name": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"title=x",
        SECRET.encode(),
    ):
        answer = await send_raw(scene, route, content)
        assert answer.status_code in {400, 422}, answer.text
    assert await scene.stored() == before


@ONE_BACKEND
@every_route
async def test_body_of_another_type_is_refused(scene: Scene, route: Route) -> None:
    """JSON is only JSON when it says so: forms and texts of other sites' pages change nothing."""
    before = await scene.stored()
    content = as_json(route.body)["content"].encode()
    form = "application/x-www-form-urlencoded"
    for headers in (
        {},
        *({"Content-Type": name} for name in ("text/plain", form, "application/xml", "x", "")),
    ):
        assert_invalid(await send_raw(scene, route, content, headers), ("body",))
    answer = await send_raw(scene, route, b"title=x&full_name=x", {"Content-Type": form})
    assert_invalid(answer, ("body",))
    assert await scene.stored() == before


async def test_body_may_name_its_charset_and_repeat_a_key(scene: Scene) -> None:
    """JSON with a charset is JSON, as is a vendor's type; the last of two equal keys counts."""
    route = next(route for route in WITH_BODY if route.operation == "items-create_item")
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"):
        content = b'{"title": "first", "title": "second"}'
        answer = await send_raw(scene, route, content, {"Content-Type": content_type})
        assert (answer.status_code, answer.json()["title"]) == (200, "second")


async def test_body_with_strange_unknown_fields_is_accepted(scene: Scene) -> None:
    """Unknown fields are ignored whatever is in them: NUL, lone surrogates, numbers without end."""
    content = b'{"title": "x", "\\ud800": "\\ud800", "\\u0000": 1e999, "": [[[]]], "__proto__": NaN}'
    route = next(route for route in WITH_BODY if route.operation == "items-create_item")
    assert (await send_raw(scene, route, content)).status_code == 200


@ONE_BACKEND
@every_route_with_fields
async def test_integer_of_any_length_is_a_fault_of_its_field(scene: Scene, route: Route) -> None:
    """More digits than Python reads: a 422 for the field, as for any number that it can't be."""
    before = await scene.stored()
    for name in route.fields:
        for digits in ("9" * 5_000, "-" + "9" * 100_000):
            body = json.dumps(scene.filled({**(route.body or {}), name: "DIGITS"}))
            content = body.replace('"DIGITS"', digits).encode()
            assert_invalid(await send_raw(scene, route, content), ("body", name))
    assert await scene.stored() == before


async def test_integer_of_any_length_is_ignored_in_an_unknown_field(scene: Scene) -> None:
    """As is everything else there."""
    content = b'{"title": "x", "number": ' + b"9" * 5_000 + b"}"
    route = next(route for route in WITH_BODY if route.operation == "items-create_item")
    assert (await send_raw(scene, route, content)).status_code == 200


async def test_body_with_several_faults_names_them_all(scene: Scene) -> None:
    """One answer for all fields, so that a form can show them at once."""
    body = {"email": "x", "password": "x", "full_name": 1}
    answer = await scene.service.anyone.post("/users/signup", **as_json(body))
    assert_invalid(answer, ("body", "email"), ("body", "password"), ("body", "full_name"))


async def test_fault_never_echoes_a_password(service: Service) -> None:
    """Whatever is wrong with it, or with its neighbours, what was typed stays out of the answer."""
    for body in (
        {"email": "x", "password": PASSWORD},
        {"email": PASSWORD, "password": PASSWORD},
        {"email": "new@example.com", "password": SECRET},
        {"email": "new@example.com", "password": [PASSWORD]},
        {"email": "new@example.com", "password": {PASSWORD: PASSWORD}},
        [PASSWORD],
        PASSWORD,
    ):
        answer = await service.anyone.post("/users/signup", **as_json(body))
        assert answer.status_code == 422
        assert SECRET not in answer.text
    for content in (f'{{"password": "{PASSWORD}", "email": {PASSWORD}', f"password={PASSWORD}"):
        answer = await service.anyone.post("/users/signup", content=content, headers=JSON)
        assert answer.is_client_error
        assert SECRET not in answer.text
