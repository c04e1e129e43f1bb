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

from bench.baselines.kinds import Kind
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

    def routes_of(kind: Kind) -> list[Route]:
        async def read_row(request: Request) -> Json:
            user_id, session_version = _session(request)
            async with baseline.reader() as connection:
                user, row = await baseline.user_and_row(
                    connection, kind, user_id, request.path_params["id"]
                )
            check(user, session_version)
            return Json(check_owner(row, user_id))

        async def read_rows(request: Request) -> Json:
            user_id, session_version = _session(request)
            limit = min(int(request.query_params.get("limit", 100)), 100)
            async with baseline.reader() as connection:
                user, page = await baseline.user_and_page(connection, kind, user_id, limit)
            check(user, session_version)
            return Json({"data": page.rows, "count": page.count, "next_cursor": None})

        async def create_row(request: Request) -> Json:
            user_id, session_version = _session(request)
            new = orjson.loads(await request.body())
            async with baseline.writer() as connection:
                check(await baseline.user(connection, user_id), session_version)
                return Json(await baseline.add(connection, kind, user_id, new))

        return [
            Route(f"{API}/{kind}/{{id}}", read_row),
            Route(f"{API}/{kind}/", read_rows, methods=["GET"]),
            Route(f"{API}/{kind}/", create_row, methods=["POST"]),
        ]

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
        *routes_of("items"),
        *routes_of("products"),
        Route(f"{API}/transfers/", create_transfer, methods=["POST"]),
        Route(f"{API}/utils/health-check/", hello),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refused: _refuse})
