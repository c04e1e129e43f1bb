"""The raw driver in idiomatic FastAPI: dependencies, pydantic input models, a response model per route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field

from bench.baselines.kinds import Kind
from bench.baselines.shared import API, DatabaseBaseline, Refused, Shown, check, check_owner, session_of

Text = Annotated[str, Field(min_length=1, max_length=255)]


class NewItem(BaseModel):
    """A new item."""

    title: Text
    description: Annotated[str, Field(max_length=255)] | None = None


class Item(BaseModel):
    """An item."""

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: str


class Items(BaseModel):
    """A page of items."""

    data: list[Item]
    count: int
    next_cursor: str | None = None


class NewProduct(BaseModel):
    """A new product."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    sku: Annotated[str, Field(max_length=20)]
    description: Annotated[str, Field(max_length=500)] | None = None
    price: Annotated[Decimal, Field(max_digits=12, decimal_places=2, ge=0)]
    stock: Annotated[int, Field(ge=0)] = 0
    weight: Annotated[float, Field(ge=0)] = 0
    is_active: bool = True
    state: Literal["draft", "published"] = "draft"
    released_on: date | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=10)] = []


class _Row(BaseModel):
    id: str


class Product(NewProduct, _Row):
    """A product. The fields of the last base class come first."""

    owner_id: str
    created_at: str


class Products(BaseModel):
    """A page of products."""

    data: list[Product]
    count: int
    next_cursor: str | None = None


class NewTransfer(BaseModel):
    """A new transfer."""

    from_account_id: str
    to_account_id: str
    amount_minor: Annotated[int, Field(gt=0)]
    note: Annotated[str, Field(max_length=255)] | None = None


class Transfer(BaseModel):
    """A transfer."""

    id: str
    from_account_id: str
    to_account_id: str
    amount_minor: int
    note: str | None
    created_at: str
    idempotency_key: str | None


async def _baseline(request: Request) -> DatabaseBaseline[Any]:
    baseline: DatabaseBaseline[Any] = request.app.state.baseline
    return baseline


Baseline = Annotated[DatabaseBaseline[Any], Depends(_baseline)]
Token = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl=f"{API}/login/access-token"))]


async def _reader(baseline: Baseline) -> AsyncIterator[Any]:
    async with baseline.reader() as connection:
        yield connection


async def _writer(baseline: Baseline) -> AsyncIterator[Any]:
    async with baseline.writer() as connection:
        yield connection


Reader = Annotated[Any, Depends(_reader)]
Writer = Annotated[Any, Depends(_writer)]


async def _signed_in(baseline: Baseline, connection: Any, token: str) -> str:
    user_id, session_version = session_of(token)
    check(await baseline.user(connection, user_id), session_version)
    return user_id


async def _reading_user(baseline: Baseline, connection: Reader, token: Token) -> str:
    return await _signed_in(baseline, connection, token)


async def _writing_user(baseline: Baseline, connection: Writer, token: Token) -> str:
    return await _signed_in(baseline, connection, token)


ReadingUser = Annotated[str, Depends(_reading_user)]
WritingUser = Annotated[str, Depends(_writing_user)]


async def _refuse(_: Request, exc: Exception) -> JSONResponse:
    status, detail = exc.args
    return JSONResponse({"detail": detail}, status)


def create_app(baseline: DatabaseBaseline[Any]) -> FastAPI:
    """Make the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await baseline.open()
        app.state.baseline = baseline
        yield
        await baseline.close()

    app = FastAPI(lifespan=lifespan, exception_handlers={Refused: _refuse})

    _add_routes(app, "items", NewItem, Item, Items)
    _add_routes(app, "products", NewProduct, Product, Products)

    @app.post(f"{API}/transfers/", response_model=Transfer)
    async def create_transfer(
        new: NewTransfer, user_id: WritingUser, connection: Writer, baseline: Baseline
    ) -> Shown:
        sides = (new.from_account_id, new.to_account_id)
        return await baseline.transfer(connection, user_id, *sides, new.amount_minor, new.note)

    @app.get(f"{API}/utils/health-check/")
    async def hello() -> bool:
        return True

    return app


def _add_routes(app: FastAPI, kind: Kind, new_form: Any, form: Any, page_form: Any) -> None:
    @app.get(f"{API}/{kind}/{{id}}", response_model=form)
    async def read_row(id: str, user_id: ReadingUser, connection: Reader, baseline: Baseline) -> Shown:
        return check_owner(await baseline.row(connection, kind, id), user_id)

    @app.get(f"{API}/{kind}/", response_model=page_form)
    async def read_rows(
        user_id: ReadingUser,
        connection: Reader,
        baseline: Baseline,
        limit: Annotated[int, Query(ge=0, le=100)] = 100,
    ) -> dict[str, Any]:
        page = await baseline.page(connection, kind, user_id, limit)
        return {"data": page.rows, "count": page.count}

    async def create_row(new: Any, user_id: Any, connection: Any, baseline: Any) -> Shown:
        row: Shown = await baseline.add(connection, kind, user_id, new.model_dump(mode="json"))
        return row

    create_row.__annotations__ |= {
        "new": new_form,
        "user_id": WritingUser,
        "connection": Writer,
        "baseline": Baseline,
    }
    app.post(f"{API}/{kind}/", response_model=form)(create_row)
