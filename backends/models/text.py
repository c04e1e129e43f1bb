"""Text types that every database stores and compares in the same way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any
from unicodedata import normalize

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

EMAIL_MAX_LENGTH = 255

LOCAL_PART_MAX_BYTES = 64
"""The maximum length of the local part: RFC 5321, section 4.5.3.1.1; for UTF-8, RFC 6531, section 3.2."""

# Invisible characters that users type or paste with an address. No address can begin or end with them, so
# trimming them never makes two addresses equal.
_BLANKS = (
    # Unicode's White_Space
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
    # Zero width: the soft hyphen, joiners, the byte order mark and marks of the writing direction
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
    "\u2066\u2067\u2068\u2069\ufeff"
)


def storable(text: str) -> str:
    """Reject NUL, which PostgreSQL can't store."""
    if "\x00" in text:
        raise PydanticCustomError("string_nul", "String should not contain the NUL character")
    return text


def trim_email(text: str) -> str:
    """Return the address without surrounding blanks, including those of zero width."""
    return text.strip(_BLANKS)


def normalise_email(text: str) -> str:
    """Return the canonical spelling of an address, under which it is stored and found.

    Surrounding blanks are removed and the syntax is validated (RFC 5321 and 6531, no DNS look-up). The
    address is lower-cased and converted to Unicode NFC. So two spellings of one address can't become two
    users.

    Raises:
        ValueError: The text, or its canonical spelling, is not an email address.
    """
    text = trim_email(text)
    if len(text) > EMAIL_MAX_LENGTH:
        # The library examines each character, and a sign-in request may contain a megabyte.
        raise ValueError("value is not a valid email address: it is too long")
    checked = _checked_email(text)
    # A lower-case letter may have a composed form that its capital lacks.
    address = normalize("NFC", checked.lower())
    if address != checked:
        # Lower-casing may lengthen the text. A stored address must be valid, or no look-up finds it.
        _checked_email(address)
    return address


def normalise_new_email(text: str) -> str:
    """Return the canonical spelling of a new address, whose local part has at most 64 bytes.

    The limit applies to new addresses only, so existing users with a longer local part can still sign in.

    Raises:
        ValueError: As `normalise_email`, or the local part is too long.
    """
    address = normalise_email(text)
    size = len(address.rpartition("@")[0].encode())
    if size > LOCAL_PART_MAX_BYTES:
        raise ValueError(
            "value is not a valid email address: "
            f"It has {size} bytes before the @-sign, of {LOCAL_PART_MAX_BYTES} that are allowed."
        )
    return address


def _checked_email(text: str) -> str:
    # The module compiles large patterns, an eighth of a start.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        raise ValueError(f"value is not a valid email address: {exc}") from None


def fold_case(text: str) -> str:
    """Return the text as searches compare it. Every backend uses this definition of case.

    Unicode full case folding in NFC (section 3.13 of
    https://www.unicode.org/versions/latest/core-spec/chapter-3/): `STRASSE` finds `Straße`, `e` does not
    find `é`. Databases fold by locale, by version or ASCII only. So they store the folded text.
    """
    return normalize("NFC", normalize("NFC", text).casefold())


def with_folded(
    values: dict[str, Any], searched: Collection[str] = ("title", "description")
) -> dict[str, Any]:
    """Return a row's values with the folded columns of the searched texts, which `q` searches."""
    texts = {name: values[name] for name in searched if name in values}
    return values | {f"{name}_folded": text and fold_case(text) for name, text in texts.items()}


def _email(text: str) -> str:
    try:
        return normalise_new_email(text)
    except ValueError as exc:
        raise PydanticCustomError("value_error", "{reason}", {"reason": str(exc)}) from None


EMAIL_RULES = (
    BeforeValidator(lambda value: trim_email(value) if isinstance(value, str) else value),
    AfterValidator(storable),
    AfterValidator(_email),
)
"""The metadata of a text that is a new email address."""

# The length constraint precedes the validator, so pydantic counts code points, reports an error about text
# and rejects lone surrogates. It notices these only when it examines the characters.
Email = Annotated[
    str,
    Field(max_length=EMAIL_MAX_LENGTH),
    # After the length, which so stays a constraint of the string; pydantic runs it first all the same.
    *EMAIL_RULES,
    # An address has at most 254 characters: the 256 of RFC 5321, section 4.5.3.1.3, include two brackets.
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Name = Annotated[str, Field(max_length=255), AfterValidator(storable)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]
Description = Annotated[str, Field(max_length=255), AfterValidator(storable)]
HashedPassword = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]
SearchText = Annotated[str, Field(max_length=255), AfterValidator(storable)]

# Any text: a malformed id is treated as unknown. The length makes pydantic reject lone surrogates.
IdText = Annotated[str, Field(max_length=2**20), WithJsonSchema({"type": "string"})]
