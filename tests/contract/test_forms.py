"""The forms: what no backend ever gets to see, because some database would refuse or change it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from backends.models import Item, ItemChanges, NewItem, NewUser, User, UserChanges
from tests.contract.samples import FULL_ITEM, FULL_USER, OTHER_ITEM, OTHER_USER

Form = type[BaseModel]

USER_FORMS: list[Form] = [NewUser, UserChanges]
ITEM_FORMS: list[Form] = [NewItem, ItemChanges]
SAMPLES: dict[Form, dict[str, Any]] = {
    NewUser: FULL_USER,
    UserChanges: OTHER_USER,
    NewItem: FULL_ITEM,
    ItemChanges: OTHER_ITEM,
}
TEXT_FIELDS = [
    (form, name) for form, sample in SAMPLES.items() for name in sample if isinstance(sample[name], str)
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
    "a@example.com ",
    "a@example.com\n",
    "Ada <a@example.com>",
    "a@-example.com",
    "a@exa_mple.com",
    "a" * 243 + "@example.com",
    "a@" + "x" * 64 + ".com",
]


def _fault(form: Form, **values: object) -> tuple[str, tuple[int | str, ...]]:
    """Return type and place of the one fault that the form finds in these values."""
    with pytest.raises(ValidationError) as caught:
        form.model_validate({**SAMPLES[form], **values})
    (error,) = caught.value.errors()
    return error["type"], error["loc"]


def test_samples_set_every_field() -> None:
    """A field that is added to the domain must be added to the samples, and so to every round trip."""
    made_here = {"id", "created_at", "version"}
    assert {field.name for field in fields(User)} == {*FULL_USER, *made_here, "session_version"}
    assert {field.name for field in fields(Item)} == {*FULL_ITEM, *made_here, "owner_id"}
    for form, sample in SAMPLES.items():
        assert set(form.model_fields) == set(sample)


def test_samples_differ_in_every_field_from_each_other_and_from_the_defaults() -> None:
    """A sample's value can't be there by chance."""
    for form, sample, other in (
        (NewUser, FULL_USER, OTHER_USER),
        (NewItem, FULL_ITEM, OTHER_ITEM),
    ):
        for name, value in sample.items():
            assert value != form.model_fields[name].default
            assert value != other[name]
            assert value is not None


@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_nul(form: Form, name: str) -> None:
    """NUL, which not every database can store, is refused in every text."""
    for text in ("\x00", "before\x00after", "\x00@example.com", "a@example.com\x00"):
        assert _fault(form, **{name: text}) == ("string_nul", (name,)), repr(text)


@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_lone_surrogates(form: Form, name: str) -> None:
    """Half a character, which UTF-8 can't express, is refused in every text."""
    for text in ("\ud800", "a\udc80z", "\udc00\ud800", "\ud83d@example.com"):
        assert _fault(form, **{name: text}) == ("string_unicode", (name,)), repr(text)


@pytest.mark.parametrize(("form", "name"), TEXT_FIELDS)
def test_form_refuses_256_characters(form: Form, name: str) -> None:
    """255 code points is the most that any text may have."""
    for character in ("a", "\U0010ffff"):
        assert _fault(form, **{name: character * 256}) == ("string_too_long", (name,)), repr(character)


@pytest.mark.parametrize(
    ("form", "name"), [(NewItem, "title"), (ItemChanges, "title"), (NewUser, "hashed_password")]
)
def test_form_refuses_empty_text(form: Form, name: str) -> None:
    """What must be said can't be said with nothing."""
    assert _fault(form, **{name: ""}) == ("string_too_short", (name,))


@pytest.mark.parametrize("form", USER_FORMS)
def test_form_refuses_what_is_no_email(form: Form) -> None:
    """An address that no mail could reach is refused."""
    for text in NO_EMAILS:
        assert _fault(form, email=text) == ("value_error", ("email",)), repr(text)


@pytest.mark.parametrize("form", USER_FORMS)
def test_form_refuses_email_that_grows_too_long(form: Form) -> None:
    """What counts is the length of the normalised address: lower-casing can lengthen it."""
    grows = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 121 + "@example.com"
    assert _fault(form, email=grows) == ("value_error", ("email",))


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (NewUser, "email"),
        (NewUser, "hashed_password"),
        (NewItem, "title"),
    ],
)
def test_form_refuses_null_where_a_text_must_be(form: Form, name: str) -> None:
    """A required text is no null."""
    assert _fault(form, **{name: None}) == ("string_type", (name,))


@pytest.mark.parametrize("name", ["is_active", "is_superuser"])
def test_new_user_refuses_null_flags(name: str) -> None:
    """A flag is true or false."""
    assert _fault(NewUser, **{name: None}) == ("bool_type", (name,))


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
    """Null would clear the field, and this one may only be left out."""
    assert _fault(form, **{name: None}) == ("not_null", (name,))


@pytest.mark.parametrize("form", SAMPLES)
def test_form_can_not_be_changed(form: Form) -> None:
    """What was checked once stays what was checked."""
    filled = form.model_validate(SAMPLES[form])
    name = next(iter(SAMPLES[form]))
    with pytest.raises(ValidationError) as caught:
        setattr(filled, name, "\x00")
    assert [error["type"] for error in caught.value.errors()] == ["frozen_instance"]


@pytest.mark.parametrize("form", ITEM_FORMS)
def test_item_form_has_no_owner(form: Form) -> None:
    """An item's owner is an argument of `add`, and nothing changes it."""
    filled = form.model_validate({**SAMPLES[form], "owner_id": "0" * 24, "id": "0" * 24})
    assert filled.model_dump() == SAMPLES[form]
