"""EitherDB's tests."""

import pytest

pytest.register_assert_rewrite("tests.api.answers", "tests.api.service")
