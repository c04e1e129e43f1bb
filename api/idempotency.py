"""The header Idempotency-Key: a retry gets the first response and has no further effect.

It follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, without the quotes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from backends.models import Idempotency
from backends.models.resources import Resource


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """The optional idempotency key of a request, with its method and path."""

    key: str | None
    target: str

    def with_body(self, body: BaseModel) -> Idempotency | None:
        """Return the key and a fingerprint of the whole request; None without a key.

        The fingerprint is of the parsed body: white space, the order of fields and unknown fields make no
        difference. In the body of a resource, absent fields are absent: a default may be another one each
        time.
        """
        if self.key is None:
            return None
        given_only = isinstance(body, Resource)
        request = f"{self.target}\n{body.model_dump_json(exclude_unset=given_only)}"
        return Idempotency(self.key, hashlib.sha256(request.encode()).hexdigest())


async def _keyed_request(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description=(
                "A unique key for this request, such as a UUID. A retry with the same key and body gets "
                "the first response and has no further effect."
            ),
        ),
    ] = None,
) -> KeyedRequest:
    if len(request.headers.getlist("idempotency-key")) > 1:
        # The choice between them would be arbitrary, and a retry might be executed again.
        message = "There should be one Idempotency-Key"
        error = {"type": "too_many_keys", "loc": ("header", "idempotency-key"), "msg": message}
        raise RequestValidationError([error])
    # Without the root path: a key stays valid when ROOT_PATH changes.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return KeyedRequest(idempotency_key, f"{request.method} {path}")


IdempotencyKey = Annotated[KeyedRequest, Depends(_keyed_request)]
