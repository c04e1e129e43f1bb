"""`eitherdb.passwords.hash_password`: what a script stores is what a login verifies."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from api.hashes import verify_hash
from backends.models import Password
from eitherdb.passwords import hash_password


def test_a_login_verifies_the_hash() -> None:
    """Also of a password in another Unicode form."""
    hashed = hash_password("cafe\u0301 crème")
    assert verify_hash(TypeAdapter[str](Password).validate_python("café crème"), hashed).matches
    assert not verify_hash("another one", hashed).matches


@pytest.mark.parametrize("password", ["", "seven77", "x" * 129, "nul\x00nul\x00nul"])
def test_a_password_that_the_api_refuses(password: str) -> None:
    """The message says what is wrong, and has no value in it."""
    with pytest.raises(ValueError, match="the password is refused: "):
        hash_password(password)
