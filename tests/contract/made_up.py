"""Declarations that Hypothesis makes up, as the text that a user would write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from hypothesis.strategies import DrawFn, booleans, composite, integers, none, sampled_from, sets

from backends.models.resources import Kind, Resource
from backends.models.resources.checks import check_together
from backends.models.resources.declaration import declared_meanwhile
from backends.models.resources.kinds import KINDS

IMPORTS = """\
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, EmailStr, Field, JsonValue, model_validator

from eitherdb import (
    Filterable,
    Immutable,
    ReadOnly,
    Reference,
    RenamedFrom,
    Resource,
    Searchable,
    Sortable,
    Unique,
)


class Part(BaseModel):
    number: int
    share: float = 1.0


"""
TREES = ("Ash", "Oak", "Elm", "Fir", "Yew", "Box", "Bay", "Fig", "Gum", "Nut", "Tea", "Koa")
"""Names of classes."""

ANNOTATIONS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "text": (
        ("str", "Field(max_length=3)"),
        ("str", "Field(min_length=1, max_length=255)"),
        ("str", 'Field(pattern="^[A-Ca-c]{1,2}$")'),
        ("str", "Field(max_length=500)"),
    ),
    "email": (("EmailStr", ""),),
    "boolean": (("bool", ""),),
    "choice": (('Literal["b", "B", "ä"]', ""), ("Literal[\"it's\", '$\"\\\\\\\\']", "")),
    "integer": (
        ("int", ""),
        ("int", "Field(ge=0, lt=3)"),
        ("int", "Field(ge=-(2**63) + 1, le=2**63 - 1)"),
        ("int", "Field(gt=-20, le=20, multiple_of=5)"),
    ),
    "decimal": (
        ("Decimal", "Field(max_digits=18, decimal_places=4)"),
        ("Decimal", "Field(max_digits=18, decimal_places=18)"),
        ("Decimal", "Field(max_digits=18, decimal_places=0)"),
        ("Decimal", 'Field(max_digits=3, decimal_places=2, gt=0, le="1.5")'),
    ),
    "float": (("float", ""), ("float", "Field(gt=0, lt=1)")),
    "time": (("datetime", ""), ("datetime", "Field(lt=datetime(2100, 1, 1, tzinfo=UTC))")),
    "date": (("date", ""), ("date", "Field(gt=date(2026, 1, 1))")),
    "list": (
        ("list[Annotated[str, Field(max_length=5)]]", "Field(max_length=3)"),
        ("list[int]", "Field(min_length=1, max_length=3)"),
        ('list[Literal["b", "ä"]]', "Field(max_length=2)"),
    ),
    "json": (("dict[str, JsonValue]", ""), ("Part", "")),
}
"""The types and constraints of each kind but references."""

_CONSTRAINED = {"text": '"b"', "choice": '"b"', "boolean": "True", "integer": "0"}


@composite
def declarations(draw: DrawFn, names: Sequence[str] = TREES[:3]) -> str:
    """Return the text of declarations of one to three resources, which may refer to each other."""
    number = draw(integers(1, len(names)))
    return "\n\n".join(draw(_resources(names[:place], name)) for place, name in enumerate(names[:number]))


@composite
def _resources(draw: DrawFn, earlier: Sequence[str], name: str) -> str:
    owned = draw(booleans())
    fields = [draw(_fields(chr(ord("a") + place), earlier, name)) for place in range(draw(integers(1, 5)))]
    lines = [line for line, _, _ in fields]
    kinds = {line.partition(":")[0]: kind for line, kind, _ in fields}
    arguments = [f'path="{name.lower()}s"']
    if not owned:
        arguments.append("owned=False")
    if access := draw(_accesses(owned=owned)):
        arguments.append(f"access={access!r}")
    if condition := {place: value for place, (_, _, value) in zip(kinds, fields, strict=True) if value}:
        asked = draw(none() | sampled_from(sorted(condition)))
        if asked:
            arguments.append(f'public_when={{"{asked}": {condition[asked]}}}')
    # Several long texts are too large for an index.
    texts = [each for each in kinds if kinds[each] in {"text", "email"}][1:]
    members = [each for each in kinds if KINDS[kinds[each]].is_unique and each not in texts]
    groups = draw(_groups(members, owned=owned))
    single = {each for line, _, _ in fields if "Unique()" in line for each in [line.partition(":")[0]]}
    if groups := [group for group in groups if set(group) != single or len(group) > 1]:
        arguments.append(f"unique={groups!r}")
    numbers = [each for each in kinds if kinds[each] == "integer"]
    if len(numbers) > 1 and draw(booleans()):
        lines += ["", *_rule(*numbers[:2])]
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"class {name}(Resource, {', '.join(arguments)}):\n{body}\n"


@composite
def _fields(draw: DrawFn, name: str, earlier: Sequence[str], own: str) -> tuple[str, Kind, str]:
    """Return the line of a field, its kind, and the value by which rows are public."""
    kind = draw(sampled_from([*ANNOTATIONS, "reference"]))
    nullable = draw(booleans())
    if kind == "reference":
        annotation, constraint, nullable = draw(_references(earlier, own, nullable=nullable))
    else:
        annotation, constraint = draw(sampled_from(ANNOTATIONS[kind]))
    rules = KINDS[kind]
    is_indexed = "1000" not in constraint
    markers = [
        marker
        for marker, is_possible in (
            ("Unique()", rules.is_unique and is_indexed and draw(integers(0, 4)) == 4),
            ("Sortable()", rules.is_ordered and is_indexed and draw(booleans())),
            ("Filterable()", rules.is_filtered and is_indexed and draw(booleans())),
            ("Searchable()", kind == "text" and draw(booleans())),
            ("Immutable()", draw(integers(0, 9)) == 9),
            ("ReadOnly()", nullable and draw(integers(0, 9)) == 9),
        )
        if is_possible
    ]
    default = " = None" if nullable and ("ReadOnly()" in markers or draw(booleans())) else ""
    extras = ", ".join(filter(None, [constraint, *markers]))
    annotation += " | None" if nullable else ""
    annotation = f"Annotated[{annotation}, {extras}]" if extras else annotation
    public = _CONSTRAINED.get(kind, "")
    if kind == "choice" and "it's" in annotation:
        public = '"it\'s"'
    if kind == "text" and "min_length" not in annotation and draw(booleans()):
        public = '"B"'
    return f"{name}: {annotation}{default}", kind, public


@composite
def _references(draw: DrawFn, earlier: Sequence[str], own: str, *, nullable: bool) -> tuple[str, str, bool]:
    targets = [f"{each.lower()}s" for each in (*earlier, own)]
    target = draw(sampled_from([*targets, *targets, "users", "items"]))
    nullable = nullable or target == targets[-1]
    on_delete = draw(sampled_from(["restrict", "cascade", *(("set_null",) if nullable else ())]))
    return "str", f'Reference("{target}", on_delete="{on_delete}")', nullable


@composite
def _accesses(draw: DrawFn, *, owned: bool) -> dict[str, str]:
    who = ["anyone", "signed_in", "superuser", *(["owner"] if owned else [])]
    found = {}
    for action in ("read", "create", "change", "delete"):
        allowed = [each for each in who if action != "create" or each != "owner"]
        if action == "create" and owned:
            allowed.remove("anyone")
        chosen = draw(none() | none() | sampled_from(allowed))
        if chosen:
            found[action] = chosen
    return found


@composite
def _groups(draw: DrawFn, names: Sequence[str], *, owned: bool) -> list[tuple[str, ...]]:
    if not names or draw(booleans()):
        return []
    members = [*(["owner_id"] if owned else []), *names]
    group = sorted(draw(sets(sampled_from(members), min_size=min(2, len(members)), max_size=3)))
    return [tuple(group)]


def _rule(first: str, last: str) -> list[str]:
    return [
        '@model_validator(mode="after")',
        "def _in_order(self) -> Self:",
        f"    if self.{first} is not None and self.{last} is not None and self.{first} > self.{last}:",
        f'        raise ValueError("{first} should not be after {last}")',
        "    return self",
    ]


@cache
def load(source: str) -> tuple[type[Resource], ...]:
    """Return the classes of a declaration."""
    with declared_meanwhile() as classes:
        code = compile(IMPORTS + source, "made_up.py", "exec", dont_inherit=True)
        exec(code, {"__name__": "made_up"})  # noqa: S102 - made up by this module
    check_together(classes)
    return tuple(classes)
