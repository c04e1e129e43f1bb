"""The fixtures `sql` and `mongo`."""

from tests.backends.kinds import mongo, pytest_generate_tests, sql

__all__ = ["mongo", "pytest_generate_tests", "sql"]
