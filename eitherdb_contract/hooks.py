"""The hook by which a test run learns of its backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eitherdb_contract.provision import Provision


def pytest_contract_provisions() -> Sequence[Provision]:  # type: ignore[empty-body] # a specification
    """Return a provision, not yet started, of each backend that the tests run on.

    Called more than once: each call returns new objects, of the same names in the same order.
    """
