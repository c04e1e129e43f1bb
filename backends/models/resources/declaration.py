"""`Resource`: the base class of declarations, and of the rows that repositories return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import SchemaError

from backends.models.input_models import InputModel
from backends.models.records import Row
from backends.models.resources.arguments import (
    access_of,
    checked_path,
    public_condition,
    snake_case,
    unique_groups,
)
from backends.models.resources.class_checks import SERVED, check_class, check_indexes, check_nested
from backends.models.resources.errors import DeclarationError
from backends.models.resources.fields import checked_default, read_field
from backends.models.resources.hooks import Hook, hooks_of
from backends.models.resources.spec import FieldSpec, ResourceSpec, Scalar
from backends.models.resources.values import FROM_JSON, to_json

FORM = "__form__"
"""The attribute of a class that is a form: it validates as its resource does, and is none itself."""

_COLLECTED: ContextVar[list[type[Resource]] | None] = ContextVar("_COLLECTED", default=None)


@contextmanager
def declared_meanwhile() -> Iterator[list[type[Resource]]]:
    """Collect the classes that are declared in the body, in their order, also those that nothing names."""
    found: list[type[Resource]] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


class Resource(InputModel):
    """The base class of a resource: `class Book(Resource, path="books")`.

    An instance is frozen. One that a repository returns also has `id`, `created_at`, `version` and, if the
    resource is owned, `owner_id`. One that is constructed is a new row without them.

    The arguments of the class are:

    - `path`: the path of its routes, in the plural: `line-items`.
    - `owned`: whether each row belongs to a user, and is deleted with the user. Default: True.
    - `access`: who may do what, as far as it differs from the default: the keys are `read`, `create`,
      `change` and `delete`, the values `anyone`, `signed_in`, `owner` and `superuser`.
    - `public_when`: the values of fields of rows that everybody may read who may call the route.
    - `unique`: the groups of fields that are unique together: `[("owner_id", "isbn")]`.
    """

    # The schema is built once, after `__pydantic_init_subclass__` has read the declaration.
    model_config = ConfigDict(defer_build=True, extra="ignore")

    __resource__: ClassVar[ResourceSpec]
    __hooks__: ClassVar[frozenset[Hook]] = frozenset()

    if TYPE_CHECKING:

        @property
        def id(self) -> str:
            """24 lower-case hex digits of an ObjectId."""

        @property
        def owner_id(self) -> str:
            """The `id` of a user that exists, if the resource is owned."""

        @property
        def created_at(self) -> datetime:
            """Aware, UTC, whole milliseconds."""

        @property
        def version(self) -> int:
            """1 for a new row; each change adds 1."""

    def __init_subclass__(cls, **_: Any) -> None:
        """Leave the arguments of the class to `__pydantic_init_subclass__`."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        path: str | None = None,
        owned: bool = True,
        access: Mapping[str, str] | None = None,
        public_when: Mapping[str, Scalar] | None = None,
        unique: Iterable[Iterable[str]] = (),
        **others: Any,
    ) -> None:
        """Read the declaration."""
        name = cls.__name__
        if hasattr(cls, "__resource__"):
            if FORM in vars(cls):
                return
            raise DeclarationError(
                name,
                f"it inherits from the resource {cls.__resource__.class_name}",
                "let both inherit from a BaseModel with the fields that they share",
            )
        if others:
            raise DeclarationError(
                name,
                f"{next(iter(others))} is no argument of a resource",
                "see Resource for those that are",
            )
        for argument, value, kinds, example in (
            ("owned", owned, bool, "owned=False"),
            ("access", access or {}, Mapping, 'access={"read": "anyone"}'),
            ("public_when", public_when or {}, Mapping, 'public_when={"state": "published"}'),
            ("unique", unique, (list, tuple), 'unique=[("owner_id", "isbn")]'),
        ):
            if not isinstance(value, kinds):
                raise DeclarationError(name, f"{argument}={value!r} can't be", f"write {example}")
        hooks = hooks_of(cls, Resource)
        check_class(cls, Resource, hooks)
        fields = _read_fields(cls)
        spec = ResourceSpec(
            name=checked_path(name, path).replace("-", "_"),
            path=path or "",
            entity=snake_case(name),
            class_name=name,
            title=inspect.cleandoc(cls.__dict__.get("__doc__") or f"{name}.").partition("\n")[0],
            fields=fields,
            unique=unique_groups(name, fields, unique, owned=owned),
            owned=owned,
            access=access_of(name, access or {}, owned=owned),
            public_when=public_condition(cls, fields, public_when or {}),
            has_rules=bool(
                cls.__pydantic_decorators__.model_validators
                or cls.__pydantic_decorators__.field_validators
                or "before_change" in hooks
            ),
        )
        check_indexes(spec)
        cls.__resource__, cls.__hooks__ = spec, hooks
        cls.model_config["defer_build"] = False
        try:
            cls.model_rebuild(force=True)
        except (SchemaError, TypeError) as exc:
            raise DeclarationError(*_unbuildable(cls, exc)) from exc
        if (collected := _COLLECTED.get()) is not None:
            collected.append(cls)

    def before_add(self) -> Mapping[str, Any]:
        """Return the fields to set in this new row, by name: a hook for classes to override.

        `self` is valid, and has no `id` yet. The row that results is validated as a whole. A hook is a pure
        function: it may run more than once for a row. It may set fields that clients can't. A ValueError is
        a 422, like that of a validator. Any other exception is a bug: nothing is stored, and the response
        is 500.
        """
        return {}

    def before_change(self, old: Self, /) -> Mapping[str, Any]:  # noqa: ARG002 - for classes to override
        """Return the fields to set in a changed row, as `before_add` does.

        It also runs again if somebody else changes the row at the same time. It does not run for a
        reference that becomes null because the other row is deleted.

        Args:
            old: The row as it is stored. `self` is the valid row that the change would make.
        """
        return {}

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the row with these values, which a database has and nobody validates again."""
        row, values = cls.__new__(cls), dict(fields)
        for name, convert in conversions(cls):
            values[name] = convert(values[name])
        object.__setattr__(row, "__dict__", values)
        object.__setattr__(row, "__pydantic_fields_set__", set(values))
        object.__setattr__(row, "__pydantic_extra__", None)
        object.__setattr__(row, "__pydantic_private__", None)
        return row

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Return the instance of a row of a list."""
        fields = dict(row)
        for name, convert in _from_json(cls):
            if fields[name] is not None:
                fields[name] = convert(fields[name])
        return cls.of_fields(fields)

    def to_row(self) -> Row:
        """Return the row of a list: the fields in JSON types."""
        return {name: to_json(value) for name, value in self.fields().items()}

    def fields(self) -> dict[str, Any]:
        """Return all fields by name, in the order of the table's columns."""
        return {name: getattr(self, name) for name in self.__resource__.columns}

    def __eq__(self, other: object) -> bool:
        """Compare the class and all values, those of the server included."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """Hash the values, in an order that does not depend on how the instance was made."""
        return hash((type(self), *(f"{name}={value}" for name, value in sorted(self.__dict__.items()))))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the server's fields too."""
        values = self.__dict__
        return [(name, values[name]) for name in self.__resource__.columns if name in values]


