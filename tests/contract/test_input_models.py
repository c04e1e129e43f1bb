"""The input models: validation that keeps invalid values from every backend."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from backends.models import (
    Account,
    AccountFilter,
    Item,
    ItemChanges,
    ItemFilter,
    NewAccount,
    NewEntry,
    NewItem,
    NewTransfer,
    NewUser,
    Transfer,
    TransferFilter,
    User,
    UserChanges,
    UserFilter,
)

from .samples import (
    ACCOUNT_FILTER,
    FULL_ACCOUNT,
    FULL_ENTRY,
    FULL_ITEM,
    FULL_TRANSFER,
    FULL_USER,
    ITEM_FILTER,
    OTHER_ACCOUNT,
    OTHER_ENTRY,
    OTHER_ITEM,
    OTHER_TRANSFER,
    OTHER_USER,
    TRANSFER_FILTER,
    USER_FILTER,
)

Form = type[BaseModel]

USER_FORMS: list[Form] = [NewUser, UserChanges]
ITEM_FORMS: list[Form] = [NewItem, ItemChanges]
ENTRY_FORMS: list[Form] = [NewEntry, NewTransfer]
FILTERS: list[Form] = [UserFilter, ItemFilter, AccountFilter, TransferFilter]
SAMPLES: dict[Form, dict[str, Any]] = {
    NewUser: FULL_USER,
    UserChanges: OTHER_USER,
    NewItem: FULL_ITEM,
    ItemChanges: OTHER_ITEM,
    NewAccount: FULL_ACCOUNT,
    NewEntry: FULL_ENTRY,
    NewTransfer: FULL_TRANSFER,
    UserFilter: USER_FILTER,
    ItemFilter: ITEM_FILTER,
    AccountFilter: ACCOUNT_FILTER,
    TransferFilter: TRANSFER_FILTER,
}
# Ids may be any text, because a malformed id is unknown. Currencies are a closed set.
NO_TEXTS = {(NewTransfer, "from_account_id"), (NewTransfer, "to_account_id"), (NewAccount, "currency")}
TEXT_FIELDS = [
    (form, name)
    for form, sample in SAMPLES.items()
    for name in sample
    if isinstance(sample[name], str) and (form, name) not in NO_TEXTS
]
NO_CURRENCIES = ["", "eur", "Eur", "EU", "EURO", " EUR", "EUR\n", "XXX", "XTS", "XAU", "ABC", "978", "\x00"]
NO_AMOUNTS: list[tuple[object, str]] = [
    (0, "greater_than_equal"),
    (-1, "greater_than_equal"),
    (2**53, "less_than_equal"),
    (2**64, "less_than_equal"),
    ("5", "int_type"),
    (5.0, "int_type"),
    (True, "int_type"),
    (None, "int_type"),
]

NO_EMAILS = [
    "",
    " ",
    "a",
    "@",
    "a@",
    "@example.com",
    "a@@example.com",
    "a b@example.com",
    "Ada <a@example.com>",
    "a@-example.com",
    "a@exa_mple.com",
    "a" * 243 + "@example.com",
    "a@" + "x" * 64 + ".com",
]


def _fault(form: Form, **values: object) -> tuple[str, tuple[int | str, ...]]:
    """Return type and location of the single error that the input model reports for these values."""
    with pytest.raises(ValidationError) as caught:
        form.model_validate({**SAMPLES[form], **values})
    (error,) = caught.value.errors()
    return error["type"], error["loc"]


@pytest.mark.rule("Null")
def test_samples_set_every_field() -> None:
    """A new field of the domain must be added to the samples, and so to every round trip."""
    made_here = {"id", "created_at", "version"}
    assert {field.name for field in fields(User)} == {*FULL_USER, *made_here, "session_version"}
    assert set(Item.__resource__.columns) == {*FULL_ITEM, *made_here, "owner_id"}
    money = {"owner_id", "balance_minor"}
    assert {field.name for field in fields(Account)} == {*FULL_ACCOUNT, *made_here, *money}
    made_here = {"id", "created_at", "ordered_by", "source", "target", "idempotency_key"}
    assert {field.name for field in fields(Transfer)} == {*FULL_ENTRY, *made_here}
    for form, sample in SAMPLES.items():
        assert set(form.model_fields) == set(sample)


@pytest.mark.rule("Null")
def test_samples_differ_in_every_field_from_each_other_and_from_the_defaults() -> None:
    """Every sample value differs from the other sample and from the default."""
    for form, sample, other in (
        (NewUser, FULL_USER, OTHER_USER),
        (NewItem, FULL_ITEM, OTHER_ITEM),
        (NewAccount, FULL_ACCOUNT, OTHER_ACCOUNT),
        (NewEntry, FULL_ENTRY, OTHER_ENTRY),
        (NewTransfer, FULL_TRANSFER, OTHER_TRANSFER),
    ):
        for name, value in sample.items():
            assert value != form.model_fields[name].default
            assert value != other[name]
            assert value is not None


@pytest.mark.rule("Text")
@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_nul(form: Form, name: str) -> None:
    """NUL is refused in every text, because not every database can store it."""
    for text in ("\x00", "before\x00after", "\x00@example.com", "a@example.com\x00"):
        assert _fault(form, **{name: text}) == ("string_nul", (name,)), repr(text)


@pytest.mark.rule("Text")
@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_lone_surrogates(form: Form, name: str) -> None:
    """Lone surrogates, which UTF-8 can't encode, are refused in every text."""
    for text in ("\ud800", "a\udc80z", "\udc00\ud800", "\ud83d@example.com"):
        assert _fault(form, **{name: text}) == ("string_unicode", (name,)), repr(text)


