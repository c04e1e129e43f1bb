"""The model's state, authentication, and the dispatch of calls."""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from codecs import BOM_UTF16
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import jwt

from backends.models import Item as StoredItem
from tests.differential.model.calls import Call
from tests.differential.model.responses import (
    INACTIVE_USER,
    INVALID_TOKEN,
    NOT_AUTHENTICATED,
    NOT_PRIVILEGED,
    USER_NOT_FOUND,
    VERSION_MISMATCH,
    Expected,
    Refusal,
    invalid,
    not_modified,
    refused,
    shown_time,
    success,
)
from tests.differential.model.validation import Form, faults_of, values_of

LOGIN_LIMIT, RECOVERY_LIMIT = 3, 2
LIMIT_SECONDS = 60
MAX_BODY_BYTES = 2**15
MAX_HEADER_BYTES, MAX_QUERY_BYTES = 2**14, 2**13


@dataclass(kw_only=True)
class Row:
    """The fields of every row."""

    id: str
    created_at: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        """The ETag of the row's version."""
        return f'"{self.id}-{self.version}"'

    @property
    def shown(self) -> dict[str, Any]:
        """The row as responses show it."""
        raise NotImplementedError


@dataclass(kw_only=True)
class User(Row):
    """A user. `session` counts how often all sessions were ended."""

    email: str
    password: str
    full_name: str | None = None
    is_active: bool = True
    is_superuser: bool = False
    session: int = 0

    @property
    def shown(self) -> dict[str, Any]:
        """See `Row`."""
        return {
            "id": self.id,
            "email": self.email,
            "is_active": self.is_active,
            "is_superuser": self.is_superuser,
            "full_name": self.full_name,
            "created_at": shown_time(self.created_at),
        }


@dataclass(kw_only=True)
class Item(Row):
    """An item."""

    title: str
    description: str | None = None
    owner_id: str

    @property
    def etag(self) -> str:
        """See `Row`."""
        return f'"{self.id}-{self.version}-{StoredItem.__resource__.form}"'

    @property
    def shown(self) -> dict[str, Any]:
        """See `Row`."""
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "owner_id": self.owner_id,
            "created_at": shown_time(self.created_at),
        }


@dataclass(kw_only=True)
class Account(Row):
    """An account with its history: an entry of its statement for each change."""

    owner_id: str
    name: str
    currency: str
    balance_minor: int = 0
    statement: list[dict[str, Any]] = field(default_factory=list)

    @property
    def shown(self) -> dict[str, Any]:
        """See `Row`."""
        return {
            "id": self.id,
            "owner_id": self.owner_id,
            "name": self.name,
            "currency": self.currency,
            "balance_minor": self.balance_minor,
            "created_at": shown_time(self.created_at),
        }


@dataclass(kw_only=True)
class Entry(Row):
    """An entry of the ledger. `owners` are the accounts' owners at the time, and `parties` may read it."""

    from_account_id: str | None
    to_account_id: str | None
    amount_minor: int
    note: str | None
    idempotency_key: str | None
    owners: set[str]
    ordered_by: str

    @property
    def parties(self) -> set[str]:
        """The users who may read the entry."""
        return {*self.owners, self.ordered_by}

    @property
    def shown(self) -> dict[str, Any]:
        """See `Row`."""
        return {
            "id": self.id,
            "from_account_id": self.from_account_id,
            "to_account_id": self.to_account_id,
            "amount_minor": self.amount_minor,
            "note": self.note,
            "created_at": shown_time(self.created_at),
            "idempotency_key": self.idempotency_key,
        }


AnyRow = TypeVar("AnyRow", bound=Row)
Operation = Callable[["State", Call], Expected]
OPERATIONS: dict[str, Operation] = {}


def handles(*operations: str) -> Callable[[Operation], Operation]:
    """Register the function as the handler of these operations."""

    def register(function: Operation) -> Operation:
        OPERATIONS.update(dict.fromkeys(operations, function))
        return function

    return register


