"""The names that follow from a resource's specification. Clients depend on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backends.models.resources import ResourceSpec

_AN = re.compile(r"[aeio]|hour|u(?!ni|s|t)")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a resource.

    Attributes:
        entity: One row in operation names: `line_item`.
        entities: Several rows in operation names: `line_items`.
        form: One row in the names of forms: `LineItem`.
        forms: Several rows in the names of forms: `LineItems`.
        one: One row in a sentence: `line item`.
        a: One row in a sentence, with its article: `a line item`.
        many: Several rows in a sentence: `line items`.
    """

    entity: str
    entities: str
    form: str
    forms: str
    one: str
    a: str
    many: str


def names_of(spec: ResourceSpec) -> Names:
    """Return the names of a resource."""
    one = words(spec.entity)
    return Names(
        entity=spec.entity,
        entities=spec.entities,
        form=spec.class_name,
        forms=spec.plural,
        one=one,
        a=with_article(one),
        many=words(spec.name),
    )


def words(name: str) -> str:
    """Return the words of a name: `line item`."""
    return name.replace("_", " ")


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article: `an item`."""
    return f"{'an' if _AN.match(noun) else 'a'} {noun}"
