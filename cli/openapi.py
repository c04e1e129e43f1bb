"""`eitherdb openapi`: print the document that clients are generated from."""

from __future__ import annotations

import json

import typer


def openapi() -> None:
    """Print the OpenAPI document. It needs no database and depends on no setting but RESOURCES.

    It contains every route, including those that exist with ENVIRONMENT=local only.
    """
    from api.app import create_app
    from backends.models.resources.loading import load_resources
    from config import DatabaseChoice, Settings

    # From the defaults, not `Settings.load()`: a developer's `.env` must not change the committed document.
    resources = load_resources(DatabaseChoice.load(db_backend="sqlite").resources)
    document = create_app(Settings.model_construct(), resources=resources).openapi()
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
