"""Imports FastAPI without what the service needs later or never. It takes a third of a start.

- FastAPI builds the validators of the OpenAPI document when it is imported. With `defer_build`, they are
  built for the first document.
- It imports email-validator for the contact in the document, which this API does not have.
- It imports `pydantic.v1` to tell old models from new ones. There are no old ones where nothing else has
  imported that module.

Where a module of the user has imported FastAPI before, nothing is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from pydantic import BaseModel


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Make imports of these modules fail in the block, unless they are imported already."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None: see the docs of `import`
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def import_fastapi() -> None:
    """Import the slow part of FastAPI."""
    if "fastapi" in sys.modules:
        return
    config = BaseModel.model_config
    BaseModel.model_config = {**config, "defer_build": True}
    try:
        with hidden("email_validator"):
            import_module("fastapi.openapi.models")
    finally:
        BaseModel.model_config = config
