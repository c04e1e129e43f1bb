"""The errors of a declaration."""

from __future__ import annotations

from typing import Any


class DeclarationError(Exception):
    """A declaration that can't be served. The message is one line for the person who wrote it.

    Attributes:
        place: The class, or the class and the field: `Book`, `Book.title`.
        problem: What is wrong.
        remedy: What would be right.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"{place}: {problem}; {remedy}")
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Let worker processes return it."""
        return DeclarationError, (self.place, self.problem, self.remedy)


class HookFailed(Exception):
    """A hook has a bug: it raises something else than a ValueError, or returns no values of fields.

    Nothing is stored. The API responds 500, and the log names the hook.
    """

    def __init__(self, hook: str, problem: str) -> None:
        super().__init__(f"the hook {hook} {problem}")
