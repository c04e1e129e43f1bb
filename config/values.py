"""Cleans setting values of the characters that files and shells add."""

from __future__ import annotations

PASSWORDS = frozenset({"first_superuser_password", "smtp_password", "secret_key", "previous_secret_keys"})
"""Settings in which leading and trailing spaces are significant."""

_BYTE_ORDER_MARK = "\ufeff"


def clean(name: str, value: object) -> object:
    """Return a setting's value without a byte order mark and surrounding white space.

    Secret files end with a line feed. A password loses only line ends; its spaces stay.

    Args:
        name: The setting.
        value: The raw value; only text is cleaned.

    Raises:
        ValueError: The value is in quotes. Shells and `.env` remove quotes; `docker --env-file` keeps them.
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
