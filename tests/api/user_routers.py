"""Routers as a user's module exports them, over the resources of `declared`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from eitherdb.routes import AppSettings, CurrentUser, Repository, Superuser, owner_scope
from tests.api.declared import Author, Book


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"opened": "by the lifespan"}


router = APIRouter(prefix="/books", lifespan=_lifespan)
administration = APIRouter(tags=["administration"])
"""Included in the other one, as a router may be."""


class Statistics(BaseModel):
    """Numbers about the books of the caller."""

    count: int
    environment: str


class Discount(BaseModel):
    """A change of all prices."""

    percent: int


async def _books_of(user: CurrentUser, books: Repository[Book]) -> list[Book]:
    """Return the books of the caller: a dependency of the user's own."""
    return (await books.list(owner_id=user.id, sort="title")).data


@router.get("/statistics")
async def read_statistics(
    books: Annotated[list[Book], Depends(_books_of)], settings: AppSettings
) -> Statistics:
    """Count your own books."""
    return Statistics(count=len(books), environment=settings.environment)


@router.get("/own")
def read_own(books: Annotated[list[Book], Depends(_books_of)]) -> list[Book]:
    """List your own books."""
    return books


@router.post("/{book_id}/publication", status_code=201)
async def publish_book(book_id: str, user: CurrentUser, books: Repository[Book]) -> Book | None:
    """Publish a book."""
    return await books.update(book_id, {"state": "published"}, owner_id=owner_scope(user))


@router.get("/reader")
async def read_reader(user: CurrentUser) -> dict[str, Any]:
    """Return the caller, in a response that no model describes."""
    return {"reader": user}


@router.get("/by-title")
async def read_by_title(books: Annotated[list[Book], Depends(_books_of)]) -> dict[str, Book]:
    """Return your own books by their titles."""
    return {book.title: book for book in books}


@router.get("/lifespan")
async def read_lifespan(request: Request) -> str:
    """Return the state of the lifespan."""
    opened: str = request.state.opened
    return opened


@administration.post("/discount")
async def discount_books(
    body: Discount, _superuser: Superuser, books: Repository[Book], authors: Repository[Author]
) -> int:
    """Do nothing for superusers."""
    assert (books.spec.name, authors.spec.name) == ("books", "authors")
    if body.percent > 100:
        raise HTTPException(409, "The books would cost less than nothing")
    return body.percent


router.include_router(administration)
routers = [router]
