"""What files and shells add to a value of a setting, and what is done about it."""

from __future__ import annotations

PASSWORDS = frozenset({"first_superuser_password", "smtp_password", "secret_key", "previous_secret_keys"})
"""Settings whose blanks are a part of them."""

_BYTE_ORDER_MARK = "\ufeff"


def clean(name: str, value: object) -> object:
    """Return a setting's value without what can't be meant.

    Secrets in files end in a line feed. A password keeps its blanks, everything else loses those around it.

    Args:
        name: The setting.
        value: What was given; what is no text stays as it is.

    Raises:
        ValueError: The value stands in quotes. A shell and `.env` take them away, `docker --env-file` does
            not.
    """
    if not isinstance(value, str):
        return value
    value = value.removeprefix(_BYTE_ORDER_MARK)
    value = value.rstrip("\r\n") if name in PASSWORDS else value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        raise ValueError(
            f"{name.upper()}: stands in quotes, which `docker --env-file` keeps; leave them out"
        )
    return value
