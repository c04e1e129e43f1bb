"""`eitherdb openapi`: print the document that clients are generated from."""

from __future__ import annotations

import json

import typer


def openapi() -> None:
    """Print the OpenAPI document. It needs no database and depends on no setting but RESOURCES.

    It contains every route, including those that exist with ENVIRONMENT=local only.
    """
    from api.app import create_app
    from api.user_routers import routers_of
    from backends.models.resources.loading import classes_of, load_declarations
    from config import DatabaseChoice, Settings

    # From the defaults, not `Settings.load()`: a developer's `.env` must not change the committed document.
    declarations = load_declarations(DatabaseChoice.load(db_backend="sqlite").resources)
    app = create_app(
        Settings.model_construct(), resources=classes_of(declarations), routers=routers_of(declarations)
    )
    document = app.openapi()
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
