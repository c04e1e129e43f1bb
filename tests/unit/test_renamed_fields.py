"""Fields that were renamed: their column keeps the oldest name."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from eitherdb import DeclarationError, RenamedFrom, Resource
from tests.unit.test_declarations import declare

RENAMED_FROM: Any = RenamedFrom
"""For arguments that a type checker refuses too."""


def renamed(*names: Any) -> Any:
    """Return the annotation of a text with these earlier names."""
    return Annotated[str, Field(max_length=5), RENAMED_FROM(*names)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "x: RenamedFrom() gives no name; write the names of the field, the oldest first, such as "),
        (("x",), "x: RenamedFrom('x') is no earlier name; write the names of the field, the oldest first"),
        (("a", "a"), "RenamedFrom('a') is no earlier name"),
        (("A",), "RenamedFrom('A') is no earlier name"),
        ((5,), "RenamedFrom(5) is no earlier name"),
        (("a_folded",), "RenamedFrom('a_folded') is no earlier name"),
        (("a" * 41,), "is no earlier name"),
        (("xmin",), "RenamedFrom('xmin'): every resource has this column itself"),
        (("owner_id",), "RenamedFrom('owner_id'): every resource has this column itself"),
    ],
)
def test_an_earlier_name_that_can_be_no_column_is_refused(names: tuple[Any, ...], message: str) -> None:
    """The line names the field, and the marker as it is."""
    with pytest.raises(DeclarationError) as caught:
        declare(renamed(*names))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_renamed_field_has_its_oldest_column_alone() -> None:
    """Two fields may exchange their names, and never share a column."""
    assert declare(renamed("titel", "title")).fields[0].column == "titel"

    class Exchanged(Resource, path="exchangeds"):
        a: Annotated[int, RenamedFrom("b")]
        b: Annotated[int, RenamedFrom("a")]

    assert [(each.name, each.column) for each in Exchanged.__resource__.fields] == [("a", "b"), ("b", "a")]
    message = "Shared.b: a has the column b too; give it another name, or another RenamedFrom"
    with pytest.raises(DeclarationError, match=message):

        class Shared(Resource, path="shareds"):
            a: Annotated[int, RenamedFrom("b")]
            b: int
