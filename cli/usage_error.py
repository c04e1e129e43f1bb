"""The refusal of an argument: one line on standard error and exit code 2."""

from __future__ import annotations

import typer


def refusal(reason: str) -> typer.Exit:
    """Print the reason; return the exit to raise."""
    typer.echo(f"eitherdb: {reason}", err=True)
    return typer.Exit(2)
