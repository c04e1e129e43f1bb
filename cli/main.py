"""The command `eitherdb`: its entry point, which imports all others."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command that the arguments name."""
    # Of what is imported nothing is garbage: to look for some takes a fortieth of a start's instructions.
    gc.disable()
    from cli import commands

    gc.freeze()
    gc.enable()
    commands.main()


if __name__ == "__main__":
    main()
