"""Changes of one field of a declaration, as text. Where one is impossible, the field stays as it is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from backends.models.resources.kinds import KINDS
from tests.contract.made_up import ANNOTATIONS
from tests.differential.evolutions.texts import FieldText

Numbers: TypeAlias = Sequence[int]
"""Decides what a change leaves open: numbers from 0 to 999."""

MARKERS = ("Sortable()", "Filterable()", "Searchable()")
CHOICES = ("b", "B", "ä", "it's", '$"\\', "a.b")
ON_DELETE = ("restrict", "cascade", "set_null")


def null(text: FieldText, _: Numbers) -> FieldText:
    """Let the field be null, or never."""
    return replace(text, nullable=not text.nullable, default=None)


def require(text: FieldText, _: Numbers) -> FieldText:
    """Let the field never be null, whatever becomes of a reference."""
    extras = tuple(each.replace("'set_null'", "'restrict'") for each in text.extras)
    return replace(text, nullable=False, default=None, extras=extras) if text.nullable else text


def unique(text: FieldText, _: Numbers) -> FieldText:
    """Let the values be unique, or not."""
    return _toggled(text, "Unique()") if KINDS[text.kind].is_unique else text


def markers(text: FieldText, numbers: Numbers) -> FieldText:
    """Add or remove a marker."""
    return _toggled(text, MARKERS[numbers[0] % 3])


def _toggled(text: FieldText, marker: str) -> FieldText:
    others = tuple(each for each in text.extras if each != marker)
    return replace(text, extras=others if len(others) < len(text.extras) else (*text.extras, marker))


def on_delete(text: FieldText, numbers: Numbers) -> FieldText:
    """Change what becomes of a row whose reference is deleted."""
    new = ON_DELETE[numbers[0] % 3]
    return replace(text, extras=tuple(_with_on_delete(each, new) for each in text.extras))


def _with_on_delete(extra: str, new: str) -> str:
    if not extra.startswith("Reference("):
        return extra
    call = cast("ast.Call", ast.parse(extra, mode="eval").body)
    return f"Reference({ast.literal_eval(call.args[0])!r}, on_delete={new!r})"


def choices(text: FieldText, numbers: Numbers) -> FieldText:
    """Add a choice, or remove one."""
    if text.kind != "choice":
        return text
    there = list(ast.literal_eval(text.type.removeprefix("Literal").replace("[", "(").replace("]", ",)")))
    choice = CHOICES[numbers[0] % len(CHOICES)]
    left = [each for each in there if each != choice] if choice in there else [*there, choice]
    return replace(text, type=f"Literal[{', '.join(map(repr, left))}]", default=None) if left else text


def bounds(text: FieldText, numbers: Numbers) -> FieldText:
    """Give the field the bounds of another one of its kind."""
    same = [each for each in ANNOTATIONS.get(text.kind, ()) if _scale(each) == _scale_of(text)]
    if not same or text.kind == "choice":
        return text
    annotation, constraint = same[numbers[0] % len(same)]
    kept = tuple(each for each in text.extras if not each.startswith("Field("))
    return replace(text, type=annotation, extras=(constraint, *kept), default=None)


def _scale(choice: tuple[str, str]) -> str:
    """Return what no revision changes: the decimal places, and the type of elements and nested models."""
    annotation, constraint = choice
    places = constraint.partition("decimal_places=")[2].partition(",")[0].strip(")")
    return f"{places} {annotation[:8]}"


def _scale_of(text: FieldText) -> str:
    return _scale((text.type, next((each for each in text.extras if each.startswith("Field(")), "")))
