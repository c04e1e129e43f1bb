"""The domain: what EitherDB stores, in terms that know no database and no HTTP.

What is stored is a frozen dataclass (`User`, `Item`): cheap to build from a row, compared by value.
What comes in is a pydantic form (`NewItem`, `ItemChanges`, …) that can't be built with text which some
database would refuse or change, so that every backend may trust it. In a form of changes a field that
was not set is kept as it is, and None clears it; `form.model_dump(exclude_unset=True)` is the change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeVar, cast
from unicodedata import normalize

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from backends.ids import read_time, write_time

T = TypeVar("T")
R = TypeVar("R", bound="Record")

Row: TypeAlias = dict[str, Any]
"""A record's fields in the types of JSON, by name: times as `ids.write_time` writes them.

It is what a list shows of a record, and cheaper than the record: a database makes it, and a serialiser
takes it as it is. An entry's sides are flat in it: `from_account_id`, …
"""

EMAIL_MAX_LENGTH = 255


def _storable(text: str) -> str:
    """Refuse NUL, which PostgreSQL can't store."""
    if "\x00" in text:
        raise PydanticCustomError("string_nul", "String should not contain the NUL character")
    return text


def _not_null(value: T) -> T:
    """Refuse an explicit null in a field that may only be left out."""
    if value is None:
        raise PydanticCustomError("not_null", "Field may be left out but not be null")
    return value


def normalise_email(text: str) -> str:
    """Return the one spelling under which an address is stored and found.

    The syntax is checked (RFC 5321 and 6531, no DNS look-up), all of it is lower-cased and put into
    Unicode NFC, so that two spellings of one address can't become two users.

    Raises:
        ValueError: The text is no e-mail address, or no longer one once it is normalised.
    """
    if len(text) > EMAIL_MAX_LENGTH:
        # Before the library looks at each character: whoever signs in may send a megabyte.
        raise ValueError("value is not a valid email address: it is too long")
    checked = _checked_email(text)
    # A small letter may have a composed form where its capital has none.
    address = normalize("NFC", checked.lower())
    if address != checked:
        # The small letters may be longer: what is stored must itself be an address, or nobody finds it.
        _checked_email(address)
    return address


def _checked_email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        raise ValueError(f"value is not a valid email address: {exc}") from None


def fold_case(text: str) -> str:
    """Return the text as a search compares it: the one definition of case for every backend.

    Unicode's full case folding, in NFC (https://www.unicode.org/versions/latest/core-spec/chapter-3/,
    section 3.13): `STRASSE` finds `Straße`, and `e` does not find `é`. Databases fold by their locale,
    their version or ASCII only, so they store and compare what this function returns.
    """
    return normalize("NFC", normalize("NFC", text).casefold())


def with_folded(values: dict[str, Any]) -> dict[str, Any]:
    """Return an item's values together with the columns that `ItemFilter.q` is looked for in."""
    searched = {name: values[name] for name in ("title", "description") if name in values}
    folded = {f"{name}_folded": text and fold_case(text) for name, text in searched.items()}
    return values | folded


def _email(text: str) -> str:
    try:
        return normalise_email(text)
    except ValueError as exc:
        raise PydanticCustomError("value_error", "{reason}", {"reason": str(exc)}) from None


# The length comes before the function: so pydantic counts code points, words the error for text, and
# refuses lone surrogates, which it only sees when it has to look at the characters.
Email = Annotated[
    str,
    Field(max_length=EMAIL_MAX_LENGTH),
    AfterValidator(_storable),
    AfterValidator(_email),
    # What is longer is no address: RFC 5321, section 4.5.3.1.3, counts two angle brackets to the 256.
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Name = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
Description = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
HashedPassword = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
SearchText = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Password = Annotated[str, Field(min_length=8, max_length=128), AfterValidator(_storable)]


class _NotNull(AfterValidator):
    """Refuses null, and leaves it out of the JSON schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the one alternative that is not null."""
        (alternative,) = (each for each in handler(schema)["anyOf"] if each != {"type": "null"})
        return cast("JsonSchemaValue", alternative)


NotNull = _NotNull(_not_null)

# Any text, because a malformed id is an unknown one; the length lets pydantic refuse lone surrogates.
IdText = Annotated[str, Field(max_length=2**20), WithJsonSchema({"type": "string"})]

MAX_MINOR = 2**63 - 1
"""The most minor units that an account holds or an entry moves: what a 64-bit integer can say."""


def _currency(code: str) -> str:
    """Refuse what is no code of ISO 4217, and codes without a minor unit (metals, XXX, XTS)."""
    from iso4217 import Currency as Iso4217  # noqa: PLC0415 - it reads all of ISO's table

    try:
        has_minor_unit = Iso4217(code).exponent is not None
    except ValueError:
        has_minor_unit = False
    if not has_minor_unit:
        message = "Currency should be a code of ISO 4217 with a minor unit, such as EUR"
        raise PydanticCustomError("currency", message)
    return code


# Strict: neither "5" nor 5.0 nor true is an amount of money.
AmountMinor = Annotated[
    int,
    Field(strict=True, ge=1, le=MAX_MINOR),
    WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_MINOR}),
]
Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"}),
]


