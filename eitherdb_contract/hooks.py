"""The hook that provides the backends of a test run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eitherdb_contract.provision import Provision


def pytest_contract_provisions() -> Sequence[Provision]:  # type: ignore[empty-body] # a specification
    """Return a provision, not yet started, for each backend of the test run.

    The hook is called more than once. Each call returns new objects with the same names in the same order.
    """
