"""Changes of a declaration that rows refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from eitherdb.migrations import AddOwner, AddUnique, ChangeBounds, MakeRequired, RemoveChoice, RenameField
from migrations.resources.operations import Operation
from tests.migrations.change_cases import Row, Text, declare


@dataclass(frozen=True)
class Broken:
    """A change that rows refuse.

    Attributes:
        before: The fields of books.
        operations: What the revision does.
        rows: The rows; all but the last break the rule.
        message: What the message says about them.
        owned: Whether books have owners before.
    """

    before: dict[str, Any]
    operations: Sequence[Operation]
    rows: Sequence[Row]
    message: str
    owned: bool = False


def bounds(annotation: Any, bad: Sequence[Any], good: Any, **changed: Any) -> Broken:
    """Return the case of bounds that values exceed."""
    return Broken(
        before={"field": annotation},
        operations=[ChangeBounds("books", "field", **changed)],
        rows=[{"field": value} for value in (*bad, good)],
        message="books.field has values outside its new bounds in",
    )


NUMBERS = Annotated[list[Annotated[int, Field(ge=0, le=99)]], Field(max_length=9)]
TEXTS = Annotated[list[Annotated[str, Field(max_length=99)]], Field(max_length=9)]
WIDE = Annotated[Decimal | None, Field(max_digits=9, decimal_places=2)]


def item_of(annotation: Any) -> Any:
    """Return the specification of the elements of a list."""
    return declare({"field": annotation}).__resource__.by_name["field"].item


BROKEN = {
    "short text": bounds(Text | None, ["", "\U00010400"], None, min_length=2),
    "long text": bounds(Text, ["abc", "\U00010400" * 3], "\U00010400" * 2, max_length=2),
    "small integer": bounds(int, [-1, 0], 1, minimum=1),
    "great integer": bounds(int | None, [10, 2**53 - 1], 9, maximum=9),
    "decimal": bounds(
        WIDE, [Decimal("1.01"), Decimal("-1.51")], Decimal("-1.50"), minimum="-1.50", maximum="1.00"
    ),
    "digits": bounds(WIDE, [Decimal(1000), Decimal(-1000)], Decimal("-999.99"), max_digits=5),
    "float": bounds(float, [-0.1, 1.5], 1.0, minimum=0.0, maximum=1.0),
    "time": bounds(
        datetime | None,
        [datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)],
        datetime(2026, 1, 1, tzinfo=UTC),
        minimum="2026-01-01T00:00:00.000Z",
    ),
    "date": bounds(
        date | None, [date(2026, 1, 2), date(9999, 12, 31)], date(2026, 1, 1), maximum="2026-01-01"
    ),
    "elements": bounds(NUMBERS, [[], [1, 2, 3]], [1, 2], min_length=1, max_length=2),
    "integers": bounds(
        NUMBERS,
        [[5, 4], [5, 10]],
        [5, 9],
        item=item_of(Annotated[list[Annotated[int, Field(ge=5, le=9)]], Field(max_length=9)]),
    ),
    "texts": bounds(
        TEXTS,
        [["ab", "a"], ["abcd"]],
        ["abc", "\U00010400" * 3],
        item=item_of(
            Annotated[list[Annotated[str, Field(min_length=2, max_length=3)]], Field(max_length=9)]
        ),
    ),
    "choices": bounds(
        Annotated[list[Literal["a", "b", "it's"]], Field(max_length=9)],
        [["a", "it's"], ["it's"]],
        ["a", "b"],
        item=item_of(Annotated[list[Literal["a", "b"]], Field(max_length=9)]),
    ),
    "null": Broken(
        {"field": Text | None},
        [MakeRequired("books", "field")],
        [{"field": None}, {"field": None}, {"field": ""}],
        "books.field is null in",
    ),
    "renamed": Broken(
        {"field": Text | None},
        [RenameField("books", "field", "label"), MakeRequired("books", "label")],
        [{"field": None}] * 4 + [{"field": "a"}],
        "books.label is null in",
    ),
    "removed choice": Broken(
        {"field": Literal["a", "b's"]},
        [RemoveChoice("books", "field", "b's")],
        [{"field": "b's"}, {"field": "b's"}, {"field": "a"}],
        """books.field has the choice "b's", which is removed, in""",
    ),
    "unique": Broken(
        {"field": Text | None},
        [AddUnique("books", ("field",))],
        [{"field": "a"}, {"field": "a"}, {"field": "A"}],
        "books.field has the same value in",
    ),
    "unique group": Broken(
        {"field": Text | None, "number": int},
        [AddUnique("books", ("field", "number"))],
        [{"field": "a", "number": 1}] * 2 + [{"field": "a", "number": 2}],
        "books has the same values of field and number in",
    ),
    "unique for an owner": Broken(
        {"field": Text},
        [AddUnique("books", ("owner_id", "field"))],
        [{"field": "a"}, {"field": "a"}, {"field": "b"}],
        "books has the same values of owner_id and field in",
        owned=True,
    ),
    "no owner": Broken({}, [AddOwner("books")], [{}] * 5, "books has rows, which would have no owner:"),
}
