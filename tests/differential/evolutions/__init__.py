"""Made-up evolutions of declarations: what their author edits, the databases, and a model of both."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.run")
