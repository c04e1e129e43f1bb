"""Text that every database stores and compares alike."""

from __future__ import annotations

from typing import Annotated, Any
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

EMAIL_MAX_LENGTH = 255

LOCAL_PART_MAX_BYTES = 64
"""What may stand before the `@`: RFC 5321, section 4.5.3.1.1, and RFC 6531, section 3.2, for UTF-8."""

# What comes along unseen when an address is typed, pasted or read from a file. None of it can begin or end
# an address, so that no two addresses become one.
_BLANKS = (
    # Unicode's White_Space
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
    # no width: the soft hyphen, joiners, the byte order mark, and what sets the direction of writing
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
    "\u2066\u2067\u2068\u2069\ufeff"
)


def storable(text: str) -> str:
    """Refuse NUL, which PostgreSQL can't store."""
    if "\x00" in text:
        raise PydanticCustomError("string_nul", "String should not contain the NUL character")
    return text


def trim_email(text: str) -> str:
    """Return the address without the blanks around it, those that have no width too."""
    return text.strip(_BLANKS)


def normalise_email(text: str) -> str:
    """Return the one spelling under which an address is stored and found.

    Blanks around it are removed, the syntax is checked (RFC 5321 and 6531, no DNS look-up), all of it is
    lower-cased and put into Unicode NFC, so that two spellings of one address can't become two users.

    Raises:
        ValueError: The text is no e-mail address, or no longer one once it is normalised.
    """
    text = trim_email(text)
    if len(text) > EMAIL_MAX_LENGTH:
        # Before the library looks at each character: whoever signs in may send a megabyte.
        raise ValueError("value is not a valid email address: it is too long")
    checked = _checked_email(text)
    # A small letter may have a composed form where its capital has none.
    address = normalize("NFC", checked.lower())
    if address != checked:
        # The small letters may be longer: what is stored must itself be an address, or nobody finds it.
        _checked_email(address)
    return address


def normalise_new_email(text: str) -> str:
    """Return the same for an address that is to be stored: its local part has at most 64 bytes.

    Only of new ones is that asked, so that users who have a longer one can still sign in.

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
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        raise ValueError(f"value is not a valid email address: {exc}") from None


def fold_case(text: str) -> str:
    """Return the text as a search compares it: the one definition of case for every backend.

    Unicode's full case folding, in NFC (https://www.unicode.org/versions/latest/core-spec/chapter-3/,
    section 3.13): `STRASSE` finds `Straße`, and `e` does not find `é`. Databases fold by their locale,
    their version or ASCII only, so they store and compare what this function returns.
    """
    return normalize("NFC", normalize("NFC", text).casefold())


def with_folded(values: dict[str, Any]) -> dict[str, Any]:
    """Return an item's values together with the columns that `ItemFilter.q` is looked for in."""
    searched = {name: values[name] for name in ("title", "description") if name in values}
    folded = {f"{name}_folded": text and fold_case(text) for name, text in searched.items()}
    return values | folded


def _email(text: str) -> str:
    try:
        return normalise_new_email(text)
    except ValueError as exc:
        raise PydanticCustomError("value_error", "{reason}", {"reason": str(exc)}) from None


# The length comes before the function: so pydantic counts code points, words the error for text, and
# refuses lone surrogates, which it only sees when it has to look at the characters.
Email = Annotated[
    str,
    Field(max_length=EMAIL_MAX_LENGTH),
    # After the length, which so stays a constraint of the string; pydantic runs it first all the same.
    BeforeValidator(lambda value: trim_email(value) if isinstance(value, str) else value),
    AfterValidator(storable),
    AfterValidator(_email),
    # What is longer is no address: RFC 5321, section 4.5.3.1.3, counts two angle brackets to the 256.
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Name = Annotated[str, Field(max_length=255), AfterValidator(storable)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]
Description = Annotated[str, Field(max_length=255), AfterValidator(storable)]
HashedPassword = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]
SearchText = Annotated[str, Field(max_length=255), AfterValidator(storable)]
Password = Annotated[str, Field(min_length=8, max_length=128), AfterValidator(storable)]

# Any text, because a malformed id is an unknown one; the length lets pydantic refuse lone surrogates.
IdText = Annotated[str, Field(max_length=2**20), WithJsonSchema({"type": "string"})]
