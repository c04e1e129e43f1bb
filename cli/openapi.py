"""`eitherdb openapi`: print the document that clients are generated from."""

from __future__ import annotations

import json

import typer


def openapi() -> None:
    """Print the OpenAPI document. It needs no database and depends on no setting.

    It contains every route, including those that exist with ENVIRONMENT=local only.
    """
    from api.app import create_app
    from config import Settings

    # From the defaults, not `Settings.load()`: a developer's `.env` must not change the committed document.
    document = create_app(Settings.model_construct()).openapi()
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
