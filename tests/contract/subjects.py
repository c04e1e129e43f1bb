"""The resources on which the tests of any resource run: items, declared, made-up ones, and a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from backends.models import Item
from backends.models.resources import Resource

from .declared import DECLARED, Book, Sample
from .made_up import TREES, declarations, load
from .resource_values import sampled


@cache
def made_up() -> tuple[type[Resource], ...]:
    """Return the longest of some declarations that Hypothesis makes up, which are the same each time."""
    return load(max(sampled(declarations(TREES[:3]), 20), key=len))


def together() -> tuple[type[Resource], ...]:
    """Return the resources of the suite, which have a database together."""
    return (*DECLARED, *made_up())


@dataclass(frozen=True)
class Subject:
    """A resource, and those that are declared with it."""

    cls: type[Resource]
    together: tuple[type[Resource], ...]

    @property
    def name(self) -> str:
        """The name in test ids."""
        return self.cls.__resource__.name


def subjects_of(own: Sequence[type[Resource]]) -> list[Subject]:
    """Return the subjects of a run.

    Args:
        own: The user's resources. They have a database of their own: their names may be the suite's.
    """
    # The others of `DECLARED` are in `test_resource_graph.py`. The differential suite makes up more.
    classes: list[type[Resource]] = [Item, Sample, Book, *made_up()[:1]]
    return [*(Subject(cls, together()) for cls in classes), *(Subject(cls, tuple(own)) for cls in own)]
