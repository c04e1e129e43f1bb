"""A declaration of books, and what is found when it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.models.resources import FieldSpec, ResourceSpec
from migrations.resources.changes import NOTHING_GIVEN, Given, changes_of
from migrations.resources.checks import apply_all
from migrations.resources.history import History, history_of
from migrations.resources.operations import State
from tests.contract.made_up import load

BOOKS = '''
class Author(Resource, path="authors", owned=False):
    name: Annotated[str, Field(max_length=100)]


class Book(Resource, path="books", unique=[("owner_id", "isbn")]):
    """A book."""

    isbn: Annotated[str, Field(max_length=13), Filterable()]
    state: Literal["draft", "published"]
    note: Annotated[str | None, Field(max_length=100)] = None
    pages: Annotated[int, Field(ge=1, le=100)]
    author_id: Annotated[str | None, Reference("authors")] = None
'''


def specs_of(source: str) -> list[ResourceSpec]:
    """Return the specifications of a declaration."""
    return [each.__resource__ for each in load(source)]


def edited(*edits: tuple[str, str]) -> str:
    """Return the declaration of books after some edits."""
    source = BOOKS
    for before, after in edits:
        assert before in source
        source = source.replace(before, after)
    return source


def found(after: str, given: Given = NOTHING_GIVEN, *, before: str = BOOKS) -> list[Any]:
    """Return the operations from one declaration to another, and check where they lead."""
    history = history_of("library", specs_of(before))
    history = History("library", Path(), history.revisions, tuple(specs_of(after)))
    operations = changes_of(history, given)
    assert_same(apply_all(operations, history.state), specs_of(after))
    return operations


def stored(spec: ResourceSpec) -> Any:
    """Return what a database stores of a specification, without the order of its fields."""
    fields = frozenset(map(_stored_field, spec.fields))
    return spec.name, fields, frozenset(map(frozenset, spec.unique)), spec.owned


def _stored_field(field: FieldSpec) -> Any:
    sizes = (field.min_length, field.max_length, field.minimum, field.maximum)
    fixed = (field.name, field.column, field.kind, field.nullable, field.max_digits, field.decimal_places)
    markers = (field.sortable, field.filterable, field.searchable)
    item = None if field.item is None else _stored_field(field.item)
    return *fixed, *sizes, *markers, frozenset(field.choices), field.target, field.on_delete, item


def assert_same(state: State, declared: Sequence[ResourceSpec]) -> None:
    """Compare what a database stores."""
    assert sorted(map(stored, state.values())) == sorted(map(stored, declared))
