"""The contract of `backends.protocols`, sentence by sentence, against every backend."""

import pytest

# By the name that it has here, which is another one in the wheel: `eitherdb_contract.suite`.
pytest.register_assert_rewrite(f"{__name__}.expectations", f"{__name__}.bank")
