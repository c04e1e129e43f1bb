"""Changes of a declaration as its author makes them: each edits the text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from backends.models.resources import DeclarationError, Kind
from backends.models.resources.kinds import KINDS
from tests.contract.made_up import ANNOTATIONS, load
from tests.differential.evolutions import field_changes
from tests.differential.evolutions.field_changes import MARKERS, ON_DELETE, Numbers
from tests.differential.evolutions.texts import ClassText, FieldText, Text, render

_CLASSES = ("New", "Late", "Other", "Third")
_NAMES = "abcdefghijklmnopqrstuvwxyz"


def changed(text: Text, kind: str, numbers: Numbers) -> Text | None:
    """Return the text after a change; None if it is impossible here, or changes nothing."""
    name = list(text)[numbers[0] % len(text)]
    if kind in _OF_TEXTS:
        found = _OF_TEXTS[kind](text, name, numbers[1:])
    else:
        cls = _OF_CLASSES[kind](text[name], [*text], numbers[1:])
        found = None if cls is None else {**text, name: cls}
    return found if found is not None and found != text and _is_valid(found) else None


def _is_valid(text: Text) -> bool:
    try:
        load(render(text))
    except DeclarationError:
        return False
    return True


# -- resources -----------------------------------------------------------------------------------


def _add_resource(text: Text, name: str, numbers: Numbers) -> Text | None:
    """Add a resource, to which an existing one refers in half of the cases."""
    new = next((each for each in _CLASSES if each not in text), None)
    if new is None:
        return None
    fields = {"a": _new_field([*text, new], numbers), "b": FieldText("bool", kind="boolean")}
    found = {**text, new: ClassText(_path_of(new), fields, owned=bool(numbers[4] % 2))}
    if numbers[2] % 2:
        reference = _reference(_path_of(new), numbers, nullable=True)
        found[name] = _with_field(text[name], _free_name(text[name], numbers), reference, numbers)
    return found


def _drop_resource(text: Text, name: str, _: Numbers) -> Text | None:
    """Drop a resource, with the fields that refer to it."""
    if len(text) == 1:
        return None
    left = {each: cls for each, cls in text.items() if each != name}
    found = {}
    for each, cls in left.items():
        gone = [
            field for field, value in cls.fields.items() if f"Reference('{text[name].path}'" in str(value)
        ]
        smaller: ClassText | None = cls
        for field in gone:
            smaller = smaller and _without(smaller, field)
        if smaller is None:
            return None
        found[each] = smaller
    return found


def _cycle(text: Text, name: str, numbers: Numbers) -> Text:
    """Let two resources refer to each other, or one to itself."""
    other = list(text)[numbers[0] % len(text)]
    found = dict(text)
    for source, target in {(name, other), (other, name)}:
        cls, reference = found[source], _reference(found[target].path, numbers[1:], nullable=True)
        found[source] = _with_field(cls, _free_name(cls, numbers), reference, numbers)
    return found


def _path_of(cls: str) -> str:
    return f"{cls.lower()}s"


# -- one resource ----------------------------------------------------------------------------------


def _owned(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText:
    """Let rows have an owner, or not; a group with the owner goes, too."""
    unique = tuple(group for group in cls.unique if "owner_id" not in group or not cls.owned)
    del numbers
    return replace(cls, owned=not cls.owned, unique=unique)


def _group(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText:
    """Add a unique group, which may have the owner, or drop one."""
    if cls.unique and numbers[0] % 3 == 0:
        return replace(cls, unique=cls.unique[1:])
    members = [name for name, each in cls.fields.items() if KINDS[each.kind].is_unique]
    members += ["owner_id"] * cls.owned
    group = tuple(dict.fromkeys(members[each % len(members)] for each in numbers[1:4] if members))
    return replace(cls, unique=(*cls.unique, group)) if group else cls


def _add_field(cls: ClassText, targets: Sequence[str], numbers: Numbers) -> ClassText:
    return _with_field(cls, _free_name(cls, numbers), _new_field(targets, numbers), numbers)


def _drop_field(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText | None:
    return _without(cls, _name_in(cls, numbers))


def _replace_field(cls: ClassText, targets: Sequence[str], numbers: Numbers) -> ClassText | None:
    """Drop a field and add another one under its name, with another column."""
    name = _name_in(cls, numbers)
    left = _without(cls, name, keep_last=False)
    new = _new_field(targets, numbers[1:])
    new = replace(new, extras=(*new.extras, f"RenamedFrom({_free_name(cls, numbers)!r})"))
    return left and replace(left, fields={**left.fields, name: new})


def _rename(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText:
    return _renamed(cls, {_name_in(cls, numbers): _free_name(cls, numbers[1:])})


def _exchange(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText:
    """Give two or three fields each other's names."""
    names = list(dict.fromkeys(list(cls.fields)[each % len(cls.fields)] for each in numbers[:3]))
    return _renamed(cls, dict(zip(names, [*names[1:], names[0]], strict=True)))