@pytest.mark.rule("Text")
@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_256_characters(form: Form, name: str) -> None:
    """A text has at most 255 code points."""
    for character in ("a", "\U0010ffff"):
        assert _fault(form, **{name: character * 256}) == ("string_too_long", (name,)), repr(character)


@pytest.mark.rule("Text")
@pytest.mark.parametrize(
    ("form", "name"),
    [(NewItem, "title"), (ItemChanges, "title"), (NewUser, "hashed_password"), (NewAccount, "name")],
)
def test_form_refuses_empty_text(form: Form, name: str) -> None:
    """Required text can't be empty."""
    assert _fault(form, **{name: ""}) == ("string_too_short", (name,))


@pytest.mark.rule("E-mail")
@pytest.mark.parametrize("form", USER_FORMS)
def test_form_refuses_invalid_email(form: Form) -> None:
    """An invalid email address is refused."""
    for text in NO_EMAILS:
        assert _fault(form, email=text) == ("value_error", ("email",)), repr(text)


@pytest.mark.rule("E-mail")
@pytest.mark.parametrize("form", USER_FORMS)
def test_form_refuses_email_that_grows_too_long(form: Form) -> None:
    """The limit applies to the normalised address: lower-casing can lengthen it."""
    grows = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 121 + "@example.com"
    assert _fault(form, email=grows) == ("value_error", ("email",))


@pytest.mark.rule("Null")
@pytest.mark.parametrize(
    ("form", "name"),
    [
        (NewUser, "email"),
        (NewUser, "hashed_password"),
        (NewItem, "title"),
        (NewAccount, "name"),
        (NewAccount, "currency"),
        (NewTransfer, "from_account_id"),
    ],
)
def test_form_refuses_null_where_a_text_must_be(form: Form, name: str) -> None:
    """Required text can't be null."""
    assert _fault(form, **{name: None}) == ("string_type", (name,))


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", ["is_active", "is_superuser"])
def test_new_user_refuses_null_flags(name: str) -> None:
    """A flag is true or false, never null."""
    assert _fault(NewUser, **{name: None}) == ("bool_type", (name,))


@pytest.mark.rule("Null")
@pytest.mark.parametrize(
    ("form", "name"),
    [
        (UserChanges, "email"),
        (UserChanges, "hashed_password"),
        (UserChanges, "is_active"),
        (UserChanges, "is_superuser"),
        (ItemChanges, "title"),
    ],
)
def test_changes_refuse_null_where_a_field_can_not_be_cleared(form: Form, name: str) -> None:
    """A field that can't be null may only be left out."""
    assert _fault(form, **{name: None}) == ("not_null", (name,))


@pytest.mark.rule("Null")
@pytest.mark.parametrize("form", SAMPLES)
def test_form_can_not_be_changed(form: Form) -> None:
    """Input models are immutable after validation."""
    filled = form.model_validate(SAMPLES[form])
    name = next(iter(SAMPLES[form]))
    with pytest.raises(ValidationError) as caught:
        setattr(filled, name, "\x00")
    assert [error["type"] for error in caught.value.errors()] == ["frozen_instance"]


@pytest.mark.rule("Null")
@pytest.mark.parametrize("form", ITEM_FORMS)
def test_item_form_has_no_owner(form: Form) -> None:
    """The owner is an argument of `add`, and no update changes it."""
    filled = form.model_validate({**SAMPLES[form], "owner_id": "0" * 24, "id": "0" * 24})
    assert filled.model_dump() == SAMPLES[form]


