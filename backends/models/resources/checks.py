"""Checks declarations against each other: names, references, and cycles of references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from backends.models.resources.declaration import Resource
from backends.models.resources.errors import DeclarationError
from backends.models.resources.spec import FieldSpec, ResourceSpec

_OWN_CLASSES = (
    "User",
    "Account",
    "Entry",
    "Transfer",
    "Statement",
    "StatementEntry",
    "PrivateUser",
    "Item",
)
_OWN_TARGETS = ("users", "items")


def check_together(classes: Sequence[type[Resource]]) -> None:
    """Check all declared classes, which are served together with EitherDB's own.

    Raises:
        DeclarationError: Two have the same name, path or names in the API; a reference has no target; or
            references form a cycle in which no row can be the first.
    """
    specs = [each.__resource__ for each in classes]
    _check_names(classes)
    by_name = {spec.name: spec for spec in specs}
    for spec in specs:
        for field in spec.references:
            _check_target(spec, field, by_name)
    for spec in specs:
        if cycle := _cycle(spec, by_name, _is_required):
            place, *_ = cycle
            raise DeclarationError(
                place,
                f"no row can be the first, because each needs another: {' -> '.join([*cycle, place])}",
                "let one of these fields be `| None`",
            )
        if cycle := _cycle(spec, by_name, _cascades_to_others):
            place, *_ = cycle
            raise DeclarationError(
                place,
                f"a deletion would go round in a circle: {' -> '.join([*cycle, place])}",
                "let one of these fields have another on_delete",
            )


def in_order(specs: Sequence[ResourceSpec]) -> list[ResourceSpec]:
    """Return the specifications so that the targets of required references come first."""
    by_name = {spec.name: spec for spec in specs}
    found: dict[str, ResourceSpec] = {}

    def add(spec: ResourceSpec, path: tuple[str, ...]) -> None:
        if spec.name in found or spec.name in path:
            return
        # An optional reference may close a cycle, so the required ones come first.
        for field in sorted(spec.references, key=lambda field: field.nullable):
            if field.target in by_name:
                add(by_name[field.target], (*path, spec.name))
        found[spec.name] = spec

    for spec in specs:
        add(spec, ())
    return list(found.values())


def _check_names(classes: Sequence[type[Resource]]) -> None:
    taken: dict[str, str] = {
        name: "EitherDB" for each in _OWN_CLASSES for name in _schemas(each, f"{each}s")
    }
    tables: dict[str, str] = {}
    names: dict[str, type[Resource]] = {}
    for cls in classes:
        spec = cls.__resource__
        if spec.class_name in _OWN_CLASSES:
            raise DeclarationError(
                spec.class_name, "EitherDB has a class of this name itself", "give the class another name"
            )
        if spec.class_name in names:
            other = names[spec.class_name].__resource__
            raise DeclarationError(
                spec.class_name,
                f"two classes have this name, with the paths {other.path} and {spec.path}",
                "give one of them another name",
            )
        names[spec.class_name] = cls
        if spec.name in tables:
            raise DeclarationError(
                spec.class_name,
                f"{tables[spec.name]} has the path {spec.path} too",
                "give one of them another path",
            )
        tables[spec.name] = spec.class_name
        for name in _schemas(spec.class_name, spec.plural):
            if name in taken:
                raise DeclarationError(
                    spec.class_name,
                    f"{taken[name]} has a schema {name} in the API too",
                    "give the class or the path another name",
                )
            taken[name] = spec.class_name


def _schemas(name: str, plural: str) -> Iterator[str]:
    """Yield the names of the schemas in the API's document."""
    yield from (f"{name}{end}" for end in ("Create", "Update", "Public"))
    yield from (f"{plural}{end}" for end in ("Create", "Created", "Public"))


def _check_target(spec: ResourceSpec, field: FieldSpec, by_name: Mapping[str, ResourceSpec]) -> None:
    place = f"{spec.class_name}.{field.name}"
    if field.target not in by_name and field.target not in _OWN_TARGETS:
        valid = ", ".join([*_OWN_TARGETS, *(each.path for each in by_name.values())])
        raise DeclarationError(
            place, f"it refers to {str(field.target)!r}, which nobody declares", f"give one of: {valid}"
        )


def _is_required(_spec: ResourceSpec, field: FieldSpec) -> bool:
    return not field.nullable


def _cascades_to_others(spec: ResourceSpec, field: FieldSpec) -> bool:
    """Return whether a deletion cascades from another resource. A tree in one resource is no circle."""
    return field.on_delete == "cascade" and field.target != spec.name


def _cycle(
    spec: ResourceSpec,
    by_name: Mapping[str, ResourceSpec],
    fits: Callable[[ResourceSpec, FieldSpec], bool],
) -> list[str]:
    """Return the fields of a cycle of such references through this resource; none if there is none."""

    def follow(current: ResourceSpec, fields: tuple[str, ...], seen: frozenset[str]) -> list[str]:
        for field in current.references:
            target = by_name.get(field.target or "")
            if target is None or not fits(current, field):
                continue
            path = (*fields, f"{current.class_name}.{field.name}")
            if target.name == spec.name:
                return list(path)
            if target.name not in seen and (found := follow(target, path, seen | {target.name})):
                return found
        return []

    return follow(spec, (), frozenset({spec.name}))
