"""Validation of bodies and queries: plain predicates, in the order in which the API reports errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tests.differential.edge_cases import EMAILS
from tests.differential.model.calls import ABSENT
from tests.differential.model.responses import Location

MAX_MINOR = 2**53 - 1
CURRENCIES = {"EUR", "USD", "JPY"}

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body."""

    is_valid: Check
    required: bool = False
    nullable: bool = False

    def accepts(self, value: object) -> bool:
        """Return whether the value is valid for the field; ABSENT for a missing one."""
        if value is ABSENT:
            return not self.required
        if value is None:
            return self.nullable
        return self.is_valid(value)

    def faults_in(self, value: object, where: Location) -> list[Location]:
        """Return the location of the field if its value is invalid, else nothing."""
        return [] if self.accepts(value) else [where]


@dataclass(frozen=True, slots=True)
class Rows:
    """A required field with a list of bodies."""

    form: Form
    least: int
    most: int

    def faults_in(self, value: object, where: Location) -> list[Location]:
        """Return the location of the list if it is invalid, else the locations in its bodies."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            return [where]
        return [
            fault
            for place, body in enumerate(value)
            for fault in faults_of(body, self.form, (*where, place))
        ]


Form: TypeAlias = "Mapping[str, Field | Rows]"


def _text(least: int, most: int, *, nul: bool = False) -> Check:
    """Return a check for text of this length in code points. Lone surrogates are invalid, NUL usually."""

    def is_valid(value: object) -> bool:
        return (
            isinstance(value, str)
            and least <= len(value) <= most
            and (nul or "\0" not in value)
            and not re.search("[\ud800-\udfff]", value)
        )

    return is_valid


def _email(value: object) -> bool:
    return isinstance(value, str) and EMAILS.get(value) is not None


def _bool(value: object) -> bool:
    return isinstance(value, bool)


def _amount(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_MINOR


def _currency(value: object) -> bool:
    return isinstance(value, str) and value in CURRENCIES


def normalised(password: str) -> str:
    """Return the one form of all spellings of a password: RFC 8265, section 4.2.2."""
    blank = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in password)
    return unicodedata.normalize("NFC", blank)


def _password(value: object) -> bool:
    return _UNBOUNDED(value) and 8 <= len(normalised(str(value))) <= 128


def _current_password(value: object) -> bool:
    """It may be from before, when a password's length was that of what was typed."""
    return _password(value) or (_UNBOUNDED(value) and 8 <= len(str(value)) <= 128)


_UNBOUNDED, _NAME, _TITLE = _text(0, 2**20), _text(0, 255), _text(1, 255)
_ANY = _ID = _text(0, 2**20, nul=True)

SIGN_UP: Form = {
    "email": Field(_email, required=True),
    "password": Field(_password, required=True),
    "full_name": Field(_NAME, nullable=True),
}
NEW_USER: Form = {**SIGN_UP, "is_active": Field(_bool), "is_superuser": Field(_bool)}
PRIVATE_USER: Form = {**SIGN_UP, "full_name": Field(_NAME, required=True), "is_verified": Field(_bool)}
USER_ME: Form = {"full_name": Field(_NAME, nullable=True), "email": Field(_email)}
USER: Form = {
    **USER_ME,
    "password": Field(_password),
    "is_active": Field(_bool),
    "is_superuser": Field(_bool),
}
PASSWORDS: Form = {
    "current_password": Field(_current_password, required=True),
    "new_password": Field(_password, required=True),
}
RESET: Form = {
    "token": Field(_text(0, 4096, nul=True), required=True),
    "new_password": Field(_password, required=True),
}
NEW_ITEM: Form = {"title": Field(_TITLE, required=True), "description": Field(_NAME, nullable=True)}
NEW_ITEMS: Form = {"data": Rows(NEW_ITEM, 1, 1000)}
ITEM: Form = {"title": Field(_TITLE), "description": Field(_NAME, nullable=True)}
NEW_ACCOUNT: Form = {"name": Field(_TITLE, required=True), "currency": Field(_currency, required=True)}
ENTRY: Form = {"amount_minor": Field(_amount, required=True), "note": Field(_NAME, nullable=True)}
TRANSFER: Form = {
    **ENTRY,
    "from_account_id": Field(_ID, required=True),
    "to_account_id": Field(_ID, required=True),
}


def faults_of(body: object, form: Form, where: Sequence[str | int] = ("body",)) -> list[Location]:
    """Return the locations of a body's errors."""
    if not isinstance(body, dict):
        return [[*where]]
    faults = [
        fault
        for name, field in form.items()
        for fault in field.faults_in(body.get(name, ABSENT), [*where, name])
    ]
    if not faults and form is TRANSFER and body["from_account_id"] == body["to_account_id"]:
        return [["body"]]
    return faults


def values_of(body: dict[str, Any], form: Form) -> dict[str, Any]:
    """Return the values of a valid body, without unknown fields."""
    values = {name: body[name] for name in form if name in body}
    if "email" in values:
        values["email"] = EMAILS[values["email"]]
    for name in ("password", "current_password", "new_password"):
        if name in values:
            values[name] = normalised(values[name])
    return values


def is_key(key: str) -> bool:
    """Return whether it is a valid idempotency key: 1 to 255 visible ASCII characters."""
    return 1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key)


def time_of(text: str) -> datetime | None:
    """Return the time that a query's text represents; None for invalid text."""
    if not re.match(r"[0-9]{4}-", text):
        return None
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(most: int) -> Check:
    return lambda text: re.fullmatch("-?[0-9]+", text) is not None and 0 <= int(text) <= most


def _one_of(*words: str) -> Check:
    return lambda text: text in words


def _time(text: str) -> bool:
    return time_of(text) is not None


_SEARCH = _text(0, 255)
_WINDOW: dict[str, Check] = {
    "skip": _number(2**31 - 1),
    "limit": _number(1000),
    "cursor": _ANY,
    "count": _one_of("exact", "none"),
    "created_after": _time,
    "created_before": _time,
}


def _sort(*fields: str) -> Check:
    return _one_of(*fields, *(f"-{field}" for field in fields))


QUERIES: dict[str, dict[str, Check]] = {
    "users": {**_WINDOW, "sort": _sort("created_at", "email"), "is_active": _one_of("true", "false")},
    "items": {
        **_WINDOW,
        "sort": _sort("created_at", "title"),
        "title": _SEARCH,
        "q": _SEARCH,
        "owner_id": _ANY,
    },
    "accounts": {
        **_WINDOW,
        "sort": _sort("created_at", "name"),
        "currency": _SEARCH,
        "owner_id": _ANY,
    },
    "transfers": {**_WINDOW, "sort": _sort("created_at"), "owner_id": _ANY},
}


def faults_of_query(query: Mapping[str, str], name: str) -> list[Location]:
    """Return the locations of the errors in a list's query. The name selects the list."""
    checks = QUERIES[name]
    if query.keys() - checks.keys():
        return [["query"]]
    return [["query", key] for key, is_valid in checks.items() if key in query and not is_valid(query[key])]
