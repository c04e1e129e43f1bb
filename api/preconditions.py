"""ETag, If-Match and If-None-Match of single resources (RFC 9110, sections 8.8.3 and 13.1).

A tag is strong and made of the id and the version, which every change adds to. Whether a change may be
made is decided by the database in the moment of the write, never by reading before it.

A proxy that compresses answers alters their tags: nginx makes them weak (`W/"…"`), Apache and Caddy append
the encoding (`"…-gzip"`). Clients send back what they got. All forms of a tag count as the tag, for
If-Match too: it says by itself which version it stands for (`docs/adr/0007-versions.md`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response

from backends.models import Account, Item, Transfer, User

T = TypeVar("T", User, Item, Account, Transfer)
Resource = User | Item | Account | Transfer

# RFC 9110, section 8.8.3. In a quoted tag there may be commas.
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')

# `-gzip`, `-br`, `-zstd`: Apache and Caddy; `--gzip`: Jetty; `;gzip`: others.
_OWN_TAG = re.compile(
    r"(?P<id>[0-9a-f]{24})-(?P<version>[1-9][0-9]{0,17})(?:(?:--?|;)(?:gzip|gunzip|deflate|br|zstd))?"
)

ETAG: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "ETag": {
                "description": "Changes with the resource; give it as `If-Match` when you change it.",
                "schema": {"type": "string"},
            }
        }
    }
}
"""Documents the header of an answer that shows a single resource."""

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    **ETAG,
    304: {"description": "It is as you know it: one of the tags of `If-None-Match` is still its ETag."},
}
"""The same, for an answer to GET."""


def etag_of(resource: Resource) -> str:
    """Return the resource's tag. The id is in it, because one path (`/users/me`) shows many resources."""
    return f'"{resource.id}-{resource.version}"'


@dataclass(frozen=True, slots=True)
class Expected:
    """What If-Match demands of the resource that is to be changed."""

    header: str | None

    def versions_of(self, id: str) -> frozenset[int] | None:
        """Return the versions that this resource may have; None means any.

        A tag that was not made here matches nothing. With `*` any will do, and what does not exist is a
        404 by itself.
        """
        if self.header is None or self.header.strip() == "*":
            return None
        return frozenset(version for tagged_id, version in _own_tags(self.header) if tagged_id == id)


@dataclass(frozen=True, slots=True)
class Known:
    """What If-None-Match says the client has."""

    header: str | None

    def has(self, resource: Resource) -> bool:
        """Tell whether the client has the resource as it is now."""
        if self.header is None:
            return False
        return self.header.strip() == "*" or (resource.id, resource.version) in _own_tags(self.header)


def _own_tags(header: str) -> Iterator[tuple[str, int]]:
    """Return the id and the version of each tag in a list that was made here."""
    for entity_tag in _ENTITY_TAG.finditer(header):
        if tag := _OWN_TAG.fullmatch(entity_tag[1]):
            yield tag["id"], int(tag["version"])


# The parameters are for the documentation; the values are joined from the request, because a list may
# come as several lines of one name.
async def _expected(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(description="Change it only if its ETag is one of these: 412 if somebody else changed it."),
    ] = None,
) -> Expected:
    return Expected(if_match and ",".join(request.headers.getlist("if-match")))


async def _known(
    request: Request,
    if_none_match: Annotated[
        str | None, Header(description="Answer 304 without a body if its ETag is one of these.")
    ] = None,
) -> Known:
    return Known(if_none_match and ",".join(request.headers.getlist("if-none-match")))


IfMatch = Annotated[Expected, Depends(_expected)]
IfNoneMatch = Annotated[Known, Depends(_known)]


def tagged(resource: T, response: Response) -> T:
    """Put the resource's tag on the answer that shows it."""
    response.headers["ETag"] = etag_of(resource)
    return resource


def unless_known(resource: T, known: Known, response: Response) -> T | Response:
    """Return the resource, tagged; or a 304 where the client has it already."""
    if known.has(resource):
        return Response(status_code=304, headers={"ETag": etag_of(resource)})
    return tagged(resource, response)
