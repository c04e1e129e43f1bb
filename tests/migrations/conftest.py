"""The fixtures `sql`, `postgres` and `mongo`."""

from tests.backends.kinds import mongo, postgres, pytest_generate_tests, sql

__all__ = ["mongo", "postgres", "pytest_generate_tests", "sql"]
