"""Statements that are compiled once."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, make_url, select

from backends.sql.schema import USERS
from backends.sql.statements import Compiled

STATEMENT = select(USERS.c.id).where(USERS.c.email == bindparam("email"), USERS.c.version > 1)


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+asyncpg://"])
def test_parameters_are_in_their_places_and_none_is_forgotten(url: str) -> None:
    """One without a value would be null, and find nothing without a word."""
    compiled = Compiled(STATEMENT, make_url(url).get_dialect()())
    assert compiled.arguments({"email": "a@example.com", "other": 2}) == ["a@example.com", 1]
    assert compiled.arguments({"email": None}) == [None, 1]
    with pytest.raises(KeyError, match="email"):
        compiled.arguments({"mail": "a@example.com"})
