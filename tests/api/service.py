"""The application on a real backend, and clients with accounts.

Every password of these tests contains `SECRET`, which no answer may contain, nor any hash: each client
checks it on every answer, and also that no error leaves without its `detail` and `code`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from typing import Any

import httpx2
from argon2 import PasswordHasher
from fastapi import APIRouter, FastAPI

from api import hashes
from api.app import create_app
from api.security import make_access_token
from backends import open_backend
from backends.ids import IdSource, new_id
from backends.models import Item, NewItem, NewUser, User
from backends.models.resources import Resource
from backends.protocols import Backend
from config import Settings
from eitherdb_contract.clock import ManualClock
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.provision import Provision

SECRET = "s3cret"
PASSWORD = f"{SECRET}-horse"
CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
COSTLY_HASHER = hashes._hasher
# Verified in a millisecond: a hash carries its own costs.
PASSWORD_HASH = CHEAP_HASHER.hash(PASSWORD)

BackendWrapper = Callable[[Backend], Backend]


async def _check_answer(answer: httpx2.Response) -> None:
    await answer.aread()
    for word in (SECRET, "argon2", "hashed_password"):
        assert word not in answer.text, f"an answer contains {word!r}: {answer.text}"
    if answer.is_error and answer.headers.get("Content-Type") == "application/json" and answer.content:
        assert set(answer.json()) == {"detail", "code"}, answer.text


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the client that is signed in as this user."""

    user: User
    http: httpx2.AsyncClient

    @property
    def id(self) -> str:
        """The user's id."""
        return self.user.id

    @property
    def token(self) -> str:
        """The bearer token that the client sends."""
        return self.http.headers["Authorization"].removeprefix("Bearer ")


@dataclass(frozen=True)
class Service:
    """A running application and what a test may use to look behind it."""

    app: FastAPI
    settings: Settings
    backend: Backend
    clock: ManualClock
    numbers: count[int] = field(default_factory=count)

    def client(self, token: str | None = None) -> httpx2.AsyncClient:
        """Return a client, signed in with this token or not at all."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app),
            base_url="http://eitherdb.example/api/v1",
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            event_hooks={"response": [_check_answer]},
            trust_env=False,
        )

    @cached_property
    def anyone(self) -> httpx2.AsyncClient:
        """A client that is not signed in."""
        return self.client()

    def sign_in(self, user: User) -> Account:
        """Return the user with a client of its own."""
        return Account(user, self.client(make_access_token(user, self.settings)))

    async def user(self, email: str | None = None, **values: Any) -> Account:
        """Store a user whose password is `PASSWORD`."""
        email = email or f"user{next(self.numbers)}@example.com"
        new = NewUser(email=email, hashed_password=PASSWORD_HASH, **values)
        return self.sign_in(await self.backend.users.add(new))

    async def superuser(self, email: str | None = None, **values: Any) -> Account:
        """Store a superuser whose password is `PASSWORD`."""
        return await self.user(email, is_superuser=True, **values)

    async def item(self, owner: Account, title: str = "Lamp", **values: Any) -> Item:
        """Store an item of this owner."""
        return await self.backend.items.add(NewItem(title=title, **values), owner_id=owner.id)

    async def login(self, email: str, password: str) -> httpx2.Response:
        """Ask for a token."""
        return await self.anyone.post("/login/access-token", data={"username": email, "password": password})

    async def all_users(self) -> list[User]:
        """Return the users that are stored, newest first."""
        return (await self.backend.users.list(limit=1000)).data

    async def all_items(self) -> list[Item]:
        """Return the items that are stored, newest first."""
        return (await self.backend.items.list(limit=1000)).data


def as_json(body: object) -> dict[str, Any]:
    """Return the arguments that send a body as JSON in ASCII, so that lone surrogates can be sent too."""
    return {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}


@asynccontextmanager
async def serve(
    provision: Provision,
    *,
    clock: ManualClock | None = None,
    id_source: IdSource = new_id,
    wrap: BackendWrapper | None = None,
    fast_path: bool = True,
    **changes: Any,
) -> AsyncIterator[Service]:
    """Run an application until the end of the block.

    Args:
        provision: Where its backend is opened.
        clock: The backend's.
        id_source: The backend's.
        wrap: What to put around the backend.
        fast_path: Whether routes have a fast path.
        **changes: Settings other than the provision's; not checked again.
    """
    settings = provision.settings.model_copy(update=changes)
    clock = clock or ManualClock()

    async def opener(settings: Settings) -> Backend:
        backend = await provision.open(settings, clock=clock, id_source=id_source)
        return wrap(backend) if wrap else backend

    app = create_app(settings, opener=opener, fast_path=fast_path)
    async with app.router.lifespan_context(app):
        yield Service(app, settings, app.state.services.backend, clock)


@asynccontextmanager
async def serve_declared(
    provision: Provision,
    resources: Sequence[type[Resource]],
    *,
    routers: Sequence[APIRouter] = (),
    **changes: Any,
) -> AsyncIterator[Service]:
    """Run an application with declared resources, on a database of its own, until the end of the block.

    Args:
        provision: Where the database is made.
        resources: The declared resources.
        routers: The routers of their module.
        **changes: Settings other than the provision's; not checked again.
    """
    clock = ManualClock()
    async with provision.empty_database() as empty:
        settings = empty.model_copy(update=changes)
        history = history_of("declared", [cls.__resource__ for cls in resources])
        await open_migrator(settings, [history]).upgrade()
        opener = partial(open_backend, clock=clock, resources=resources)
        app = create_app(settings, resources=resources, routers=routers, opener=opener)
        async with app.router.lifespan_context(app):
            yield Service(app, settings, app.state.services.backend, clock)
