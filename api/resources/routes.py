"""The routes of a resource: one router, with what the declaration decides already decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from api.cursors import page_arguments, page_response
from api.deps import AppSettings, LookUpUser, beside, repository_of
from api.errors import (
    NO_TRANSACTIONS,
    NOT_OWNER,
    NOT_PRIVILEGED,
    UNREADABLE_BODY,
    VERSION_MISMATCH,
    Problem,
    documented,
    not_found,
)
from api.idempotency import IdempotencyKey
from api.preconditions import ETAG, NOT_MODIFIED, IfMatch, IfNoneMatch, conditional_response, with_etag
from api.resources.access import CALLER_PROBLEMS, CALLERS, list_scope, row_scope
from api.resources.forms import Forms, forms_of
from api.resources.names import Names, names_of
from api.resources.problems import errors_at_fields, is_referenced, referenced, taken
from api.routing import Later, make_router
from api.schemas import Message
from backends.models.resources import Resource, ResourceSpec
from backends.resource_rows import accessible

Endpoint = Callable[..., Awaitable[Any]]


def resource_router(cls: type[Resource], others: Sequence[ResourceSpec] = ()) -> APIRouter:
    """Return the router of a resource.

    Args:
        cls: The resource.
        others: The specifications of all resources, of which some may refer to this one.
    """
    return _Routes(cls, others).router


class _Routes:
    """The routes of one resource. Each method makes the endpoint of one operation and adds its route."""

    def __init__(self, cls: type[Resource], others: Sequence[ResourceSpec]) -> None:
        self.spec = cls.__resource__
        self.names: Names = names_of(self.spec)
        self._cls = cls
        self.router = make_router(self.spec.path, f"/{self.spec.path}")
        self._id = Annotated[str, Path(alias=f"{self.spec.entity}_id")]
        self._path = f"/{{{self.spec.entity}_id}}"
        self._rows = Annotated[Any, Depends(repository_of(cls))]
        self._others = others
        self._add_list()
        self._add_create()
        self._add_create_many()
        self._add_read()
        self._add_update()
        self._add_delete()

    @cached_property
    def forms(self) -> Forms:
        """The forms, which the routes need when they are built: see `api.routing.Route`."""
        return forms_of(self._cls)

    def _add_list(self) -> None:
        spec = self.spec
        who = spec.access.read
        owner_of = list_scope(who, owned=spec.owned)
        has_public = bool(spec.public_when) and who == "owner"

        async def read_rows(user: Any, rows: Any, query: Any, settings: AppSettings) -> Response:
            owner_id = owner_of(user, query)
            arguments = page_arguments(query, spec.name, settings, spec.by_name)
            if has_public:
                # A list of one owner has the rows of this owner only. A superuser's list has all rows.
                arguments["public"] = query.owner_id is None and owner_id is not None
            page = await rows.list(owner_id=owner_id, where=self.forms.where(query), **arguments)
            return page_response(page, query, spec.name, settings, public=spec.public)

        many = self.names.many
        if who != "owner":
            description = f"List the {many}."
        else:
            public = " and those that are public" * has_public
            description = f"List your own {many}{public}, or all {many} as a superuser."
        problems = (*CALLER_PROBLEMS[who], *((NOT_PRIVILEGED,) if who == "owner" else ()))
        self._add(
            "GET",
            "/",
            read_rows,
            f"read_{self.names.entities}",
            description,
            Later(lambda: self.forms.page),
            documented(*problems),
            user=CALLERS[who],
            query=Later(lambda: Annotated[self.forms.query, Query()]),
        )

    def _add_create(self) -> None:
        spec = self.spec
        owned = spec.owned
        problems = (*CALLER_PROBLEMS[spec.access.create], *taken(spec))

        async def create_row(
            user: Any, body: Any, rows: Any, idempotency_key: IdempotencyKey, response: Response
        ) -> Any:
            with errors_at_fields(spec, [body]):
                row = await rows.add(
                    body,
                    owner_id=user.id if owned else None,
                    idempotency=idempotency_key.with_body(body),
                    ordered_by=user.id,
                )
            return with_etag(row, response)

        async def create_row_of_nobody(body: Any, rows: Any, response: Response) -> Any:
            """Take no idempotency key: a key belongs to a user."""
            with errors_at_fields(spec, [body]):
                row = await rows.add(body)
            return with_etag(row, response)

        is_open = spec.access.create == "anyone"
        caller = {} if is_open else {"user": CALLERS[spec.access.create]}

        self._add(
            "POST",
            "/",
            create_row_of_nobody if is_open else create_row,
            f"create_{self.names.entity}",
            f"Create {self.names.a}{self._of_your_own}.",
            Later(lambda: self.forms.public),
            {**ETAG, **documented(*problems, *(() if is_open else (NO_TRANSACTIONS,)))},
            body=Later(lambda: self.forms.create),
            **caller,
        )

    def _add_create_many(self) -> None:
        spec = self.spec
        owned = spec.owned

        async def create_rows(user: Any, body: Any, rows: Any) -> Any:
            with errors_at_fields(spec, body.data, ("data",)):
                created = await rows.add_many(body.data, owner_id=user.id if owned else None)
            return {"data": created, "count": len(created)}

        self._add(
            "POST",
            "/bulk",
            create_rows,
            f"create_{self.names.entities}",
            f"Create many {self.names.many}{self._of_your_own}, all or none.",
            Later(lambda: self.forms.created),
            documented(*CALLER_PROBLEMS[spec.access.create], *taken(spec), NO_TRANSACTIONS),
            user=CALLERS[spec.access.create],
            body=Later(lambda: self.forms.create_many),
        )

    def _add_read(self) -> None:
        spec, who = self.spec, self.spec.access.read
        owner_of = row_scope(who)
        public = bool(spec.public_when) and who == "owner"
        looks_up_user = who in {"signed_in", "owner"}

        async def read_row(
            row_id: Any, user: Any, rows: Any, if_none_match: IfNoneMatch, response: Response
        ) -> Any:
            if looks_up_user:
                user, row = await beside(user(), rows.get(row_id))
                row = accessible(row, spec, row_id, owner_id=owner_of(user), public=public)
            else:
                row = await rows.get(row_id)
            return conditional_response(row, if_none_match, response)

        self._add(
            "GET",
            self._path,
            read_row,
            f"read_{self.names.entity}",
            f"Return {self.names.a}.",
            Later(lambda: self.forms.public),
            {**NOT_MODIFIED, **documented(*self._row_problems(who))},
            row_id=self._id,
            user=LookUpUser if looks_up_user else CALLERS[who],
        )

    def _add_update(self) -> None:
        spec, names = self.spec, self.names
        owner_of = row_scope(spec.access.change)

        async def change_row(
            row_id: Any, user: Any, body: Any, rows: Any, if_match: IfMatch, response: Response
        ) -> Any:
            versions = if_match.versions_of(row_id)
            with errors_at_fields(spec, [body], changed=row_id):
                row = await rows.update(row_id, body, owner_id=owner_of(user), versions=versions)
            return with_etag(row, response)

        problems = (*self._row_problems(spec.access.change), VERSION_MISMATCH, *taken(spec))
        for method, verb, description in (
            ("PATCH", "patch", "Change the fields in the body. The other fields keep their values."),
            ("PUT", "update", f"Change {names.a} like PATCH, for clients that use PUT."),
        ):
            self._add(
                method,
                self._path,
                change_row,
                f"{verb}_{names.entity}",
                description,
                Later(lambda: self.forms.public),
                {**ETAG, **documented(*problems)},
                row_id=self._id,
                user=CALLERS[spec.access.change],
                body=Later(lambda: self.forms.update),
            )

    def _add_delete(self) -> None:
        spec = self.spec
        owner_of = row_scope(spec.access.delete)
        one = self.names.one
        message = f"{one[0].upper()}{one[1:]} deleted successfully"

        async def delete_row(row_id: Any, user: Any, rows: Any, if_match: IfMatch) -> Message:
            await rows.delete(row_id, owner_id=owner_of(user), versions=if_match.versions_of(row_id))
            return Message(message=message)

        problems = [*self._row_problems(spec.access.delete), VERSION_MISMATCH]
        problems += referenced(spec.name, self._others)
        if is_referenced(spec, self._others):
            problems.append(NO_TRANSACTIONS)
        self._add(
            "DELETE",
            self._path,
            delete_row,
            f"delete_{self.names.entity}",
            f"Delete {self.names.a}.",
            Message,
            documented(*problems),
            row_id=self._id,
            user=CALLERS[spec.access.delete],
        )

    @property
    def _of_your_own(self) -> str:
        return " of your own" if self.spec.owned else ""

    def _row_problems(self, who: Any) -> tuple[Problem, ...]:
        """Return the problems of a route of one row."""
        not_owner = (NOT_OWNER,) if who == "owner" else ()
        return (*CALLER_PROBLEMS[who], not_found(self.spec.entity), *not_owner)

    def _add(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        name: str,
        description: str,
        response: Any,
        responses: Any,
        **annotations: Any,
    ) -> None:
        """Add a route. The annotations are those that depend on the declaration."""
        endpoint.__annotations__ |= {"rows": self._rows, **annotations}
        if "body" in annotations and UNREADABLE_BODY.status not in responses:
            responses = documented(UNREADABLE_BODY, besides=responses)
        self.router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=name,
            description=description,
            response_model=response,
            responses=responses,
        )
