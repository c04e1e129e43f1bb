"""Passwords: validation, and the normalised form that is hashed and compared."""

from __future__ import annotations

from typing import Annotated
from unicodedata import normalize

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticKnownError

from backends.models.text import storable

PASSWORD_MIN_LENGTH, PASSWORD_MAX_LENGTH = 8, 128

MAX_DECOMPOSITION = 4
"""The maximum number of code points that NFC composes to one."""

# Unicode's category Zs without U+0020; unchanged since Unicode 6.3. On a Mac, Option and the space bar type
# U+00A0.
_NON_ASCII_SPACES = str.maketrans(
    dict.fromkeys(
        "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
        " ",
    )
)


def normalise_password(text: str) -> str:
    """Return the form in which a password is hashed: OpaqueString of RFC 8265, section 4.2.

    All kinds of spaces become U+0020, and the text is converted to Unicode NFC. Case and everything else
    stay. So the same keys produce the same password on a Mac, which types `é` as two code points.

    Unlike the RFC's string class, this function rejects no code point. Existing passwords contain control
    characters, joined emoji and emoji that are newer than the server's Unicode.
    """
    if len(text) > PASSWORD_MAX_LENGTH * MAX_DECOMPOSITION:
        return text  # too long for a password; composition takes quadratic time for many combining marks
    return normalize("NFC", text.translate(_NON_ASCII_SPACES))


def has_password_length(normalised: str) -> bool:
    """Return whether a normalised password has 8 to 128 code points."""
    return PASSWORD_MIN_LENGTH <= len(normalised) <= PASSWORD_MAX_LENGTH


def _password(text: str) -> str:
    """Return the normalised password, if its length is valid."""
    normalised = normalise_password(text)
    if len(normalised) < PASSWORD_MIN_LENGTH:
        raise PydanticKnownError("string_too_short", {"min_length": PASSWORD_MIN_LENGTH})
    if len(normalised) > PASSWORD_MAX_LENGTH:
        raise PydanticKnownError("string_too_long", {"max_length": PASSWORD_MAX_LENGTH})
    return normalised


def _current_password(text: str) -> str:
    """Return the text unchanged, if it can be a stored password."""
    if not has_password_length(text):  # the rule before passwords were normalised
        _password(text)
    return text


# The outer length makes pydantic reject lone surrogates. The schema has the normalised form's lengths.
_TEXT = Field(max_length=2**20)
_SCHEMA = WithJsonSchema(
    {"type": "string", "minLength": PASSWORD_MIN_LENGTH, "maxLength": PASSWORD_MAX_LENGTH}
)
Password = Annotated[str, _TEXT, AfterValidator(storable), AfterValidator(_password), _SCHEMA]
"""A new password, normalised."""
CurrentPassword = Annotated[
    str, _TEXT, AfterValidator(storable), AfterValidator(_current_password), _SCHEMA
]
"""A password as the user typed it, which may have been set before passwords were normalised."""
