"""The kinds of fields: a closed list, and what can be done with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backends.models.resources.spec import Kind

MAX_INTEGER = 2**53 - 1
"""The greatest integer that every JSON client reads exactly (RFC 8259, section 6)."""

MAX_LONG = 2**63 - 1
"""The greatest integer that the databases store: 64 bits."""

MAX_DIGITS = 18
"""The most digits of a decimal: as a scaled integer it fits into 64 bits."""

MAX_TEXT = 1_000_000
"""The greatest `max_length` of a text, in code points."""

MAX_INDEXED_TEXT = 500
"""The greatest `max_length` of a text in an index. PostgreSQL's index entries have at most 2,704 bytes."""

MAX_CHOICES = 100
MAX_CHOICE_LENGTH = 100
MAX_ELEMENTS = 1_000
"""The greatest `max_length` of a list."""

MAX_JSON_BYTES = 64 * 1024
"""The most bytes of an opaque value, as compact JSON in UTF-8."""

MAX_JSON_DEPTH = 16
"""The most levels of arrays and objects in an opaque value."""


@dataclass(frozen=True, slots=True)
class KindRules:
    """What can be done with the fields of a kind.

    Attributes:
        json: The values in JSON, for people.
        is_ordered: Whether lists can be sorted by it.
        is_filtered: Whether lists can be filtered by it.
        is_compared: Whether the filters `__gt`, `__gte`, `__lt` and `__lte` exist.
        is_unique: Whether it can be unique.
        is_element: Whether it can be the element of a list.
    """

    json: str
    is_ordered: bool = False
    is_filtered: bool = True
    is_compared: bool = False
    is_unique: bool = False
    is_element: bool = False


_NUMBER = {"is_ordered": True, "is_compared": True}

KINDS: Mapping[Kind, KindRules] = MappingProxyType(
    {
        "text": KindRules("string", is_ordered=True, is_unique=True, is_element=True),
        "email": KindRules("string, normalised as the addresses of users", is_ordered=True, is_unique=True),
        "boolean": KindRules("true or false"),
        "choice": KindRules("one of the strings", is_ordered=True, is_unique=True, is_element=True),
        "integer": KindRules("integer", **_NUMBER, is_unique=True, is_element=True),
        "decimal": KindRules("string such as 12.50, with all decimal places", **_NUMBER, is_unique=True),
        "float": KindRules("number", **_NUMBER),
        "time": KindRules("string such as 2026-11-22T16:25:25.123Z", **_NUMBER, is_unique=True),
        "date": KindRules("string such as 2026-11-22", **_NUMBER, is_unique=True),
        "reference": KindRules("string: the id of the other row", is_unique=True),
        "list": KindRules("array"),
        "json": KindRules("object", is_filtered=False),
    }
)
"""The order of text and choices is that of their code points. Null sorts before every value."""
