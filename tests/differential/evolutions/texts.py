"""Made-up declarations as structured text, of which a part can be replaced."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backends.models.resources import Kind
from tests.contract.made_up import load


@dataclass(frozen=True)
class FieldText:
    """A field as text: `name: Annotated[type | None, *extras] = default`."""

    type: str
    extras: tuple[str, ...] = ()
    nullable: bool = False
    default: str | None = None
    kind: Kind = "text"

    def render(self, name: str) -> str:
        """Return the line."""
        annotation = f"{self.type} | None" if self.nullable else self.type
        if extras := ", ".join(filter(None, self.extras)):
            annotation = f"Annotated[{annotation}, {extras}]"
        return f"    {name}: {annotation}{'' if self.default is None else f' = {self.default}'}"


@dataclass(frozen=True)
class ClassText:
    """A class as text."""

    path: str
    fields: Mapping[str, FieldText]
    owned: bool = True
    unique: tuple[tuple[str, ...], ...] = ()

    def render(self, name: str) -> str:
        """Return the class."""
        arguments = f'path="{self.path}", owned={self.owned}, unique={list(self.unique)!r}'
        lines = [each.render(field_name) for field_name, each in self.fields.items()]
        return f"class {name}(Resource, {arguments}):\n" + "\n".join(lines) + "\n"


Text = Mapping[str, ClassText]


def render(text: Text) -> str:
    """Return the declaration."""
    return "\n\n".join(each.render(name) for name, each in text.items())


def read(source: str) -> Text:
    """Return the classes of a made-up declaration, without what no database stores."""
    found = {}
    for cls in ast.parse(source).body:
        assert isinstance(cls, ast.ClassDef)
        given = {str(each.arg): ast.literal_eval(each.value) for each in cls.keywords}
        fields = {}
        for each in cls.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                fields[each.target.id] = _read_field(each)
        unique = tuple(tuple(group) for group in given.get("unique", ()))
        found[cls.name] = ClassText(given["path"], fields, given.get("owned", True), unique)
    kinds = {each.__resource__.class_name: each.__resource__.by_name for each in load(source)}
    return {
        name: replace(
            cls,
            fields={each: replace(text, kind=kinds[name][each].kind) for each, text in cls.fields.items()},
        )
        for name, cls in found.items()
    }


def _read_field(node: ast.AnnAssign) -> FieldText:
    annotation, extras = node.annotation, list[ast.expr]()
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
        assert isinstance(annotation.slice, ast.Tuple)
        annotation, *extras = annotation.slice.elts
    nullable = isinstance(annotation, ast.BinOp)
    if isinstance(annotation, ast.BinOp):
        annotation = annotation.left
    default = None if node.value is None else ast.unparse(node.value)
    return FieldText(ast.unparse(annotation), tuple(map(ast.unparse, extras)), nullable, default)
