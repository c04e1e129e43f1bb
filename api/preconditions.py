"""ETag, If-Match and If-None-Match of single resources (RFC 9110, sections 8.8.3 and 13.1).

An ETag is strong. It contains the id and the version of the resource; each change increments the version.
The database checks the version in the write itself. The application does not compare versions before. The
ETag of a declared resource also contains its form, which changes with the declaration. If-Match ignores it:
a new form is no change of the row.

A proxy that compresses responses alters ETags: nginx makes them weak (`W/"…"`), Apache and Caddy append the
encoding (`"…-gzip"`). Clients send the altered ETag. It is accepted in each form, for If-Match too, because
it contains the version (`docs/adr/0007-versions.md`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response

from backends.models import Account, Transfer, User
from backends.models.resources import Resource as DeclaredResource

T = TypeVar("T", User, DeclaredResource, Account, Transfer)
Resource = User | DeclaredResource | Account | Transfer

# RFC 9110, section 8.8.3. A quoted tag may contain commas.
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')

# `-gzip`, `-br`, `-zstd`: Apache and Caddy; `--gzip`: Jetty; `;gzip`: others.
_OWN_TAG = re.compile(
    r"(?P<id>[0-9a-f]{24})-(?P<version>[1-9][0-9]{0,17})(?P<form>-[0-9a-f]{8})?"
    r"(?:(?:--?|;)(?:gzip|gunzip|deflate|br|zstd))?"
)

ETAG: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "ETag": {
                "description": "The version of the resource. Send it as `If-Match` with a change.",
                "schema": {"type": "string"},
            }
        }
    }
}
"""OpenAPI description of the ETag header in the response for a single resource."""

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    **ETAG,
    304: {"description": "Not modified: one of the tags in `If-None-Match` is the current ETag."},
}
"""OpenAPI description of the responses to a conditional GET."""


def etag_of(resource: Resource) -> str:
    """Return the ETag. It contains the id, because one path (`/users/me`) serves many resources."""
    return f'"{resource.id}-{resource.version}{_form_of(resource)}"'


def _form_of(resource: Resource) -> str:
    return f"-{resource.__resource__.form}" if isinstance(resource, DeclaredResource) else ""


@dataclass(frozen=True, slots=True)
class IfMatchCondition:
    """The If-Match header of a request."""

    header: str | None

    def versions_of(self, id: str) -> frozenset[int] | None:
        """Return the versions of this resource that match; None means any version.

        A foreign tag matches no version. `*` matches any version. A resource that does not exist is a 404
        with or without the header.
        """
        if self.header is None or self.header.strip() == "*":
            return None
        return frozenset(version for tagged_id, version, _ in _own_tags(self.header) if tagged_id == id)


@dataclass(frozen=True, slots=True)
class IfNoneMatchCondition:
    """The If-None-Match header of a request."""

    header: str | None

    def matches(self, resource: Resource) -> bool:
        """Return whether the client has the current version of the resource."""
        if self.header is None:
            return False
        if self.header.strip() == "*":
            return True
        return (resource.id, resource.version, _form_of(resource)) in _own_tags(self.header)


def _own_tags(header: str) -> Iterator[tuple[str, int, str]]:
    """Yield the id, the version and the form of each tag in the list that this service issued."""
    for entity_tag in _ENTITY_TAG.finditer(header):
        if tag := _OWN_TAG.fullmatch(entity_tag[1]):
            yield tag["id"], int(tag["version"]), tag["form"] or ""


# The parameters are for the OpenAPI document. The values are read from the request, because a list may be
# split over several header lines.
async def _if_match(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(description="Change the resource only if its ETag is in this list. Otherwise 412."),
    ] = None,
) -> IfMatchCondition:
    return IfMatchCondition(if_match and ",".join(request.headers.getlist("if-match")))


async def _if_none_match(
    request: Request,
    if_none_match: Annotated[
        str | None, Header(description="Return 304 without a body if the ETag is in this list.")
    ] = None,
) -> IfNoneMatchCondition:
    return IfNoneMatchCondition(if_none_match and ",".join(request.headers.getlist("if-none-match")))


IfMatch = Annotated[IfMatchCondition, Depends(_if_match)]
IfNoneMatch = Annotated[IfNoneMatchCondition, Depends(_if_none_match)]


def with_etag(resource: T, response: Response) -> T:
    """Set the ETag of the response and return the resource."""
    response.headers["ETag"] = etag_of(resource)
    return resource


def conditional_response(
    resource: T, if_none_match: IfNoneMatchCondition, response: Response
) -> T | Response:
    """Return the resource and set its ETag; return a 304 if the client has the current version."""
    if if_none_match.matches(resource):
        return Response(status_code=304, headers={"ETag": etag_of(resource)})
    return with_etag(resource, response)
