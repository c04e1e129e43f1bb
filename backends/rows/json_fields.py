"""The fields of rows that a store keeps as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backends.models.resources.values import FROM_JSON
from backends.models.text import fold_case
from backends.rows.stored import Fields

if TYPE_CHECKING:
    from backends.models.resources import ResourceSpec


def json_fields(spec: ResourceSpec, values: Mapping[str, Any]) -> Fields:
    """Return the fields of a row that is stored as `Resource.to_row` returns it.

    Values that can't be read are left as they are. The folded forms are derived: such a store has none.
    """
    fields = dict(values)
    for name, kind in {"created_at": "time", **{each.name: each.kind for each in spec.fields}}.items():
        if kind in FROM_JSON and isinstance(fields.get(name), str):
            with suppress(ValueError, ArithmeticError):
                fields[name] = FROM_JSON[kind](fields[name])
    for name in spec.searched:
        text = fields.get(name)
        unknown = None if spec.by_name[name].nullable else ""
        fields[f"{name}_folded"] = fold_case(text) if isinstance(text, str) else unknown
    return fields