class Record:
    """What has an id, and a time at which it was made."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    id: str
    created_at: datetime

    def fields(self) -> dict[str, Any]:
        """Return all fields by name, as one row of a table or one document."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that has these fields."""
        return cls(**fields)

    def to_row(self) -> Row:
        """Return it as a list has it."""
        return {**self.fields(), "created_at": write_time(self.created_at)}

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Return the record that a list has as this row."""
        return cls.of_fields({**row, "created_at": read_time(row["created_at"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Record):
    """A person who can sign in.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        email: As `normalise_email` returns it; no two users share one.
        hashed_password: An Argon2id hash in PHC string form; never leaves the service.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 when the user is new, one more with every change.
        session_version: 0 when the user is new, one more whenever all sessions are ended.
    """

    id: str
    email: str
    hashed_password: str = field(repr=False)
    full_name: str | None
    is_active: bool
    is_superuser: bool
    created_at: datetime
    version: int
    session_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Record):
    """A thing with a title, owned by one user and gone with that user.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 when the item is new, one more with every change.
    """

    id: str
    title: str
    description: str | None
    owner_id: str
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Record):
    """Money of one user in one currency.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        owner_id: The `id` of a user that exists.
        currency: A code of ISO 4217.
        balance_minor: In the currency's minor units (cents), 0 to `MAX_MINOR`.
        created_at: Aware, UTC, whole milliseconds.
        version: 1 when the account is new, one more with every entry: `version - 1` entries made it.
    """

    id: str
    owner_id: str
    name: str
    currency: str
    balance_minor: int
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What an entry did to one of its accounts.

    Attributes:
        account_id: The account, which may have been deleted since.
        owner_id: Its owner, who may have been deleted since.
        balance_minor: The account's balance after the entry.
        version: The account's version after the entry: its entries have the versions 2, 3, … without a gap.
    """

    account_id: str
    owner_id: str
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Record):
    """An entry of the ledger, which is never changed: from one account to another, or in, or out.

    Attributes:
        id: 24 lower-case hex digits of an ObjectId.
        ordered_by: The `id` of the user who ordered it.
        source: Where the money came from; None for a deposit.
        target: Where it went; None for a withdrawal.
        amount_minor: 1 to `MAX_MINOR`, in the accounts' currency.
        created_at: When it was ordered: aware, UTC, whole milliseconds.
        idempotency_key: The caller's, if one was given.
    """

    id: str
    ordered_by: str
    source: Side | None
    target: Side | None
    amount_minor: int
    note: str | None
    created_at: datetime
    idempotency_key: str | None

    @property
    def version(self) -> int:
        """Always 1: an entry never changes."""
        return 1

    def fields(self) -> dict[str, Any]:
        """See `Record`; a side's are `from_account_id` and so on, None for a side that it lacks."""
        fields = {name: getattr(self, name) for name in ENTRY_FIELDS}
        for prefix, name in _SIDES:
            side = getattr(self, name)
            fields |= {f"{prefix}_{field}": side and getattr(side, field) for field in SIDE_FIELDS}
        return fields

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """See `Record`."""
        sides: dict[str, Any] = {
            name: Side(**{field: fields[f"{prefix}_{field}"] for field in SIDE_FIELDS})
            if fields[f"{prefix}_account_id"] is not None
            else None
            for prefix, name in _SIDES
        }
        return cls(**{name: fields[name] for name in ENTRY_FIELDS}, **sides)

    @property
    def parties(self) -> set[str]:
        """The users whom it concerns: the owners of its accounts, and who ordered it."""
        return {self.ordered_by, *(side.owner_id for side in (self.source, self.target) if side)}

    @property
    def from_account_id(self) -> str | None:
        """The account that the money came from; None for a deposit."""
        return None if self.source is None else self.source.account_id

    @property
    def to_account_id(self) -> str | None:
        """The account that it went to; None for a withdrawal."""
        return None if self.target is None else self.target.account_id


_SIDES = (("from", "source"), ("to", "target"))
"""How the fields of an entry's sides begin where it is stored, and what they are called here."""

