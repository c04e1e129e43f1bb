"""The raw driver in Starlette: JSON by orjson, and only a router between the server and the function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.baselines.shared import API, DatabaseBaseline, Refused, check, check_owner, session_of


class Json(Response):
    """A response that orjson serialises."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Serialise the content."""
        return orjson.dumps(content)


def _session(request: Request) -> tuple[str, int]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise Refused(401, "Not authenticated")
    return session_of(token)


async def _refuse(_: Request, exc: Exception) -> Json:
    status, detail = exc.args
    return Json({"detail": detail}, status)


def create_app(baseline: DatabaseBaseline[Any]) -> Starlette:
    """Make the application."""

    async def hello(_: Request) -> Json:
        return Json(True)

    async def read_item(request: Request) -> Json:
        user_id, session_version = _session(request)
        async with baseline.reader() as connection:
            user, item = await baseline.user_and_item(connection, user_id, request.path_params["id"])
        check(user, session_version)
        return Json(check_owner(item, user_id))

    async def read_items(request: Request) -> Json:
        user_id, session_version = _session(request)
        limit = min(int(request.query_params.get("limit", 100)), 100)
        async with baseline.reader() as connection:
            user, page = await baseline.user_and_page(connection, user_id, limit)
        check(user, session_version)
        return Json({"data": page.items, "count": page.count, "next_cursor": None})

    async def create_item(request: Request) -> Json:
        user_id, session_version = _session(request)
        new = orjson.loads(await request.body())
        async with baseline.writer() as connection:
            check(await baseline.user(connection, user_id), session_version)
            return Json(await baseline.add_item(connection, user_id, new["title"], new.get("description")))

    async def create_transfer(request: Request) -> Json:
        user_id, session_version = _session(request)
        new = orjson.loads(await request.body())
        sides = (new["from_account_id"], new["to_account_id"])
        async with baseline.writer() as connection:
            check(await baseline.user(connection, user_id), session_version)
            transfer = await baseline.transfer(
                connection, user_id, *sides, new["amount_minor"], new.get("note")
            )
        return Json(transfer)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await baseline.open()
        yield
        await baseline.close()

    routes = [
        Route(f"{API}/items/{{id}}", read_item),
        Route(f"{API}/items/", read_items, methods=["GET"]),
        Route(f"{API}/items/", create_item, methods=["POST"]),
        Route(f"{API}/transfers/", create_transfer, methods=["POST"]),
        Route(f"{API}/utils/health-check/", hello),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refused: _refuse})
