"""Made-up declarations with made-up histories, on every backend and the model at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from hypothesis import note

from api.app import create_app
from api.security import make_access_token
from backends import open_backend
from backends.models import NewUser, User, with_items
from backends.models.resources import FieldSpec, Resource
from backends.models.resources.filters import filters_of
from backends.models.resources.values import to_json
from backends.protocols import Backend
from config import Settings
from eitherdb_contract.clock import ManualClock
from migrations import open_migrator
from migrations.resources.history import history_of
from tests.contract.made_up import load
from tests.contract.resource_values import values_of
from tests.differential.model.resources import (
    INVALID,
    Caller,
    Model,
    Refused,
    Row,
    fits,
    has_text,
    in_query,
    sort_key,
)
from tests.differential.systems import START, DeterministicIds
from tests.provision import Provision

T = TypeVar("T")

HISTORY = "made_up"
OPERATIONS = (
    "create",
    "create",
    "bulk",
    "patch",
    "put",
    "read",
    "list",
    "list",
    "page",
    "delete",
    "delete_user",
)
UNKNOWN = "0123456789abcdef01234567"
USERS = [
    NewUser(email=f"{name}@example.com", hashed_password="x", is_superuser=name == "root")
    for name in ("root", "ada", "bob")
]


@dataclass(frozen=True)
class Step:
    """A request, as numbers that are interpreted by the state: so a shorter history is one, too."""

    operation: str
    numbers: tuple[int, ...]


@dataclass
class Databases:
    """The migrated databases, without declared resources between two histories."""

    loop: asyncio.AbstractEventLoop
    provisions: Mapping[str, Provision]
    calls: int = 0
    outcomes: dict[tuple[str, int], int] = field(default_factory=dict)

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run the body in the event loop of the test."""
        return asyncio.run_coroutine_threadsafe(body, self.loop).result()


@asynccontextmanager
async def serving(
    databases: Databases, classes: Sequence[type[Resource]]
) -> AsyncIterator[tuple[dict[str, httpx2.AsyncClient], Model, ManualClock, list[DeterministicIds]]]:
    """Serve the resources on every database until the end of the block."""
    clock = ManualClock()
    clock.stop()
    clock.now = START
    history = history_of(HISTORY, [cls.__resource__ for cls in classes])
    model = Model({cls.__resource__.name: cls for cls in with_items(classes).values()})
    clients: dict[str, httpx2.AsyncClient] = {}
    sources: list[DeterministicIds] = []
    async with AsyncExitStack() as stack:
        for name, provision in databases.provisions.items():
            await provision.clean()
            migrator = open_migrator(provision.settings, [history])
            await migrator.upgrade()
            stack.push_async_callback(migrator.downgrade, f"{HISTORY}:base")
            ids = DeterministicIds()
            added: list[User] = []

            async def opener(
                settings: Settings, ids: DeterministicIds = ids, added: list[User] = added
            ) -> Backend:
                backend = await open_backend(settings, clock=clock, id_source=ids, resources=classes)
                added += [await backend.users.add(new) for new in USERS]
                return backend

            app = create_app(provision.settings, resources=classes, opener=opener)
            await stack.enter_async_context(app.router.lifespan_context(app))
            sources.append(ids)
            transport = httpx2.ASGITransport(app)
            client = httpx2.AsyncClient(
                transport=transport, base_url="http://eitherdb.example", trust_env=False
            )
            clients[name] = await stack.enter_async_context(client)
            for number, user in enumerate(added):
                model.users.setdefault(user.id, Caller(user.id, is_superuser=user.is_superuser))
                client.headers[f"x-token-{number}"] = make_access_token(user, provision.settings)
        yield clients, model, clock, sources