ENTRY_FIELDS = ("id", "ordered_by", "idempotency_key", "amount_minor", "note", "created_at")
SIDE_FIELDS = ("account_id", "owner_id", "balance_minor", "version")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Lets a call be repeated without being done twice: a key of the caller's, and what it was for.

    Attributes:
        key: 1 to 255 visible ASCII characters, one for each thing that the caller wants done.
        fingerprint: 64 hex digits that differ for different requests: a SHA-256 digest.
    """

    key: str
    fingerprint: str


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True)


class NewUser(_Form):
    """What `UserRepository.add` needs; the repository makes `id` and `created_at`."""

    email: Email
    hashed_password: HashedPassword = Field(repr=False)
    full_name: Name | None = None
    is_active: bool = True
    is_superuser: bool = False


class UserChanges(_Form):
    """What `UserRepository.update` may change; unset fields stay."""

    email: Annotated[Email | None, NotNull] = None
    hashed_password: Annotated[HashedPassword | None, NotNull] = Field(default=None, repr=False)
    full_name: Name | None = None
    is_active: Annotated[bool | None, NotNull] = None
    is_superuser: Annotated[bool | None, NotNull] = None


class NewItem(_Form):
    """What `ItemRepository.add` needs besides the owner."""

    title: Title
    description: Description | None = None


class ItemChanges(_Form):
    """What `ItemRepository.update` may change; unset fields stay."""

    title: Annotated[Title | None, NotNull] = None
    description: Description | None = None


class NewAccount(_Form):
    """What `AccountRepository.add` needs besides the owner."""

    name: Title
    currency: Currency


class NewEntry(_Form):
    """What `AccountRepository.deposit` and `withdraw` need besides the account."""

    amount_minor: AmountMinor
    note: Description | None = None


class NewTransfer(NewEntry):
    """What `AccountRepository.transfer` needs."""

    from_account_id: IdText
    to_account_id: IdText

    @model_validator(mode="after")
    def _refuse_same_account(self) -> Self:
        if self.from_account_id == self.to_account_id:
            raise PydanticCustomError("same_account", "The two accounts should not be the same one")
        return self


UserSort = Literal["created_at", "-created_at", "email", "-email"]
ItemSort = Literal["created_at", "-created_at", "title", "-title"]
AccountSort = Literal["created_at", "-created_at", "name", "-name"]
TransferSort = Literal["created_at", "-created_at"]

_MILLISECOND = timedelta(milliseconds=1)


def _after(time: datetime) -> datetime:
    """Return the last whole millisecond that is not after this time: what is after both is the same."""
    utc = _in_utc(time)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _before(time: datetime) -> datetime:
    """Return the first whole millisecond that is not before this time: what is before both is the same."""
    whole = _after(time)
    return whole if whole == time else _shifted(whole, _MILLISECOND)


def _in_utc(time: datetime) -> datetime:
    return _shifted(time.replace(tzinfo=UTC), -(time.utcoffset() or timedelta()))


def _shifted(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        raise PydanticCustomError("time_range", "Time should be in the years 1 to 9999 of UTC") from None


TimeAfter = Annotated[AwareDatetime, AfterValidator(_after)]
TimeBefore = Annotated[AwareDatetime, AfterValidator(_before)]


class UserFilter(_Form):
    """Which users a list holds: those that fit every field that is not None."""

    is_active: bool | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


class ItemFilter(_Form):
    """Which items a list holds: those that fit every field that is not None.

    Attributes:
        title: The whole title, exactly.
        q: A part of the title or of the description, in any case (`fold_case`).
        created_after: Created later than this.
        created_before: Created earlier than this.
    """

    title: SearchText | None = None
    q: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


class AccountFilter(_Form):
    """Which accounts a list holds: those that fit every field that is not None."""

    currency: SearchText | None = None
    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


class TransferFilter(_Form):
    """Which entries a list holds: those that fit every field that is not None."""

    created_after: TimeAfter | None = None
    created_before: TimeBefore | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: just behind the row with this sort key (its time or text) and this id."""

    key: datetime | str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[R]):
    """A part of a list.

    Attributes:
        rows: At most `limit`, in the order of the list.
        record: What they are rows of; None where there are none.
        count: How many rows the whole list has; None where the caller asked for no count.
        next: Where the following page begins; None if nothing follows.
    """

    rows: list[Row]
    record: type[R] | None = field(compare=False)
    count: int | None
    next: Position | None

    @classmethod
    def of(cls, data: Sequence[R], *, count: int | None, next: Position | None) -> Self:  # noqa: A002 - as the field
        """Return the page that has these records."""
        rows = [each.to_row() for each in data]
        return cls(rows=rows, record=type(data[0]) if data else None, count=count, next=next)

    @property
    def data(self) -> list[R]:
        """The rows as records, which are made anew each time."""
        return [self.record.from_row(row) for row in self.rows] if self.record else []


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEntry:
    """An entry as one account sees it.

    Attributes:
        transfer: The entry.
        other_account_id: The account on the other side; None for a deposit and a withdrawal.
        amount_minor: What it added to the account; negative for what it took.
        balance_minor: The account's balance after it.
        version: The account's version after it: 2, 3, … without a gap.
    """

    transfer: Transfer
    other_account_id: str | None
    amount_minor: int
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An account's history, all of it from one moment.

    Attributes:
        account: The account at that moment.
        entries: Its `account.version - 1` entries, oldest first, in lists of at most a thousand that are
            fetched as they are asked for; the last one's balance is the account's.
    """

    account: Account
    entries: AsyncIterator[list[StatementEntry]]
