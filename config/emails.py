"""Types for email addresses in settings; they validate as the API does."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, validate_email


# `backends` imports `config`, so the imports below are local.
def _normalise(value: str) -> str:
    from backends.models import normalise_new_email  # noqa: PLC0415

    return normalise_new_email(value)


def _trim(value: object) -> object:
    from backends.models import trim_email  # noqa: PLC0415

    return trim_email(value) if isinstance(value, str) else value


def _check(value: str) -> str:
    """Validate as `EmailStr` does. The type itself would import email-validator when a class is made."""
    return validate_email(value)[1]


UserEmail = Annotated[str, AfterValidator(_normalise)]
SenderEmail = Annotated[str, BeforeValidator(_trim), AfterValidator(_check)]
