"""What operators ask."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.deps import Mail, Superuser
from api.emails import DeliveryTestEmail
from api.errors import NOT_PRIVILEGED, TOKEN_PROBLEMS, documented
from api.routing import make_router
from api.schemas import Message, WrittenEmail
from backends.models import Email

router = make_router("utils", "/utils")


@router.post(
    "/test-email/",
    status_code=201,
    response_model=Message,
    responses=documented(*TOKEN_PROBLEMS, NOT_PRIVILEGED),
)
async def test_email(
    _: Superuser,  # noqa: PT019 - a route, no test
    email_to: Annotated[Email, WrittenEmail, Query()],
    mail: Mail,
) -> Message:
    """Send a test mail, to see that mail arrives."""
    mail.send(DeliveryTestEmail(to=email_to))
    return Message(message="Test email sent")


@router.get("/health-check/")
async def health_check() -> bool:
    """Say that the process serves; the database is not asked, so that its outage restarts nothing."""
    return True
