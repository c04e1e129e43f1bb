"""A part of a text, found code point by code point."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Integer


class place_of(FunctionElement[int]):  # noqa: N801 - reads like the functions of SQL
    """Where in a text a part of it begins, counted from 1; 0 if it is no part, null if there is no text.

    Not LIKE, to which SQLite shows U+FFFE and U+FFFF as U+FFFD: it would take each for the others.
    """

    type = Integer()
    inherit_cache = True


@compiles(place_of, "sqlite")
def _instr(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(place_of, "postgresql")
def _strpos(element: place_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"
