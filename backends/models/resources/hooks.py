"""Hooks: methods of a class that set fields of its rows before these are stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, TypeAdapter, ValidationError

from backends.errors import RuleBroken
from backends.models.resources.errors import DeclarationError, HookFailed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from backends.models.resources.declaration import Resource

R = TypeVar("R", bound="Resource")
Hook: TypeAlias = Literal["before_add", "before_change"]

_SIGNATURES: Mapping[Hook, str] = {
    "before_add": "def before_add(self) -> dict[str, Any]",
    "before_change": "def before_change(self, old: Self) -> dict[str, Any]",
}
_NO_HOOKS = frozenset(
    f"{when}_{what}"
    for when in ("before", "after", "on")
    for what in ("add", "create", "insert", "save", "change", "update", "delete")
) - set(_SIGNATURES)
"""The names that people give to hooks, and that would never be called."""


def hooks_of(cls: type[Resource], base: type[BaseModel]) -> frozenset[Hook]:
    """Return the hooks that a class has of its own, or by a mixin.

    Args:
        cls: The class.
        base: `Resource`, whose hooks set nothing.

    Raises:
        DeclarationError: A hook can't be called as it will be.
    """
    for name in dir(cls):
        if name in _NO_HOOKS:
            raise DeclarationError(
                f"{cls.__name__}.{name}",
                "nobody calls a hook of this name",
                f"the hooks are {' and '.join(_SIGNATURES)}; call any other method otherwise",
            )
    found: set[Hook] = set()
    for hook, signature in _SIGNATURES.items():
        method = inspect.getattr_static(cls, hook)
        if method is not inspect.getattr_static(base, hook):
            _check(f"{cls.__name__}.{hook}", method, signature)
            found.add(hook)
    return frozenset(found)


def _check(place: str, method: object, signature: str) -> None:
    if not isinstance(method, FunctionType):
        raise DeclarationError(place, "the hook is no method", f"write {signature}")
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise DeclarationError(place, "a hook waits for nothing", f"write {signature}, without async")
    if inspect.isgeneratorfunction(method):
        raise DeclarationError(place, "a hook returns and does not yield", f"write {signature}")
    try:
        inspect.signature(method).bind(*["argument"] * (1 + signature.count(", old")))
    except TypeError:
        raise DeclarationError(place, "the hook has other parameters", f"write {signature}") from None


def validated(cls: type[R], values: Mapping[str, Any]) -> R:
    """Return a row with these values of its declared fields.

    Raises:
        RuleBroken: The class refuses the row.
    """
    try:
        return cls(**values)
    except ValidationError as exc:
        raise _rule_broken(cls, exc) from None


def values_after(hook: Hook, row: Resource, *others: Resource) -> dict[str, Any]:
    """Run a hook of a valid row; return the values of the row that results, which is validated as a whole.

    Raises:
        RuleBroken: The hook raises a ValueError, or the class refuses the row.
        HookFailed: The hook raises something else, or does not return values of fields.
    """
    cls = type(row)
    place = f"{cls.__name__}.{hook}"
    try:
        # Pydantic turns a ValueError into the same error as that of a validator.
        found = _CALL.validate_python(lambda: getattr(row, hook)(*others))
    except ValidationError as exc:
        raise _rule_broken(cls, exc) from exc
    except Exception as exc:
        raise HookFailed(place, f"raised {type(exc).__name__}: {exc}") from exc
    names = cls.__resource__.by_name
    if not isinstance(found, Mapping):
        raise HookFailed(place, f"returned {type(found).__name__} and no dict of the fields to set")
    if unknown := [name for name in found if name not in names]:
        raise HookFailed(place, f"returned {unknown[0]!r}, which is no declared field")
    after = validated(cls, {name: getattr(row, name) for name in names} | dict(found))
    return {name: getattr(after, name) for name in names}


def _called(call: Callable[[], Any]) -> Any:
    return call()


_CALL: TypeAdapter[Any] = TypeAdapter(Annotated[Any, AfterValidator(_called)])


def _rule_broken(cls: type[Resource], exc: ValidationError) -> RuleBroken:
    problems = exc.errors(include_url=False, include_context=False, include_input=False)
    return RuleBroken(cls.__resource__.entity, problems)
