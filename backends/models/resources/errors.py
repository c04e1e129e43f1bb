"""The error of a declaration."""

from __future__ import annotations


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
