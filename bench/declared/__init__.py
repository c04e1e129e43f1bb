"""The declared resource of the benchmarks: ten fields, of most kinds."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from eitherdb import Filterable, Resource, Searchable, Sortable


class Product(Resource, path="products"):
    """A product of one's own."""

    name: Annotated[str, Field(min_length=1, max_length=100), Sortable(), Searchable()]
    sku: Annotated[str, Field(max_length=20), Filterable()]
    description: Annotated[str, Field(max_length=500)] | None = None
    price: Annotated[Decimal, Field(max_digits=12, decimal_places=2, ge=0), Sortable(), Filterable()]
    stock: Annotated[int, Field(ge=0), Sortable()] = 0
    weight: Annotated[float, Field(ge=0)] = 0
    is_active: bool = True
    state: Annotated[Literal["draft", "published"], Filterable()] = "draft"
    released_on: date | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=10)] = []
