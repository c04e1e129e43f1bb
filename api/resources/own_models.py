"""The names of the models in the requests and responses of EitherDB's routes and of resources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from pydantic import BaseModel

from api import schemas
from api.resources.forms import forms_of
from api.resources.names import names_of
from backends.models.resources import Resource
from backends.models.resources.class_checks import models_in

Models: TypeAlias = dict[str, Callable[[], type[BaseModel]]]
"""Models by name. A model is made when it is asked for, because that takes time at a start."""


def own_models(served: Sequence[type[Resource]]) -> Models:
    """Return the models that are in the OpenAPI document without any routes of the user."""
    found: Models = {
        name: partial(itself, model)
        for name, model in vars(schemas).items()
        if isinstance(model, type) and issubclass(model, BaseModel)
    }
    for cls in served:
        found |= {
            model.__name__: partial(itself, model)
            for model in models_in(cls)
            if "__resource__" not in vars(model)
        }
        names = names_of(cls.__resource__)
        for form, name in (
            ("create", f"{names.form}Create"),
            ("create_many", f"{names.forms}Create"),
            ("update", f"{names.form}Update"),
            ("public", f"{names.form}Public"),
            ("page", f"{names.forms}Public"),
            ("created", f"{names.forms}Created"),
        ):
            found[name] = partial(_form, cls, form)
    return found


def itself(model: type[BaseModel]) -> type[BaseModel]:
    """Return the model, which is made already."""
    return model


def _form(cls: type[Resource], name: str) -> type[BaseModel]:
    form: type[BaseModel] = getattr(forms_of(cls), name)
    return form
