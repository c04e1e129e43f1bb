"""Made-up changes of made-up declarations, as a user would edit the text."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis.strategies import DrawFn, composite, integers, lists, sampled_from, tuples

from backends.models.resources import DeclarationError, Kind, Resource
from backends.models.resources.kinds import KINDS
from backends.models.resources.values import to_json
from migrations.resources.changes import Given
from tests.contract.made_up import ANNOTATIONS, declarations, load
from tests.contract.resource_values import values_of
from tests.differential.texts import ClassText, FieldText, Text, read, render

CHANGES = (
    "add_field",
    "add_field",
    "drop_field",
    "rename",
    "rename",
    "exchange",
    "bounds",
    "bounds",
    "bounds",
    "null",
    "null",
    "markers",
    "markers",
    "unique",
    "group",
    "owned",
    "on_delete",
    "add_resource",
    "drop_resource",
)
_MARKERS = ("Sortable()", "Filterable()", "Searchable()")
_NAMES = ("New", "Late", "Other", "Third")


@dataclass(frozen=True)
class Evolution:
    """A declaration, and the one that it becomes.

    Attributes:
        before: The first declaration.
        after: The second one.
        drops: What the author allows to be dropped.
        values: The values that existing rows get.
        changes: The changes, for people.
    """

    before: str
    after: str
    drops: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def given(self) -> Given:
        """What the author of the revision decides."""
        return Given(self.drops, self.values)


@composite
def evolutions(draw: DrawFn, most: int = 4) -> Evolution:
    """Return a made-up declaration, and another one that one to four changes make of it."""
    text = read(draw(declarations()))
    before = render(text)
    numbers = tuples(*[integers(0, 999)] * 6)
    done: list[str] = []
    for kind, (first, *others) in draw(
        lists(tuples(sampled_from(CHANGES), numbers), min_size=1, max_size=most)
    ):
        changed = _changed(text, kind, first, others)
        if changed is not None and _is_valid(changed):
            text = changed
            done.append(kind)
    after = render(text)
    classes = load(before), load(after)
    values = values_of_rows(*classes, draw(numbers))
    return Evolution(before, after, drops_of(*classes), values, tuple(done))


OWNER = "ada@example.com"


def values_of_rows(
    before: Sequence[type[Resource]], after: Sequence[type[Resource]], numbers: Sequence[int]
) -> dict[str, Any]:
    """Return the values that existing rows need, and some that they may get."""
    state = {each.__resource__.name: each.__resource__ for each in before}
    found: dict[str, Any] = {}
    for cls in after:
        spec = cls.__resource__
        if spec.name not in state:
            continue
        if spec.owned and not state[spec.name].owned and numbers[0] % 3:
            found[f"{spec.name}.owner_id"] = OWNER
        columns = {each.column: each for each in state[spec.name].fields}
        for each in spec.fields:
            was = columns.get(each.column)
            values = values_of(cls, each.name) if each.kind != "reference" else ()
            is_new = was is None and not each.unique and (not each.nullable or numbers[1] % 2)
            becomes_required = was is not None and was.nullable and not each.nullable and numbers[2] % 2
            if (
                values
                and (is_new or becomes_required)
                and not any(each.name in group for group in spec.unique)
            ):
                found[f"{spec.name}.{each.name}"] = to_json(values[numbers[3] % len(values)])
    return found


def drops_of(before: Sequence[type[Resource]], after: Sequence[type[Resource]]) -> tuple[str, ...]:
    """Return the names of what is gone."""
    found = []
    declared = {each.__resource__.name: each.__resource__ for each in after}
    for spec in (each.__resource__ for each in before):
        now = declared.get(spec.name)
        if now is None:
            found.append(spec.name)
            continue
        columns = {each.column for each in now.fields}
        found += [f"{spec.name}.{each.name}" for each in spec.fields if each.column not in columns]
        found += [f"{spec.name}.owner_id"] if spec.owned and not now.owned else []
    return tuple(found)


def _is_valid(text: Text) -> bool:
    try:
        load(render(text))
    except DeclarationError:
        return False
    return True


def _changed(text: Text, kind: str, first: int, numbers: Sequence[int]) -> Text | None:
    """Return the text after a change; None if it is impossible here."""
    name = list(text)[first % len(text)] if text else ""
    match kind:
        case "add_resource":
            new = next((each for each in _NAMES if each not in text), None)
            if new is None:
                return None
            added = _new_field([*text], numbers)
            fields = {"a": added} if added.kind != "reference" else {"a": added, "b": FieldText("bool")}
            return {**text, new: ClassText(f"{new.lower()}s", fields, owned=bool(numbers[4] % 2))}
        case "drop_resource":
            return {each: cls for each, cls in text.items() if each != name} if len(text) > 1 else None
        case "owned":
            cls = replace(text[name], owned=not text[name].owned)
        case "group":
            cls = _with_other_group(text[name], numbers)
        case "add_field":
            cls = _with_new_field(text[name], [*text], numbers)
        case _:
            found = _with_other_field(text[name], kind, numbers)
            if found is None:
                return None
            cls = found
    return {**text, name: cls}


def _with_new_field(cls: ClassText, targets: Sequence[str], numbers: Sequence[int]) -> ClassText:
    new = next(each for each in "mnopqrstuvwxyz" if each not in _every_name(cls))
    place, items = numbers[4] % (len(cls.fields) + 1), list(cls.fields.items())
    return replace(cls, fields=dict([*items[:place], (new, _new_field(targets, numbers)), *items[place:]]))


def _every_name(cls: ClassText) -> str:
    return " ".join([*cls.fields, *(extra for each in cls.fields.values() for extra in each.extras)])


def _new_field(targets: Sequence[str], numbers: Sequence[int]) -> FieldText:
    kinds: list[Kind] = [*ANNOTATIONS, "reference"]
    kind = kinds[numbers[0] % len(kinds)]
    nullable = bool(numbers[1] % 2)
    if kind == "reference":
        paths = ["users", "items", *(f"{each.lower()}s" for each in targets)]
        on_delete = ("restrict", "cascade", "set_null")[numbers[2] % 3]
        extra = f"Reference('{paths[numbers[3] % len(paths)]}', on_delete='{on_delete}')"
        return FieldText("str", (extra,), nullable=True, kind=kind)
    annotation, constraint = ANNOTATIONS[kind][numbers[2] % len(ANNOTATIONS[kind])]
    markers = tuple(each for bit, each in enumerate(_MARKERS) if numbers[3] >> bit & 1)
    rules = KINDS[kind]
    is_possible = {
        "Sortable()": rules.is_ordered,
        "Filterable()": rules.is_filtered,
        "Searchable()": kind == "text",
    }
    unique = ("Unique()",) if rules.is_unique and nullable and numbers[3] % 5 == 4 else ()
    extras = (constraint, *(each for each in markers if is_possible[each]), *unique)
    return FieldText(annotation, extras, nullable, "None" if nullable else None, kind)


def _with_other_group(cls: ClassText, numbers: Sequence[int]) -> ClassText:
    if cls.unique and numbers[0] % 2:
        return replace(cls, unique=cls.unique[1:])
    members = [*(["owner_id"] if cls.owned else []), *cls.fields]
    group = tuple(dict.fromkeys(members[each % len(members)] for each in numbers[1:4]))
    return replace(cls, unique=(*cls.unique, group))


def _with_other_field(cls: ClassText, kind: str, numbers: Sequence[int]) -> ClassText | None:
    name = list(cls.fields)[numbers[0] % len(cls.fields)]
    match kind:
        case "drop_field":
            fields = {each: value for each, value in cls.fields.items() if each != name}
            unique = tuple(each for each in cls.unique if name not in each)
            return replace(cls, fields=fields, unique=unique) if fields else None
        case "rename":
            new = next(each for each in "ghijkl" if each not in _every_name(cls))
            return _renamed(cls, {name: new})
        case "exchange":
            other = list(cls.fields)[numbers[1] % len(cls.fields)]
            return _renamed(cls, {name: other, other: name}) if other != name else None
        case _:
            changed = _changed_field(cls.fields[name], kind, numbers)
            return replace(cls, fields={**cls.fields, name: changed})


def _changed_field(text: FieldText, kind: str, numbers: Sequence[int]) -> FieldText:
    match kind:
        case "null":
            return replace(text, nullable=not text.nullable, default=None)
        case "unique":
            return _toggled(text, "Unique()")
        case "markers":
            return _toggled(text, _MARKERS[numbers[1] % 3])
        case "on_delete":
            new = ("restrict", "cascade", "set_null")[numbers[1] % 3]
            return replace(text, extras=tuple(_with_on_delete(each, new) for each in text.extras))
        case _:
            same = [each for each in ANNOTATIONS.get(text.kind, ()) if _scale(each) == _scale_of(text)]
            if not same:
                return text
            annotation, constraint = same[numbers[1] % len(same)]
            kept = tuple(each for each in text.extras if not each.startswith("Field("))
            return replace(text, type=annotation, extras=(constraint, *kept), default=None)


def _scale(choice: tuple[str, str]) -> str:
    """Return what no revision changes: the decimal places, and the type of elements and nested models."""
    annotation, constraint = choice
    places = constraint.partition("decimal_places=")[2].partition(",")[0].strip(")")
    return places if "Literal" in annotation[:7] else f"{places} {annotation[:8]}"


def _scale_of(text: FieldText) -> str:
    return _scale((text.type, next((each for each in text.extras if each.startswith("Field(")), "")))


def _with_on_delete(extra: str, new: str) -> str:
    if not extra.startswith("Reference("):
        return extra
    call: Any = ast.parse(extra, mode="eval").body
    return f"Reference({call.args[0].value!r}, on_delete={new!r})"


def _toggled(text: FieldText, marker: str) -> FieldText:
    others = tuple(each for each in text.extras if each != marker)
    return replace(text, extras=others if len(others) < len(text.extras) else (*text.extras, marker))


def _renamed(cls: ClassText, names: Mapping[str, str]) -> ClassText:
    def renamed(name: str, text: FieldText) -> FieldText:
        if name not in names:
            return text
        earlier = next((each for each in text.extras if each.startswith("RenamedFrom")), None)
        column = ast.literal_eval(earlier.removeprefix("RenamedFrom")) if earlier else name
        others = tuple(each for each in text.extras if each != earlier)
        if column == names[name]:
            return replace(text, extras=others)
        return replace(text, extras=(*others, f"RenamedFrom({column!r})"))

    fields = {names.get(name, name): renamed(name, text) for name, text in cls.fields.items()}
    unique = tuple(tuple(names.get(each, each) for each in group) for group in cls.unique)
    return replace(cls, fields=fields, unique=unique)