def _name_in(cls: ClassText, numbers: Numbers) -> str:
    return list(cls.fields)[numbers[0] % len(cls.fields)]


def _free_name(cls: ClassText, numbers: Numbers) -> str:
    """Return a name that no field or column has now; it may have been dropped in an earlier revision."""
    columns = (ast.literal_eval(each.removeprefix("RenamedFrom")) for each in _earlier_names(cls))
    taken = {*cls.fields, *columns}
    start = numbers[-1] % len(_NAMES)
    return next(each for each in _NAMES[start:] + _NAMES if each not in taken)


def _earlier_names(cls: ClassText) -> list[str]:
    extras = (extra for each in cls.fields.values() for extra in each.extras)
    return [each for each in extras if each.startswith("RenamedFrom")]


def _with_field(cls: ClassText, name: str, field: FieldText, numbers: Numbers) -> ClassText:
    place, items = numbers[-1] % (len(cls.fields) + 1), list(cls.fields.items())
    return replace(cls, fields=dict([*items[:place], (name, field), *items[place:]]))


def _without(cls: ClassText, name: str, *, keep_last: bool = True) -> ClassText | None:
    fields = {each: value for each, value in cls.fields.items() if each != name}
    unique = tuple(group for group in cls.unique if name not in group)
    return replace(cls, fields=fields, unique=unique) if fields or not keep_last else None


def _new_field(targets: Sequence[str], numbers: Numbers) -> FieldText:
    kinds: list[Kind] = [*ANNOTATIONS, "reference"]
    kind = kinds[numbers[0] % len(kinds)]
    nullable = bool(numbers[1] % 2)
    if kind == "reference":
        paths = ["users", "items", *map(_path_of, targets)]
        path = paths[numbers[2] % len(paths)]
        # The rows there are refer to a user, if they must refer to anything.
        return _reference(path, numbers[2:], nullable=nullable or path != "users")
    annotation, constraint = ANNOTATIONS[kind][numbers[2] % len(ANNOTATIONS[kind])]
    markers = tuple(each for bit, each in enumerate(MARKERS) if numbers[3] >> bit & 1)
    rules = KINDS[kind]
    is_possible = {
        "Sortable()": rules.is_ordered,
        "Filterable()": rules.is_filtered,
        "Searchable()": kind == "text",
    }
    unique = ("Unique()",) if rules.is_unique and nullable and numbers[3] % 5 == 4 else ()
    extras = (constraint, *(each for each in markers if is_possible[each]), *unique)
    return FieldText(annotation, extras, nullable, "None" if nullable else None, kind)


def _reference(path: str, numbers: Numbers, *, nullable: bool) -> FieldText:
    on_delete = ON_DELETE[numbers[0] % (3 if nullable else 2)]
    return FieldText("str", (f"Reference('{path}', on_delete='{on_delete}')",), nullable, kind="reference")


def _of_field(change: Callable[[FieldText, Numbers], FieldText]) -> OfClass:
    """Return the change of one of the fields for which the change is possible."""

    def of_class(cls: ClassText, _: Sequence[str], numbers: Numbers) -> ClassText | None:
        every = {name: change(each, numbers[1:]) for name, each in cls.fields.items()}
        possible = [name for name, each in every.items() if each != cls.fields[name]]
        if not possible:
            return None
        name = possible[numbers[0] % len(possible)]
        return replace(cls, fields={**cls.fields, name: every[name]})

    return of_class


def _renamed(cls: ClassText, names: Mapping[str, str]) -> ClassText:
    """Rename fields, which keep their columns."""

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


OfText: TypeAlias = Callable[[Text, str, Numbers], Text | None]
OfClass: TypeAlias = Callable[[ClassText, Sequence[str], Numbers], ClassText | None]

_OF_TEXTS: Mapping[str, OfText] = {
    "add_resource": _add_resource,
    "drop_resource": _drop_resource,
    "cycle": _cycle,
}
_OF_CLASSES: Mapping[str, OfClass] = {
    "owned": _owned,
    "group": _group,
    "add_field": _add_field,
    "drop_field": _drop_field,
    "replace_field": _replace_field,
    "rename": _rename,
    "exchange": _exchange,
    "null": _of_field(field_changes.null),
    "require": _of_field(field_changes.require),
    "unique": _of_field(field_changes.unique),
    "markers": _of_field(field_changes.markers),
    "on_delete": _of_field(field_changes.on_delete),
    "choices": _of_field(field_changes.choices),
    "bounds": _of_field(field_changes.bounds),
}
CHANGES = (*_OF_TEXTS, *_OF_CLASSES)
"""The kinds of changes."""
RULES = ("bounds", "bounds", "require", "unique", "group", "choices", "owned")
"""Those that existing rows may refuse."""