@dataclass
class State:
    """All stored data, the time and the ids of new rows.

    Attributes:
        now: The time of the current call.
        next_id: Returns the ids of the rows that the call creates, in order.
        tokens: Each bearer token with its user and session.
        resets: Each emailed token with its user, and the password and address for which it is valid.
        cursors: Each cursor with its list and sort, and the sort key and id after which it continues.
        kept: The call and response of each idempotency key, by user and key.
        tries: The counters of the throttles with their end.
    """

    secret: str
    token_minutes: int
    now: datetime
    next_id: Callable[[], str] = str
    users: dict[str, User] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    resets: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    cursors: dict[str, tuple[str, str, Any, str]] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[object, Expected]] = field(default_factory=dict)
    tries: dict[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)

    def respond(self, call: Call) -> Expected:
        """Apply the call and return the expected response."""
        if len(call.content) > MAX_BODY_BYTES:
            return refused(413, "body_too_large", "Content Too Large")
        if call.padding > MAX_HEADER_BYTES:
            return refused(
                431, "headers_too_large", f"The headers are larger than {MAX_HEADER_BYTES} bytes"
            )
        if len(call.url.partition("?")[2]) > MAX_QUERY_BYTES:
            return refused(414, "query_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes")
        try:
            return OPERATIONS[call.operation](self, call)
        except Refusal as refusal:
            return refusal.expected

    # -- who calls -------------------------------------------------------------------------------

    def sign(self, purpose: str, claims: dict[str, Any]) -> str:
        """Return the claims as a token."""
        return jwt.encode({**claims, "iss": "eitherdb", "aud": purpose}, self.secret, algorithm="HS256")

    def sign_cursor(self, name: str, sort: str, content: list[Any]) -> str:
        """Return the content as a cursor of a list in a sort order."""
        encoded = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        key = hmac.digest(self.secret.encode(), b"eitherdb cursor", "sha256")
        mac = hmac.digest(key, f"{name}\0{sort}\0".encode() + encoded, "sha256")
        return urlsafe_b64encode(mac + encoded).rstrip(b"=").decode()

    def sign_in(self, user: User) -> str:
        """Return a bearer token of the user."""
        now = int(self.now.timestamp())
        claims = {"sub": user.id, "session": user.session}
        token = self.sign("access", {**claims, "iat": now, "exp": now + 60 * self.token_minutes})
        self.tokens[token] = (user.id, user.session)
        return token

    def caller(self, call: Call, *, superuser: bool = False) -> User:
        """Return the caller, or refuse."""
        if call.token is None:
            raise Refusal(NOT_AUTHENTICATED)
        user_id, session = self.tokens.get(call.token, ("", 0))
        if not user_id:
            raise Refusal(INVALID_TOKEN)
        user = self.users.get(user_id)
        if user is None:
            raise Refusal(USER_NOT_FOUND)
        if not user.is_active:
            raise Refusal(INACTIVE_USER)
        if user.session != session:
            raise Refusal(INVALID_TOKEN)
        if superuser and not user.is_superuser:
            raise Refusal(NOT_PRIVILEGED)
        return user

    # -- what is asked for -----------------------------------------------------------------------

    def body(self, call: Call, form: Form) -> dict[str, Any]:
        """Return the values of the body, or refuse."""
        if call.raw is not None:
            raise Refusal(unreadable(call.raw))
        if faults := faults_of(call.body, form):
            raise Refusal(invalid(faults))
        assert isinstance(call.body, dict)
        return values_of(call.body, form)

    def new(self) -> dict[str, Any]:
        """Return id and time of a new row."""
        return {"id": self.next_id(), "created_at": self.now}

    def find(self, rows: dict[str, AnyRow], id: str, caller: User, missing: Expected) -> AnyRow:
        """Return a row of the caller, or any row for a superuser; or refuse."""
        row = rows.get(id)
        if row is None:
            raise Refusal(missing)
        owner_id = getattr(row, "owner_id", None)
        parties = row.parties if isinstance(row, Entry) else {owner_id}
        if not caller.is_superuser and caller.id not in parties:
            raise Refusal(refused(403, "forbidden", "Not enough permissions"))
        return row

    def expect_version(self, row: Row, call: Call) -> None:
        """Refuse a change if the caller's version is not the current one."""
        if call.if_match is None or call.if_match.strip() == "*":
            return
        if row.etag not in tags_in(call.if_match):
            raise Refusal(VERSION_MISMATCH)

    def show(self, row: Row, call: Call) -> Expected:
        """Return a row, or a 304 if the caller knows its version."""
        if call.if_none_match is not None:
            tags = tags_in(call.if_none_match)
            if tags == ["*"] or row.etag in tags:
                return not_modified(row.etag)
        return success(row.shown, etag=row.etag)

    # -- throttles -------------------------------------------------------------------------------

    def attempt(self, purpose: str, account: str, limit: int, *, counts: bool) -> None:
        """Refuse a call beyond the limit. Count it, unless its result decides whether it counts."""
        count, ends_at = self.tries.get((purpose, account), (0, self.now))
        if ends_at <= self.now:
            count, ends_at = 0, self.now + timedelta(seconds=LIMIT_SECONDS)
        if counts:
            self.tries[purpose, account] = (count + 1, ends_at)
        if count >= limit:
            wait = -(-(ends_at - self.now) // timedelta(seconds=1))
            words = "Too many attempts; try again later"
            raise Refusal(refused(429, "too_many_attempts", words, retry_after=str(wait)))


def tags_in(header: str) -> list[str]:
    """Return the tags of a header, without the changes that proxies make."""
    return [re.sub(r'-(?:gzip|br)"$', '"', tag.strip().removeprefix("W/")) for tag in header.split(",")]


def unreadable(raw: bytes) -> Expected:
    """Refuse a body that is not valid JSON in UTF-8, is nested too deep, or has no valid form."""
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        if not raw.startswith(BOM_UTF16):
            return refused(400, "bad_request", "There was an error parsing the body")
    return invalid(None)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
