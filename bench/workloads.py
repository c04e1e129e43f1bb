"""The workloads: prebuilt requests that are sent to the contenders."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import jwt
from bson import ObjectId

from backends.ids import utc_now
from bench.data import ITEMS_OF_AN_OWNER, Data
from tests.proof.connection import get, post

SECRET_KEY = "of-the-benchmarks-alone-and-of-more-than-32-bytes"  # noqa: S105 - for servers on 127.0.0.1

CALLERS = 1_000
REQUESTS = 5_000
"""The number of different requests per workload; they are sent repeatedly."""

TITLES = {
    "hello": "hello, no database",
    "read": "read an item",
    "list": "list 100, with count",
    "create": "create an item",
    "read10": "read, ten fields",
    "list10": "list 100, ten fields",
    "create10": "create, ten fields",
    "transfer": "transfer",
}
WORKLOADS = tuple(TITLES)


class Workloads:
    """Builds the requests for this data, in a random order with a fixed seed."""

    def __init__(self, data: Data) -> None:
        """Choose the callers."""
        self._data = data
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self._tokens: dict[ObjectId, str] = {}
        owners = len(data.items) // ITEMS_OF_AN_OWNER
        self._owners = self._chance.sample(range(owners), k=min(CALLERS, owners))
        # The lists keep their length, because no owner creates items. The last user is a superuser.
        self._creators = range(owners, len(data.users) - 1)[:CALLERS]

    def requests(self, name: str) -> Sequence[bytes]:
        """Return the requests of a workload."""
        make = getattr(self, f"_{name}")
        return [make() for _ in range(REQUESTS)]

    def _hello(self) -> bytes:
        return get("/utils/health-check/", token="")

    def _read(self, kind: str = "items") -> bytes:
        owner = self._chance.choice(self._owners)
        item = owner * ITEMS_OF_AN_OWNER + self._chance.randrange(ITEMS_OF_AN_OWNER)
        return get(f"/{kind}/{self._data.items[item]}", token=self._token(owner))

    def _read10(self) -> bytes:
        return self._read("products")

    def _list(self, kind: str = "items") -> bytes:
        return get(f"/{kind}/?limit=100", token=self._token(self._chance.choice(self._owners)))

    def _list10(self) -> bytes:
        return self._list("products")

    def _create(self) -> bytes:
        return self._post(
            "items", {"title": "Analytical Engine", "description": "Weaves algebraic patterns"}
        )

    def _create10(self) -> bytes:
        return self._post(
            "products",
            {
                "name": "Analytical Engine",
                "sku": "AE-1837",
                "description": "Weaves algebraic patterns",
                "price": "17000.00",
                "stock": 1,
                "weight": 4.5,
                "is_active": True,
                "state": "published",
                "released_on": "1837-12-26",
                "tags": ["brass", "steam"],
            },
        )

    def _post(self, kind: str, row: Mapping[str, object]) -> bytes:
        token = self._token(self._chance.choice(self._creators))
        return post(f"/{kind}/", json.dumps(row).encode(), token=token)

    def _transfer(self) -> bytes:
        source = self._chance.choice(self._owners)
        target = self._chance.choice(self._creators)
        body = json.dumps(
            {
                "from_account_id": str(self._data.accounts[source]),
                "to_account_id": str(self._data.accounts[target]),
                "amount_minor": 1,
                "note": "Lunch",
            }
        )
        return post("/transfers/", body.encode(), token=self._token(source))

    def _all(self) -> bytes:
        return get("/items/?limit=100&count=none", token=self._token(len(self._data.users) - 1))

    def _token(self, user: int) -> str:
        id_ = self._data.users[user]
        if id_ not in self._tokens:
            now = utc_now()
            claims = {"sub": str(id_), "session": 0, "iat": now, "exp": now + timedelta(days=1)}
            claims |= {"iss": "eitherdb", "aud": "access"}
            self._tokens[id_] = jwt.encode(claims, SECRET_KEY, algorithm="HS256")
        return self._tokens[id_]