class History:
    """One history on one declaration."""

    def __init__(self, databases: Databases, source: str) -> None:
        """Serve the declaration."""
        note(source)
        self._databases = databases
        self._serving = serving(databases, load(source))
        self._clients, self._model, self._clock, self._ids = databases.run(self._serving.__aenter__())
        self._callers = [*self._model.users.values()]
        self._names = list(self._model.classes)
        self._cursors: list[tuple[str, list[tuple[str, str]], str, tuple[Any, ...]]] = []
        self._wanted: dict[tuple[str, str], Any] = {}
        self._step = 0

    def close(self) -> None:
        """Remove the resources."""
        self._databases.run(self._serving.__aexit__(None, None, None))

    def run(self, step: Step) -> None:
        """Send the request to every backend, and compare the responses."""
        self._step += 1
        self._numbers = iter(step.numbers)
        if self._next() % 3 == 0:
            self._clock.pass_by(seconds=0.001)
        self._name = self._names[-1 - self._next() % len(self._names)]
        self._spec = self._model.classes[self._name].__resource__
        self._who = self._next() % 10
        self._caller = None if self._who == 9 else self._callers[self._who % 3]
        getattr(self, f"_{step.operation}")()

    def _next(self) -> int:
        return next(self._numbers, 0)

    # -- requests --------------------------------------------------------------------------------

    def _create(self) -> None:
        body = self._body(self._spec.fields)
        key = f"key{self._next() % 2}" if self._next() % 4 == 0 else None

        def expected() -> tuple[int, Any, str | None]:
            self._model.authorise(self._spec.access.create, self._caller)
            if key and self._caller and self._spec.access.create != "anyone":
                return self._keyed(body, key)
            (row,) = self._model.add(self._name, [body], self._caller, self._new_ids(1), self._clock.now)
            return 200, row.shown, row.etag

        headers = {"Idempotency-Key": key} if key else {}
        self._send("POST", "/", expected, body=body, headers=headers)

    def _keyed(self, body: dict[str, Any], key: str) -> tuple[int, Any, str | None]:
        assert self._caller is not None
        self._model.validated(self._name, body)
        settable = {each.name for each in self._spec.fields if not each.read_only}
        given = self._model.validated(self._name, body)
        request = f"{self._name} " + repr(
            {name: given[name] for name in given if name in body and name in settable}
        )
        place = (self._caller.id, key)
        if place in self._model.kept:
            kept, shown, etag = self._model.kept[place]
            if kept != request:
                raise Refused(422, "idempotency_key_reused")
            return 200, shown, etag
        (row,) = self._model.add(self._name, [body], self._caller, self._new_ids(1), self._clock.now)
        self._model.kept[place] = (request, row.shown, row.etag)
        return 200, row.shown, row.etag

    def _bulk(self) -> None:
        bodies = [self._body(self._spec.fields) for _ in range(1 + self._next() % 3)]

        def expected() -> tuple[int, Any, str | None]:
            self._model.authorise(self._spec.access.create, self._caller)
            ids = self._new_ids(len(bodies))
            rows = self._model.add(self._name, bodies, self._caller, ids, self._clock.now)
            return 200, {"data": [row.shown for row in rows], "count": len(rows)}, None

        self._send("POST", "/bulk", expected, body={"data": bodies})

    def _patch(self, method: str = "PATCH") -> None:
        id_ = self._id(self._name)
        fields = [each for each in self._spec.fields if self._next() % 2]
        body = {each.name: self._value(each) for each in fields}
        tags = self._tags(id_)

        def expected() -> tuple[int, Any, str | None]:
            who = self._spec.access.change
            self._model.authorise(who, self._caller)
            self._model.check_changes(self._name, body)
            row = self._model.change(self._model.find(self._name, id_, who, self._caller), body, tags)
            return 200, row.shown, row.etag

        self._send(method, f"/{id_}", expected, body=body, headers=self._if_match(tags))

    def _put(self) -> None:
        self._patch("PUT")

    def _read(self) -> None:
        id_ = self._id(self._name)
        tags = self._tags(id_)

        def expected() -> tuple[int, Any, str | None]:
            who = self._spec.access.read
            self._model.authorise(who, self._caller)
            row = self._model.find(self._name, id_, who, self._caller, public=True)
            return (304, None, row.etag) if tags and row.etag in tags else (200, row.shown, row.etag)

        headers = {"If-None-Match": ", ".join(tags)} if tags else {}
        self._send("GET", f"/{id_}", expected, headers=headers)

    def _delete(self) -> None:
        id_ = self._id(self._name)
        tags = self._tags(id_)

        def expected() -> tuple[int, Any, str | None]:
            who = self._spec.access.delete
            self._model.authorise(who, self._caller)
            row = self._model.find(self._name, id_, who, self._caller)
            if tags is not None and row.etag not in tags:
                raise Refused(412, "version_mismatch")
            self._model.delete(self._name, id_)
            entity = self._spec.entity.replace("_", " ")
            return 200, {"message": f"{entity[0].upper()}{entity[1:]} deleted successfully"}, None

        self._send("DELETE", f"/{id_}", expected, headers=self._if_match(tags))

    def _delete_user(self) -> None:
        if self._next() % 4:
            return self._delete()
        self._caller, id_ = self._callers[0], self._callers[1 + self._next() % 2].id

        def expected() -> tuple[int, Any, str | None]:
            if id_ not in self._model.users:
                raise Refused(404, "not_found")
            self._model.delete("users", id_)
            return 200, {"message": "User deleted successfully"}, None

        self._send("DELETE", f"/users/{id_}", expected, of_resource=False)
        return None

    def _list(self) -> None:
        spec = self._spec
        sorts = [sign + name for name in spec.sorts for sign in ("", "-")]
        sort = sorts[self._next() % len(sorts)]
        query = [("sort", sort), ("limit", str((1, 2, 3, 100)[self._next() % 4]))]
        filters = filters_of(spec)
        if filters:
            for _ in range(self._next() % 3):
                each = filters[self._next() % len(filters)]
                if each.name in dict(query):
                    continue
                number = 1 + (self._next() % 3 if each.operator in {"any_of", "contains"} else 0)
                query += [(each.name, in_query(self._asked(each), each.field)) for _ in range(number)]
        if spec.searched and self._next() % 3 == 0:
            texts = [row.values[name] for row in self._rows() for name in spec.searched]
            text = next((text for text in texts if text), "a")
            query.append(("q", text[: 1 + self._next() % 3].swapcase()[:255]))
        if spec.owned and self._next() % 4 == 0:
            query.append(("owner_id", self._callers[self._next() % 3].id))
        self._list_page(query, sort, None)

    def _page(self) -> None:
        if not self._cursors:
            return self._list()
        name, query, sort, place = self._cursors[-1 - self._next() % len(self._cursors)]
        self._name, self._spec = name, self._model.classes[name].__resource__
        self._list_page(query, sort, place)
        return None

    def _list_page(self, query: list[tuple[str, str]], sort: str, after: tuple[Any, ...] | None) -> None:
        spec, filters = self._spec, {each.name: each for each in filters_of(self._spec)}
        descending, key = sort.startswith("-"), sort_key(sort.removeprefix("-"))
        given = dict(query)
        asked = self._wanted
        last: list[Row] = []

        def expected() -> tuple[int, Any, str | None]:
            self._model.authorise(spec.access.read, self._caller)
            rows = self._model.listed(self._name, self._caller, given.get("owner_id"))
            wanted: dict[str, list[Any]] = {}
            for parameter, text in query:
                if parameter in filters:
                    wanted.setdefault(parameter, []).append(asked[parameter, text])
            rows = [row for row in rows if all(fits(row, filters[each], wanted[each]) for each in wanted)]
            if "q" in given:
                rows = [row for row in rows if has_text(row, given["q"])]
            rows.sort(key=key, reverse=descending)
            count = len(rows)
            if after is not None:
                rows = [row for row in rows if (key(row) < after if descending else key(row) > after)]
            limit = int(given["limit"])
            last[:] = rows[limit - 1 : limit] if len(rows) > limit else []
            cursor = bool(last)
            return (
                200,
                {"data": [row.shown for row in rows[:limit]], "count": count, "next_cursor": cursor},
                None,
            )

        response = self._send("GET", "/", expected, query=query)
        cursor = response.json().get("next_cursor") if response.is_success else None
        if cursor:
            following = [*((name, value) for name, value in query if name != "cursor"), ("cursor", cursor)]
            self._cursors.append((self._name, following, sort, key(last[0])))

    # -- what requests are made of ---------------------------------------------------------------

    def _asked(self, each: Any) -> Any:
        """Return a value of a filter: half of the time one that a row has."""
        value = self._asked_value(each)
        self._wanted[each.name, in_query(value, each.field)] = value
        return value

    def _asked_value(self, each: Any) -> Any:
        number = self._next()
        if each.operator == "is_null":
            return bool(number % 2)
        stored = [value for row in self._rows() if (value := row.values[each.field.name]) is not None]
        if each.field.kind == "reference":
            return stored[number % len(stored)] if stored else UNKNOWN
        candidates = (
            stored if stored and number % 4 else values_of(self._model.classes[self._name], each.field.name)
        )
        if each.operator == "contains":
            values = values_of(self._model.classes[self._name], each.field.name)
            candidates = [element for value in (*stored, *values) for element in value]
        return candidates[number // 4 % len(candidates)]

    def _rows(self) -> list[Row]:
        return list(self._model.rows[self._name].values())

    def _id(self, name: str) -> str:
        number = self._next()
        ids = [caller.id for caller in self._callers] if name == "users" else list(self._model.rows[name])
        return UNKNOWN if number % 12 == 11 or not ids else ids[-1 - number % len(ids)]

    def _body(self, fields: Sequence[FieldSpec]) -> dict[str, Any]:
        given = [each for each in fields if each.required or self._next() % 3]
        return {each.name: self._value(each) for each in given}

    def _value(self, of: FieldSpec) -> Any:
        """Return a value in JSON: often null where it may be, and seldom where it may not."""
        number = self._next()
        if (of.nullable and number % 4 == 0) or number % 40 == 39:
            return None
        if of.kind == "reference":
            return self._id(of.target or "")
        values = values_of(self._model.classes[self._name], of.name)
        # A few values are frequent, so that they meet in unique groups and filters.
        return to_json(values[(number // 8) % (len(values) if number % 3 else min(3, len(values)))])

    def _new_ids(self, number: int) -> list[str]:
        ids = DeterministicIds()
        ids.begin(self._step)
        return [ids() for _ in range(number)]

    def _tags(self, id_: str) -> list[str] | None:
        number = self._next() % 6
        row = self._model.rows[self._name].get(id_)
        if number > 1 or row is None:
            return None
        return [row.etag] if number else [f'"{id_}-{row.version + 1}"']

    @staticmethod
    def _if_match(tags: list[str] | None) -> dict[str, str]:
        return {} if tags is None else {"If-Match": ", ".join(tags)}

    # -- responses -------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        expected: Any,
        *,
        body: Any = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        of_resource: bool = True,
    ) -> httpx2.Response:
        """Send a request to every backend, compare the responses with the model's, and return one."""
        prefix = f"/api/v1/{self._spec.path}" if of_resource else "/api/v1"
        who = "nobody" if self._caller is None else f"user{self._callers.index(self._caller)}"
        note(f"{who}: {method} {prefix}{path} {list(query)} {body} {headers or {}}")
        for ids in self._ids:
            ids.begin(self._step)
        content = None if body is None else json.dumps(body).encode()
        responses = self._databases.run(
            self._responses(method, prefix + path, content, query, headers or {})
        )
        first_name, first = next(iter(responses.items()))
        note(f"  {first.status_code} {first.text[:300]}")
        self._databases.calls += 1
        outcome = (method, first.status_code)
        self._databases.outcomes[outcome] = self._databases.outcomes.get(outcome, 0) + 1
        for name, response in responses.items():
            assert (response.status_code, response.headers.raw, response.content) == (
                first.status_code,
                first.headers.raw,
                first.content,
            ), f"{name} responds unlike {first_name}: {response.status_code} {response.text}"
        try:
            status, content_, etag = expected()
        except Refused as exc:
            status, content_, etag = exc.status, None, None
            code = first.json()["code"] if first.content else None
            is_other = code == "idempotency_key_reused" and exc.code == INVALID[1]
            assert is_other or code == exc.code, f"unlike the model: {exc.code}"  # noqa: PT017 - no expectation
        assert (first.status_code, first.headers.get("etag")) == (status, etag), (
            f"unlike the model: {status} {etag}"
        )
        if content_ is not None:
            found = first.json()
            if "next_cursor" in content_:
                found["next_cursor"] = found["next_cursor"] is not None
            assert json.dumps(found) == json.dumps(content_), "unlike the model"
        return first

    async def _responses(
        self,
        method: str,
        url: str,
        content: bytes | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
    ) -> dict[str, httpx2.Response]:
        async def respond(client: httpx2.AsyncClient) -> httpx2.Response:
            sent = dict(headers)
            if self._caller is not None:
                token = client.headers[f"x-token-{self._callers.index(self._caller)}"]
                sent["Authorization"] = f"Bearer {token}"
            if content is not None:
                sent["Content-Type"] = "application/json"
            return await client.request(method, url, content=content, params=list(query), headers=sent)

        found = await asyncio.gather(*(respond(client) for client in self._clients.values()))
        return dict(zip(self._clients, found, strict=True))
