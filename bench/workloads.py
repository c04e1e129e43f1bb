"""The workloads: prebuilt requests that are sent to the contenders."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
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

    def _read(self) -> bytes:
        owner = self._chance.choice(self._owners)
        item = owner * ITEMS_OF_AN_OWNER + self._chance.randrange(ITEMS_OF_AN_OWNER)
        return get(f"/items/{self._data.items[item]}", token=self._token(owner))

    def _list(self) -> bytes:
        return get("/items/?limit=100", token=self._token(self._chance.choice(self._owners)))

    def _create(self) -> bytes:
        body = json.dumps({"title": "Analytical Engine", "description": "Weaves algebraic patterns"})
        return post("/items/", body.encode(), token=self._token(self._chance.choice(self._creators)))

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
