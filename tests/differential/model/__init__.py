"""An in-memory model of the API: docs/rest.md and docs/semantics.md in plain Python.

`State.respond` takes a call and returns the expected response. The model uses no code of the product: two
implementations of one text are compared, and neither may copy the other's mistakes.
"""

from tests.differential.model import items, money, users

# Their import registers the handlers.
__all__ = ["items", "money", "users"]
