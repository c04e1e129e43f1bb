"""Routes for operations: a test email and a health check."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.deps import Mail, Superuser
from api.emails import DeliveryTestEmail
from api.errors import NOT_PRIVILEGED, TOKEN_PROBLEMS, documented
from api.routing import make_router
from api.schemas import Message, QueryEmail
from backends.models import Email

router = make_router("utils", "/utils")


@router.post(
    "/test-email/",
    status_code=201,
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED),
)
async def test_email(
    _: Superuser,  # noqa: PT019 - a route, not a test
    email_to: Annotated[Email, QueryEmail, Query()],
    mail: Mail,
) -> Message:
    """Send a test email to check delivery."""
    mail.send(DeliveryTestEmail(to=email_to))
    return Message(message="Test email sent")


@router.get("/health-check/")
async def health_check() -> bool:
    """Return true if the process serves requests.

    It does not query the database, so that a database outage does not restart the service.
    """
    return True