def _unbuildable(cls: type[Resource], exc: Exception) -> tuple[str, str, str]:
    """Return the place, problem and remedy of a class whose schema pydantic can't build."""
    place = cls.__name__
    for name, info in cls.__pydantic_fields__.items():
        annotation: Any = info.annotation
        try:
            TypeAdapter(annotation)
        except (SchemaError, TypeError) as error:
            place, exc = f"{place}.{name}", error
            break
    reason = " ".join(str(exc).split()).rpartition("SchemaError: ")[2].rstrip(".")
    return place, f"pydantic can't validate it: {reason}", "correct its constraints, such as the pattern"


def _read_fields(cls: type[Resource]) -> tuple[FieldSpec, ...]:
    """Read the declared fields, and complete their validation by what their kinds need."""
    specs: list[FieldSpec] = []
    for name, info in cls.__pydantic_fields__.items():
        declared = read_field(cls.__name__, name, info, taken=(*SERVED, *dir(Resource)))
        info.annotation, info.metadata = declared.annotation, []
        spec = declared.spec
        if spec.kind == "json":
            check_nested(f"{cls.__name__}.{name}", declared.annotation)
        if not info.is_required():
            default = checked_default(f"{cls.__name__}.{name}", info)
            if info.default_factory is None:
                info.default = default
                spec = replace(spec, default=to_json(default))
            else:
                # Each call may return another value.
                info.validate_default = True
        same = next((each for each in specs if each.column == spec.column), None)
        if same is not None:
            raise DeclarationError(
                f"{cls.__name__}.{name}",
                f"{same.name} has the column {spec.column} too",
                "give it another name, or another RenamedFrom(…)",
            )
        specs.append(spec)
    return tuple(specs)


@cache
def _from_json(cls: type[Resource]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the conversions from a row of a list to Python."""
    kinds = {"created_at": "time", **{field.name: field.kind for field in cls.__resource__.fields}}
    return tuple((name, FROM_JSON[kind]) for name, kind in kinds.items() if kind in FROM_JSON)


@cache
def conversions(cls: type[Resource]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the conversions to the classes of the user, by field: nested models and enumerations."""
    found = []
    for field in cls.__resource__.fields:
        annotation: Any = cls.__pydantic_fields__[field.name].annotation
        is_plain = field.kind == "json" and "dict" in str(annotation)
        if (field.kind == "json" and not is_plain) or (
            field.kind == "choice" and "Literal" not in str(annotation)
        ):
            # A stored value was valid. A strict model would refuse the text of a time in it.
            found.append((field.name, partial(TypeAdapter(annotation).validate_python, strict=False)))
    return tuple(found)
