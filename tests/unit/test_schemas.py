"""Wire models that hold secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from api import schemas

SECRET = "s3cret-horse"
NO_SECRETS = {"token_type"}
WITH_SECRETS = {
    schema: fields
    for schema in vars(schemas).values()
    if isinstance(schema, type) and issubclass(schema, BaseModel)
    if (
        fields := {name for name in schema.model_fields if "password" in name or "token" in name}
        - NO_SECRETS
    )
}


def test_schemas_with_secrets_are_found() -> None:
    """Fewer than these would mean that the test below looks at too few."""
    assert {schema.__name__ for schema in WITH_SECRETS} >= {
        "UserRegister",
        "UserCreate",
        "UserUpdate",
        "PrivateUserCreate",
        "UpdatePassword",
        "NewPassword",
        "Token",
    }


@pytest.mark.parametrize("schema", WITH_SECRETS, ids=lambda schema: schema.__name__)
def test_secret_is_not_in_the_representation(schema: type[BaseModel]) -> None:
    """A form may get into a log or a traceback."""
    values: dict[str, Any] = dict.fromkeys(WITH_SECRETS[schema], SECRET)
    form = schema.model_construct(**values)
    assert {name: getattr(form, name) for name in values} == values
    assert SECRET not in f"{form!r} {form}"
