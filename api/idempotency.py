"""The header Idempotency-Key: a request that is sent again is answered again, and not done again.

As in https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, but without quotes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from backends.models import Idempotency


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """The key of a request, if it has one, and what the request is for besides its body."""

    key: str | None
    target: str

    def with_body(self, body: BaseModel) -> Idempotency | None:
        """Return the key and a fingerprint of the whole request; None without a key.

        The body counts as it was understood: spaces, the order of fields, and fields that nobody knows
        make no difference.
        """
        if self.key is None:
            return None
        request = f"{self.target}\n{body.model_dump_json()}"
        return Idempotency(self.key, hashlib.sha256(request.encode()).hexdigest())


async def _keyed(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description=(
                "Your name for this request, such as a UUID: with the same key and the same body it is "
                "carried out once, and answered as often as it is sent."
            ),
        ),
    ] = None,
) -> KeyedRequest:
    if len(request.headers.getlist("idempotency-key")) > 1:
        # Which of them counts would be chance, and a repetition might be paid again.
        message = "There should be one Idempotency-Key"
        error = {"type": "too_many_keys", "loc": ("header", "idempotency-key"), "msg": message}
        raise RequestValidationError([error])
    # Without the root path: a key stays good when the service moves below another path of its proxy.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return KeyedRequest(idempotency_key, f"{request.method} {path}")


Keyed = Annotated[KeyedRequest, Depends(_keyed)]
