"""`eitherdb openapi`: the document that clients are generated from."""

from __future__ import annotations

import json

import typer


def openapi() -> None:
    """Print the OpenAPI document. Needs no database and reads no setting: it is the same everywhere.

    It has every route, those too that a server has with ENVIRONMENT=local only.
    """
    from api.app import create_app
    from config import Settings

    # Of the defaults alone, not `Settings.load()`: a developer's `.env` must not change what is committed.
    document = create_app(Settings.model_construct()).openapi()
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