@pytest.mark.rule("Numbers")
def test_new_account_refuses_invalid_currency() -> None:
    """Only ISO 4217 codes with a minor unit are accepted: no metals, no test codes, no other case."""
    for code in NO_CURRENCIES:
        assert _fault(NewAccount, currency=code) == ("currency", ("currency",)), repr(code)
    for code in ("EUR", "JPY", "KWD", "CLF"):
        assert NewAccount(name="a", currency=code).currency == code


@pytest.mark.rule("Numbers")
@pytest.mark.parametrize("form", ENTRY_FORMS)
def test_entry_form_refuses_invalid_amount(form: Form) -> None:
    """An amount is an integer from 1 to the maximum balance; other types are refused."""
    for amount, fault in NO_AMOUNTS:
        assert _fault(form, amount_minor=amount) == (fault, ("amount_minor",)), repr(amount)
    for amount in (1, 2**53 - 1):
        filled = form.model_validate({**SAMPLES[form], "amount_minor": amount})
        assert filled.model_dump() == {**SAMPLES[form], "amount_minor": amount}


@pytest.mark.rule("Numbers")
def test_new_transfer_refuses_one_account_twice() -> None:
    """Source and target must differ, also if they are malformed ids."""
    for id_ in ("0" * 24, "", "x"):
        assert _fault(NewTransfer, from_account_id=id_, to_account_id=id_) == ("same_account", ())


@pytest.mark.rule("Time")
@pytest.mark.parametrize("form", FILTERS)
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_filter_refuses_times_without_a_zone(form: Form, name: str) -> None:
    """A time without a time zone is refused."""
    for time in (datetime(2026, 11, 22), "2026-11-22T16:25:25"):  # noqa: DTZ001 - that is the fault
        assert _fault(form, **{name: time}) == ("timezone_aware", (name,)), time


@pytest.mark.rule("Time")
@pytest.mark.parametrize("form", FILTERS)
def test_filter_refuses_times_out_of_range(form: Form) -> None:
    """The time in UTC must be in the years 1 to 9999, which every database can compare."""
    east, west = timezone(timedelta(minutes=1)), timezone(-timedelta(minutes=1))
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    for name in ("created_after", "created_before"):
        for time in (first.replace(tzinfo=east), last.replace(tzinfo=west)):
            assert _fault(form, **{name: time}) == ("time_range", (name,)), time
        for time in (first, first.replace(tzinfo=west), last, last.replace(tzinfo=east)):
            filled = form.model_validate({**SAMPLES[form], name: time})
            assert filled.model_dump() == {**SAMPLES[form], name: time}
    beyond = last + timedelta(microseconds=1)
    assert _fault(form, created_before=beyond) == ("time_range", ("created_before",))
    assert form(created_after=beyond) == form(created_after=last)


@pytest.mark.rule("Time")
@pytest.mark.parametrize("form", FILTERS)
def test_filter_keeps_whole_milliseconds_in_utc(form: Form) -> None:
    """A bound is rounded to the millisecond that excludes the same rows, and converted to UTC."""
    time = datetime(2026, 11, 22, 16, 25, 25, 123_000, tzinfo=UTC)
    millisecond = timedelta(milliseconds=1)
    for microseconds in (1, 500, 999):
        between = (time + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(hours=-9.5)))
        filled = form.model_validate({"created_after": between, "created_before": between})
        bounds = filled.model_dump(exclude_unset=True)
        assert bounds == {"created_after": time, "created_before": time + millisecond}
        assert [bound.tzinfo for bound in bounds.values()] == [UTC, UTC]


@pytest.mark.rule("Null")
@pytest.mark.parametrize("form", FILTERS)
def test_filter_without_fields_has_none(form: Form) -> None:
    """None is no condition, whether it is left out or explicit."""
    nothing = dict.fromkeys(form.model_fields)
    assert form().model_dump() == nothing
    assert form.model_validate(nothing) == form()


@pytest.mark.rule("Text")
@pytest.mark.parametrize("name", ["title", "q"])
def test_filter_takes_texts_that_no_item_has(name: str) -> None:
    """Empty text is valid: no title equals it, and every item contains it."""
    assert ItemFilter.model_validate({name: ""}).model_dump(exclude_unset=True) == {name: ""}


@pytest.mark.rule("Text", "Numbers")
def test_filter_takes_texts_that_are_no_currency() -> None:
    """An unknown currency is valid and gives an empty list."""
    for text in ("", "eur", "XXX", "EUR "):
        assert AccountFilter(currency=text).model_dump(exclude_unset=True) == {"currency": text}
