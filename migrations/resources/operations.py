"""The operations of revisions: data that says how the declared resources change.

The state is the specification of each resource by name. Each operation maps a state to the next one, so a
backend applies an operation knowing the state before and after it. An operation that the state refuses is
an error of the revision's author, whatever the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from backends.models.resources import ResourceSpec

State: TypeAlias = Mapping[str, ResourceSpec]
"""The specifications by name, in the order in which they were added."""


@dataclass(frozen=True, slots=True)
class AddResource:
    """Creates the table or collection of a resource, with its constraints and indexes."""

    spec: ResourceSpec

    def after(self, state: State) -> State:
        """Return the state after the operation.

        Raises:
            ValueError: The resource exists.
        """
        if self.spec.name in state:
            raise ValueError(f"there is a resource {self.spec.name} already")
        return {**state, self.spec.name: self.spec}


Operation: TypeAlias = AddResource
"""Every kind of operation."""
