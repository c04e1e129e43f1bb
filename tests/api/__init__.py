"""EitherDB's tests."""

import pytest

pytest.register_assert_rewrite("tests.api.responses", "tests.api.service")
