"""The API without a database: what docs/rest.md and docs/semantics.md say, in plain Python.

`State.answer` takes a call and says what its answer must be. Nothing here is the product's: two
implementations of one text are compared, and neither may follow the other's mistakes.
"""

from tests.differential.model import items, money, users

# They register what they answer.
__all__ = ["items", "money", "users"]
