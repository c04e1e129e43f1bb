"""Hooks: those that can't be called are refused at the declaration, and a bug names its hook."""

from __future__ import annotations

from textwrap import indent
from typing import Any

import pytest

from backends.errors import RuleBroken
from backends.models.resources.errors import HookFailed
from backends.models.resources.forms import values_of
from backends.resource_rows import merge
from eitherdb import DeclarationError, Resource


def declare(body: str, *, bases: str = "Resource", before: str = "") -> type[Resource]:
    """Return a resource of one integer, and of these lines."""
    source = f'{before}\nclass Thing({bases}, path="things"):\n    x: int\n{indent(body, "    ")}'
    namespace: dict[str, Any] = {"Resource": Resource, "__name__": __name__}
    exec(source, namespace)  # noqa: S102 - the text of a user's module
    cls: type[Resource] = namespace["Thing"]
    return cls


def hooks(result: object) -> type[Resource]:
    """Return a resource whose hooks return this."""
    return declare(
        f"def before_add(self):\n    return {result!r}\n"
        f"def before_change(self, old):\n    return {result!r}\n"
    )


ADD, CHANGE = (
    "write def before_add(self) -> dict[str, Any]",
    "write def before_change(self, old: Self) -> dict",
)
ADD_PLACE, CHANGE_PLACE = "Thing.before_add: ", "Thing.before_change: "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("async def before_add(self): ...", f"{ADD_PLACE}a hook waits for nothing; {ADD}, without async"),
        ("async def before_add(self): yield {}", f"{ADD_PLACE}a hook waits for nothing"),
        ("def before_add(self): yield {}", f"{ADD_PLACE}a hook returns and does not yield; {ADD}"),
        ("def before_add(): ...", f"{ADD_PLACE}the hook has other parameters; {ADD}"),
        ("def before_add(self, old): ...", f"{ADD_PLACE}the hook has other parameters; {ADD}"),
        ("def before_change(self): ...", f"{CHANGE_PLACE}the hook has other parameters; {CHANGE}"),
        ("def before_change(self, *, old): ...", f"{CHANGE_PLACE}the hook has other parameters; {CHANGE}"),
        ("@staticmethod\ndef before_add(row): ...", f"{ADD_PLACE}the hook is no method; {ADD}"),
        ("@classmethod\ndef before_add(cls): ...", f"{ADD_PLACE}the hook is no method; {ADD}"),
        ("@property\ndef before_change(self): ...", f"{CHANGE_PLACE}the hook is no method; {CHANGE}"),
        (
            "def before_update(self, old): ...",
            "Thing.before_update: nobody calls a hook of this name; the hooks are before_add and before_",
        ),
        ("def after_add(self): ...", "Thing.after_add: nobody calls a hook of this name; "),
    ],
)
def test_hook_is_refused_in_one_line(body: str, message: str) -> None:
    """The line names the class and the hook, and says how to write it."""
    with pytest.raises(DeclarationError) as caught:
        declare(body)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (None, "returned NoneType and no dict of the fields to set"),
        (["x"], "returned list and no dict of the fields to set"),
        ({"y": 1}, "returned 'y', which is no declared field"),
        ({"id": "1" * 24}, "returned 'id', which is no declared field"),
        ({1: 1}, "returned 1, which is no declared field"),
    ],
)
def test_hook_that_returns_no_values_of_fields_fails_by_its_name(result: Any, problem: str) -> None:
    """For new rows and for changes."""
    cls = hooks(result)
    with pytest.raises(HookFailed, match=f"^the hook Thing.before_add {problem}$"):
        values_of(cls, cls.model_validate({"x": 1}))
    with pytest.raises(HookFailed, match=f"^the hook Thing.before_change {problem}$"):
        merge(cls.of_fields({"x": 1}), {"x": 2})


def test_values_of_a_hook_are_validated() -> None:
    """What the class refuses, a hook can't store."""
    cls = hooks({"x": "many"})
    new = cls.model_validate({"x": 1})
    with pytest.raises(RuleBroken, match="valid integer") as caught:
        values_of(cls, new)
    assert caught.value.new is new
    assert caught.value.problems[0]["loc"] == ("x",)
    with pytest.raises(RuleBroken, match="valid integer"):
        merge(cls.of_fields({"x": 1}), {"x": 2})


def test_hook_of_a_mixin_is_called() -> None:
    """A hook may be inherited, and may call the next one."""
    mixin = "class Doubled:\n    def before_add(self):\n        return {'x': 2 * self.x}\n"
    cls = declare("", bases="Doubled, Resource", before=mixin)
    assert values_of(cls, cls.model_validate({"x": 4})) == {"x": 8}
    calling = "def before_add(self):\n    return {**super().before_add(), 'x': 5}"
    cls = declare(calling, bases="Doubled, Resource", before=mixin)
    assert values_of(cls, cls.model_validate({"x": 4})) == {"x": 5}


def test_resource_without_a_hook_for_changes_has_no_rules() -> None:
    """Its changes stay one statement."""
    assert declare("def before_add(self): return {}").__resource__.has_rules is False
    assert hooks({}).__resource__.has_rules is True
