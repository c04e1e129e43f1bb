"""Hashes of passwords, for scripts that add users: `NewUser(email=…, hashed_password=hash_password(…))`."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from api.hashes import make_hash
from backends.models import Password

_PASSWORD = TypeAdapter[str](Password)


def hash_password(password: str) -> str:
    """Return the hash that a user is stored with. It takes about a tenth of a second of CPU time.

    Args:
        password: 8 to 128 characters, as in `POST /users/`.

    Raises:
        ValueError: The API would refuse the password.
    """
    try:
        return make_hash(_PASSWORD.validate_python(password))
    except ValidationError as exc:
        raise ValueError(f"the password is refused: {exc.errors()[0]['msg']}") from None
