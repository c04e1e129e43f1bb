"""The entry point of the command `eitherdb`, which imports the other modules."""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def check_own_modules() -> None:
    """Refuse to run if a module of the user is imported in place of one of EitherDB's.

    `PYTHONPATH=.` and `python -m` put the user's folder first, and a `config.py` in it replaces EitherDB's.
    """
    for name in ("api", "backends", "config", "eitherdb", "migrations"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if found != ROOT / name / "__init__.py":
            shown = found or f"a folder {name}/ without __init__.py, or nothing"
            print(  # noqa: T201 - a terminal program
                f"eitherdb: `import {name}` finds {shown} instead of EitherDB's {name}: leave that folder "
                "out of PYTHONPATH, and run `eitherdb`, not `python -m`, in it",
                file=sys.stderr,
            )
            sys.exit(2)


def main() -> None:
    """Run the command that the arguments name."""
    check_own_modules()
    # Imports create no garbage. Collection during them takes a fortieth of a start's instructions.
    gc.disable()
    from cli import commands

    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
