"""The mapped classes of declared resources, with relationships both ways.

A reference `author_id` gives `book.author`, and `author.books`. Several references of one resource to
another give `author.books_by_author` and `author.books_by_editor`, and so does a reference of a resource to
itself. If the class has the name already, `_row` is added, or `_rows` for several rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, type_coerce
from sqlalchemy.orm import column_property, registry, relationship

from backends.models.resources import DeclarationError, ResourceSpec
from backends.models.resources.declaration import conversions
from backends.sql.mapped.base import MappedRow
from backends.sql.mapped.models import OWN
from backends.sql.mapped.types import mapped_type
from backends.sql.resource_statements import resource_tables

if TYPE_CHECKING:
    from sqlalchemy import Table

    from backends.models.resources import Resource


@dataclass(frozen=True, slots=True)
class Link:
    """A reference, and the relationships over it.

    Attributes:
        source: The name of the table that has the reference.
        column: The name of the reference.
        target: The name of the table that it refers to.
        forward: The relationship of a row to the row that it refers to.
        back: The relationship of that row to the rows that refer to it.
    """

    source: str
    column: str
    target: str
    forward: str
    back: str


def map_resources(
    resources: Sequence[type[Resource]], own: Mapping[str, type[Any]]
) -> dict[str, type[MappedRow]]:
    """Return the mapped classes of declared resources, by the names of their tables.

    Args:
        resources: The classes of the declarations, without items.
        own: The mapped classes of EitherDB's own tables, by name: they get relationships too.
    """
    tables = resource_tables([cls.__resource__ for cls in resources])
    mapped = {cls.__resource__.name: _map_columns(cls, tables[cls.__resource__.name]) for cls in resources}
    classes = {**own, **mapped}
    taken = {name: set(inspect(cls).attrs.keys()) for name, cls in classes.items()}
    for link in links(resources, taken):
        column = tables[link.source].c[link.column]
        target = classes[link.target]
        # A `backref`, because the mapper of the target may be configured already.
        inspect(classes[link.source]).add_property(
            link.forward,
            relationship(
                target,
                primaryjoin=column == inspect(target).local_table.c.id,
                foreign_keys=column,
                remote_side=inspect(target).local_table.c.id,
                backref=link.back,
            ),
        )
    return mapped


def links(resources: Sequence[type[Resource]], taken: Mapping[str, set[str]]) -> Iterator[Link]:
    """Yield the relationships of all references, owners included.

    Args:
        resources: The classes of the declarations.
        taken: The names that each mapped class has already; the names of the relationships are added.
    """
    for cls in resources:
        spec = cls.__resource__
        found = [(field.name, str(field.target)) for field in spec.references]
        found += [("owner_id", "users")] if spec.owned else []
        targets = [target for _, target in found]
        for column, target in found:
            forward = _free(column.removesuffix("_id"), "_row", taken[spec.name])
            is_one_of_several = targets.count(target) > 1 or target == spec.name
            back = f"{spec.name}_by_{column.removesuffix('_id')}" if is_one_of_several else spec.name
            yield Link(spec.name, column, target, forward, _free(back, "_rows", taken[target]))


def _free(name: str, suffix: str, taken: set[str]) -> str:
    while name in taken:
        name += suffix
    taken.add(name)
    return name


def _map_columns(cls: type[Resource], table: Table) -> type[MappedRow]:
    """Return a class with the columns that the repository returns, and with the values that it returns."""
    spec = cls.__resource__
    mapped: type[MappedRow] = type(spec.class_name, (MappedRow,), {"__doc__": cls.__doc__})
    read = dict(conversions(cls))
    properties: dict[str, Any] = {name: table.c[name] for name in spec.columns}
    unmapped = [column for column in table.columns if column.key not in spec.columns]
    for field in spec.fields:
        column = table.c[field.name]
        kind = mapped_type(column.type, read.get(field.name), is_json=field.kind == "json")
        if kind is not None:
            properties[field.name] = column_property(type_coerce(column, kind).label(field.name))
            unmapped.append(column)
    # A class without a declarative base has no reserved names: `metadata` and `registry` may be fields.
    registry(metadata=table.metadata).map_imperatively(
        mapped, table, properties=properties, exclude_properties=unmapped
    )
    return mapped


_lock = Lock()
_mapped: dict[str, type[MappedRow]] = {}
_specs: dict[str, ResourceSpec] = {}


def map_once(resources: Sequence[type[Resource]] = ()) -> dict[str, type[MappedRow]]:
    """Map declared resources, if this process has not; return its mapped classes by table.

    `User` and `Item` get relationships to them, so a process has one set of declarations.

    Args:
        resources: The declared resources; none for those of an earlier call.

    Raises:
        DeclarationError: The process has mapped other declarations.
    """
    specs = {cls.__resource__.name: cls.__resource__ for cls in resources}
    with _lock:
        if _specs and specs and specs != _specs:
            raise DeclarationError(
                "RESOURCES",
                f"this process has mapped other declarations ({', '.join(_specs)})",
                "use one RESOURCES for each process",
            )
        if specs and not _specs:
            _mapped.update(map_resources(resources, OWN))
            _specs.update(specs)
        return dict(_mapped)
