"""`eitherdb resources`: list what is declared."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from config import DatabaseChoice, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.models.resources import FieldSpec, ResourceSpec
    from backends.models.resources.loading import Declarations


def resources(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the specifications as a JSON array.")
    ] = False,
) -> None:
    """List the resources that RESOURCES and installed distributions declare. Needs no database."""
    from backends.models.resources.loading import classes_of, load_declarations

    declarations = load_declarations(DatabaseChoice.load().resources)
    check_routers(declarations)
    specs = [each.__resource__ for each in classes_of(declarations)]
    if as_json:
        typer.echo(json.dumps([asdict(spec) for spec in specs], indent=2, ensure_ascii=False))
    elif not specs:
        typer.echo(
            "No resource is declared. Set RESOURCES to files, packages or modules that declare some."
        )
    else:
        typer.echo("\n\n".join(map(_described, specs)))


def check_routers(declarations: Sequence[Declarations]) -> None:
    """Refuse routers that can't be served. Nothing of the API is imported where no module has a router.

    Raises:
        DeclarationError: A router or one of its routes can't be served.
    """
    if "fastapi" in sys.modules or any(hasattr(each.module, "routers") for each in declarations):
        from api.app import create_app
        from api.user_routers import routers_of
        from backends.models.resources.loading import classes_of

        if routers := routers_of(declarations):
            create_app(Settings.model_construct(), resources=classes_of(declarations), routers=routers)


def _described(spec: ResourceSpec) -> str:
    """Return the lines for one resource."""
    lines = [f"/{spec.path}/  {spec.class_name}: {spec.title}"]
    widths = [max(len(field.name) for field in spec.fields), max(len(_kind(each)) for each in spec.fields)]
    lines += [
        f"  {field.name:<{widths[0]}}  {_kind(field):<{widths[1]}}  {_markers(field)}".rstrip()
        for field in spec.fields
    ]
    groups = [", ".join(group) for group in spec.unique if len(group) > 1]
    lines += [f"  unique together: {group}" for group in groups]
    access = asdict(spec.access)
    lines.append("  access: " + ", ".join(f"{action} {who}" for action, who in access.items()))
    if spec.public_when:
        condition = " and ".join(f"{name} is {json.dumps(value)}" for name, value in spec.public_when)
        lines.append(f"  public when {condition}")
    return "\n".join(lines)


def _kind(field: FieldSpec) -> str:
    """Return the kind of a field, with its bounds, and whether it may be null."""
    kind = {
        "choice": " | ".join(field.choices),
        "list": f"list of {field.item.kind if field.item else ''}",
        "reference": f"reference to {field.target}, {field.on_delete}",
        "text": f"text of {field.min_length} to {field.max_length}",
        "decimal": f"decimal({field.max_digits}, {field.decimal_places})",
    }.get(field.kind, field.kind)
    return f"{kind}, or null" if field.nullable else kind


def _markers(field: FieldSpec) -> str:
    """Return the markers of a field."""
    names = ("unique", "sortable", "filterable", "searchable", "read_only", "immutable")
    found = [name.replace("_", "-") for name in names if getattr(field, name)]
    return ", ".join(["required"] * field.required + found)
