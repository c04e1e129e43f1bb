"""The entry point of the command `eitherdb`, which imports the other modules."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command that the arguments name."""
    # Imports create no garbage. Collection during them takes a fortieth of a start's instructions.
    gc.disable()
    from cli import commands

    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
