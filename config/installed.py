"""Backends that other distributions bring: entry points of the group `eitherdb.backends`.

An entry point's name is what `DB_BACKEND` says; its object is a module with `URL_SCHEMES`, `open_backend`
and `open_migrator`: eitherdb_contract/README.md describes them. It is loaded when it is chosen, not before.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

GROUP = "eitherdb.backends"


def installed_backends() -> list[str]:
    """Return the names of the backends that are installed besides EitherDB's own, sorted."""
    return sorted(entry_points(group=GROUP).names)


def load_installed(name: str) -> Any:
    """Return the module of an installed backend.

    Raises:
        ValueError: No distribution or more than one brings it, or it can't be loaded; the text says which.
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
    except Exception as exc:  # whatever its code raises when it is imported
        raise ValueError(f"the backend {name!r} ({found[0].value}) can't be loaded: {exc!r}") from exc
    if missing:
        raise ValueError(f"the backend {name!r} ({found[0].value}) has no {', '.join(missing)}")
    return module
