"""What operators ask."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(prefix="/utils", tags=["utils"])


@router.get("/health-check/")
async def health_check() -> bool:
    """Say that the process serves; the database is not asked, so that its outage restarts nothing."""
    return True
