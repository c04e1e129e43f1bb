"""The contract of items."""

from __future__ import annotations

from typing import TypeAlias

from backends.models import Item
from backends.protocols.resources import ResourceRepository

ItemRepository: TypeAlias = ResourceRepository[Item]
"""Items, each owned by one user, with whom they are deleted."""
