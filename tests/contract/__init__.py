"""The contract tests of `backends.protocols`, which run on every backend."""

import pytest

# The module is registered by its own name, because the wheel calls the package `eitherdb_contract.suite`.
pytest.register_assert_rewrite(f"{__name__}.expectations", f"{__name__}.bank")
