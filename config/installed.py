"""Backends of other distributions: entry points of the group `eitherdb.backends`.

The name of an entry point is a value of `DB_BACKEND`. Its object is a module with `URL_SCHEMES`,
`open_backend` and `open_migrator`, which eitherdb_contract/README.md describes. The module is imported only
if the backend is selected.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from inspect import signature
from typing import Any

from config.errors import SettingsError

GROUP = "eitherdb.backends"


def installed_backends() -> list[str]:
    """Return the sorted names of the installed backends, without EitherDB's own."""
    return sorted(entry_points(group=GROUP).names)


def load_installed(name: str) -> Any:
    """Import the module of an installed backend.

    Raises:
        ValueError: Not exactly one distribution provides the backend, or the import fails.
    """
    found = list(entry_points(group=GROUP, name=name))
    if len(found) != 1:
        origins = ", ".join(sorted(point.dist.name for point in found if point.dist)) or "none"
        raise ValueError(f"needs one distribution that brings the backend {name!r}; installed: {origins}")
    try:
        module = found[0].load()
        missing = [
            part for part in ("URL_SCHEMES", "open_backend", "open_migrator") if not hasattr(module, part)
        ]
    except Exception as exc:  # an import may raise anything
        raise ValueError(f"the backend {name!r} ({found[0].value}) can't be loaded: {exc!r}") from exc
    if missing:
        raise ValueError(f"the backend {name!r} ({found[0].value}) has no {', '.join(missing)}")
    return module


def require_resources(name: str, module: Any, classes: Iterable[str]) -> None:
    """Check that an installed backend serves declared resources.

    It then takes their classes in `open_backend` and their revisions in `open_migrator`.

    Raises:
        SettingsError: It does not.
    """
    try:
        signature(module.open_backend).bind_partial(resources=())
        signature(module.open_migrator).bind_partial(histories=())
    except TypeError:
        raise SettingsError(
            f"RESOURCES: the backend {name} serves no declared resources ({', '.join(classes)}); "
            "leave them out, or choose another DB_BACKEND"
        ) from None
