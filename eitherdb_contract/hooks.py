"""The hook that provides the backends of a test run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from backends.models.resources import Resource
    from eitherdb_contract.provision import Provision


def pytest_contract_provisions() -> Sequence[Provision]:  # type: ignore[empty-body] # a specification
    """Return a provision, not yet started, for each backend of the test run.

    The hook is called more than once. Each call returns new objects with the same names in the same order.
    """


@pytest.hookspec(firstresult=True)
def pytest_contract_resources() -> Sequence[type[Resource]] | None:
    """Return the user's declared resources, on which the tests of declared resources run too.

    Without an implementation, they are those of `RESOURCES` in the environment, and the installed ones.
    """
