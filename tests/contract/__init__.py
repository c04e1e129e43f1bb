"""The contract of `backends.protocols`, sentence by sentence, against every backend."""

import pytest

pytest.register_assert_rewrite("tests.contract.expectations", "tests.contract.bank")
