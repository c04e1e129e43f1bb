"""Compares collections with their declarations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.errors import PermissionDenied
from backends.mongo.errors import translate_errors

if TYPE_CHECKING:
    from backends.mongo.collections import CollectionSpec, IndexSpec
    from backends.mongo.driver import Database


async def read_drift(
    database: Database, specs: Sequence[CollectionSpec], options: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the differences of existing collections, one sentence each.

    The indexes are read at once, and not compared if the user may not list them.

    Args:
        database: The database.
        specs: The declared collections.
        options: The options of the existing ones.
    """
    try:
        with translate_errors():
            indexes = await asyncio.gather(*(database[spec.name].index_information() for spec in specs))
    except PermissionDenied:
        return [each for spec in specs for each in _of_validator(spec, options[spec.name])]
    return [
        each
        for spec, found in zip(specs, indexes, strict=True)
        for each in differences(spec, options[spec.name], found)
    ]


def differences(
    spec: CollectionSpec, options: Mapping[str, Any], indexes: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Compare a collection with its declaration; return one sentence per difference.

    Args:
        spec: The declaration.
        options: The options of the collection, as `listCollections` returns them.
        indexes: The driver's `index_information`.
    """
    found = _of_validator(spec, options)
    actual = {name: _definition(info) for name, info in indexes.items() if name != "_id_"}
    declared = {index.name: index for index in spec.indexes}
    for name in sorted(actual.keys() | declared.keys()):
        if name not in actual:
            found.append(f"the index {name} of {spec.name} is missing")
        elif name not in declared:
            found.append(f"the index {name} of {spec.name} is not declared")
        elif not is_same_index(declared[name], actual[name]):
            found.append(f"the index {name} of {spec.name} differs: {actual[name]}")
    return found


def _of_validator(spec: CollectionSpec, options: Mapping[str, Any]) -> list[str]:
    found = []
    if options.get("validator") != spec.validator:
        found.append(f"the validator of {spec.name} differs from the declared one")
    if (options.get("validationLevel", "strict"), options.get("validationAction", "error")) != (
        "strict",
        "error",
    ):
        found.append(f"the validator of {spec.name} does not refuse every bad document")
    return found


def is_same_index(index: IndexSpec, info: Mapping[str, Any]) -> bool:
    """Return whether an index of the driver's `index_information` has the declared definition."""
    options = {name: value for name, value in index.options.items() if name != "name"}
    return _definition(info) == {"key": list(index.keys), **options}


def _definition(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name not in {"v", "ns"}}
