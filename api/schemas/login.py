"""Schemas of tokens, password resets and messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas.examples import TOKEN, with_example
from api.schemas.fields import Secret
from backends.models import Password


class Message(BaseModel):
    """A message for people."""

    model_config = with_example({"message": "Item deleted successfully"})

    message: str


class NewPassword(BaseModel):
    """A new password and the token from the password recovery email."""

    model_config = with_example({"token": TOKEN, "new_password": "battery staple"})

    token: Annotated[str, Field(max_length=4096), Secret]
    new_password: Annotated[Password, Secret]


class Token(BaseModel):
    """A bearer token."""

    model_config = with_example({"access_token": TOKEN, "token_type": "bearer"})

    access_token: Annotated[str, Secret]
    token_type: str = "bearer"  # noqa: S105 - the scheme of RFC 6750
