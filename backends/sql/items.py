"""The item repository in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, LargeBinary, bindparam, cast, delete, func, insert, or_, select, update

from backends.errors import AlreadyExists, NotFound, NotOwner, VersionMismatch
from backends.ids import Clock, IdSource
from backends.models import (
    Item,
    ItemFilter,
    NewItem,
    Page,
    Position,
    fold_case,
    with_folded,
)
from backends.sql.errors import ConstraintViolation
from backends.sql.functions import JsonRows, each_of, is_one_of, place_of, text_in
from backends.sql.lookups import ById
from backends.sql.pages import Lists
from backends.sql.schema import ITEMS
from backends.sql.statements import Statement
from backends.sql.types import ID_LENGTH_BYTES

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.sql.connections import Connections


_COLUMNS = [name for name in ITEMS.c.keys() if not name.endswith("_folded")]  # noqa: SIM118 - no dict
_ITEM = [ITEMS.c[name] for name in _COLUMNS]
_OF_ID = ITEMS.c.id == bindparam("of_id")


def _contains(part: str) -> ColumnElement[bool]:
    # Both columns are folded, so the comparison is case-sensitive.
    searched = (ITEMS.c.title_folded, ITEMS.c.description_folded)
    return or_(*(place_of(column, bindparam(part, type_=column.type)) > 0 for column in searched))


_LISTS = Lists(
    ITEMS,
    Item,
    columns=_COLUMNS,
    conditions={
        "owner_id": ITEMS.c.owner_id == bindparam("owner_id"),
        "title": ITEMS.c.title == bindparam("title"),
        "q": _contains("q"),
        "created_after": ITEMS.c.created_at > bindparam("created_after"),
        "created_before": ITEMS.c.created_at < bindparam("created_before"),
    },
)
_ADD = insert(ITEMS)
_GIVEN = [name for name in ITEMS.c.keys() if name not in {"id", "owner_id", "created_at", "version"}]  # noqa: SIM118 - no dict


def _add_many() -> Statement:
    """Return the insert of many items. Each row has the offset of its id in `ids`, and its own values."""
    row = each_of(bindparam("rows", type_=JsonRows())).table_valued("value").c.value
    # A separate parameter, because JSON has no bytes and SQLite can't decode hex digits.
    ids = bindparam("ids", type_=LargeBinary())
    values: dict[str, ColumnElement[Any]] = {
        "id": func.substr(ids, cast(text_in(row, 0), Integer), ID_LENGTH_BYTES),
        **{
            name: bindparam(name, type_=ITEMS.c[name].type)
            for name in ("owner_id", "created_at", "version")
        },
        **{name: text_in(row, place) for place, name in enumerate(_GIVEN, start=1)},
    }
    return insert(ITEMS).from_select(list(values), select(*values.values()))


_ADD_MANY = _add_many()
_OWNER = select(ITEMS.c.owner_id).where(_OF_ID)


def _matches(*, of_owner: bool, of_versions: bool) -> list[ColumnElement[bool]]:
    matches = [_OF_ID]
    if of_owner:
        matches.append(ITEMS.c.owner_id == bindparam("of_owner_id"))
    if of_versions:
        matches.append(is_one_of(ITEMS.c.version, "of_versions"))
    return matches


@cache
def _update(changed: frozenset[str], *, of_owner: bool, of_versions: bool) -> Statement:
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=ITEMS.c[name].type) for name in changed}
    values["version"] = ITEMS.c.version + 1
    matches = _matches(of_owner=of_owner, of_versions=of_versions)
    return update(ITEMS).where(*matches).values(values).returning(*_ITEM)


@cache
def _delete(*, of_owner: bool, of_versions: bool) -> Statement:
    matches = _matches(of_owner=of_owner, of_versions=of_versions)
    return delete(ITEMS).where(*matches).returning(ITEMS.c.id)


class SqlItemRepository:
    """`backends.protocols.ItemRepository`. Each method is one statement; a foreign key checks the owner."""

    def __init__(self, connections: Connections, *, clock: Clock, id_source: IdSource) -> None:
        """Use these connections, this clock and this source of ids."""
        self._connections = connections
        self._clock = clock
        self._id_source = id_source
        self._by_id = ById(connections, ITEMS, Item, _COLUMNS)

    async def add(self, new: NewItem, *, owner_id: str) -> Item:
        """See the protocol."""
        item = Item.of_fields(
            {
                "id": self._id_source(),
                **new.model_dump(),
                "owner_id": owner_id,
                "created_at": self._clock(),
                "version": 1,
            }
        )
        await self._insert(_ADD, with_folded(item.fields()))
        return item

    async def add_many(self, new: Sequence[NewItem], *, owner_id: str) -> list[Item]:
        """See the protocol."""
        ids = sorted(self._id_source() for _ in new)
        common: dict[str, Any] = {"owner_id": owner_id, "created_at": self._clock(), "version": 1}
        forms = [each.model_dump() for each in new]
        rows = [
            [place, *(folded[name] for name in _GIVEN)]
            for place, folded in zip(count(1, ID_LENGTH_BYTES), map(with_folded, forms), strict=False)
        ]
        await self._insert(_ADD_MANY, {**common, "ids": bytes.fromhex("".join(ids)), "rows": rows})
        return [Item.of_fields({"id": id_, **common, **form}) for id_, form in zip(ids, forms, strict=True)]

    async def _insert(self, statement: Statement, values: dict[str, Any]) -> None:
        try:
            await self._connections.write(statement, values)
        except ConstraintViolation as violation:
            if violation.kind == "foreign_key":
                raise NotFound("user", values["owner_id"]) from violation
            raise AlreadyExists("item", "id") from violation

    async def get(self, id: str, *, owner_id: str | None = None) -> Item:
        """See the protocol."""
        item = await self._by_id.get(id)
        if item is None:
            raise NotFound("item", id)
        if owner_id is not None and item.owner_id != owner_id:
            raise NotOwner("item", id)
        return item

    async def list(
        self,
        *,
        owner_id: str | None = None,
        where: Any = ItemFilter(),  # noqa: B008 - frozen
        sort: str = "-created_at",
        skip: int = 0,
        limit: int = 100,
        after: Position | None = None,
        count: bool = True,
    ) -> Page[Item]:
        """See the protocol."""
        return await _LISTS.page(
            self._connections,
            sort=sort,
            skip=skip,
            limit=limit,
            after=after,
            count=count,
            owner_id=owner_id,
            title=where.title,
            q=fold_case(where.q) if where.q else None,
            created_after=where.created_after,
            created_before=where.created_before,
        )

    async def update(
        self,
        id: str,
        changes: Any,
        *,
        owner_id: str | None = None,
        versions: Collection[int] | None = None,
    ) -> Item:
        """See the protocol."""
        new = with_folded(changes.model_dump(exclude_unset=True))
        if not new:
            item = await self.get(id, owner_id=owner_id)
            if versions is not None and item.version not in versions:
                raise VersionMismatch("item", id)
            return item
        statement = _update(frozenset(new), of_owner=owner_id is not None, of_versions=versions is not None)
        values = {f"new_{name}": value for name, value in new.items()}
        values |= {"of_id": id, "of_owner_id": owner_id, "of_versions": versions}
        rows = await self._connections.write(statement, values)
        if not rows:
            raise await self._refusal(id, owner_id)
        return Item.of_fields(rows[0])

    async def delete(
        self, id: str, *, owner_id: str | None = None, versions: Collection[int] | None = None
    ) -> None:
        """See the protocol."""
        statement = _delete(of_owner=owner_id is not None, of_versions=versions is not None)
        values = {"of_id": id, "of_owner_id": owner_id, "of_versions": versions}
        if not await self._connections.write(statement, values):
            raise await self._refusal(id, owner_id)

    async def _refusal(self, id: str, owner_id: str | None) -> NotFound | NotOwner | VersionMismatch:
        """Return the reason why a conditional write matched no row. This query runs for errors only."""
        rows = await self._connections.look_up(_OWNER, {"of_id": id})
        if not rows:
            return NotFound("item", id)
        if owner_id is not None and rows[0]["owner_id"] != owner_id:
            return NotOwner("item", id)
        return VersionMismatch("item", id)
