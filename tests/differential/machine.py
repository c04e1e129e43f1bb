"""The state machine of Hypothesis, which calls all backends and the model.

See https://hypothesis.readthedocs.io/en/latest/stateful.html. Everything that a history creates is kept and
picked by number, newest first, also after it was deleted, changed or expired: stale ids, tokens, tags and
cursors are tested, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal
from unicodedata import normalize

import httpx2
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.strategies import (
    SearchStrategy,
    fixed_dictionaries,
    integers,
    just,
    lists,
    none,
    sampled_from,
)

from tests.differential import edge_cases
from tests.differential.edge_cases import bodies, usually
from tests.differential.model.calls import OPERATIONS, Call
from tests.differential.model.state import (
    LOGIN_LIMIT,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_QUERY_BYTES,
    RECOVERY_LIMIT,
)
from tests.differential.systems import ROOT, ROOT_PASSWORD, HistoryRunner, Systems, reset_token_of

Kind = Literal["users", "items", "accounts", "transfers"]
Query = dict[str, str]

SORTS: dict[Kind, tuple[str, ...]] = {
    "users": ("created_at", "email"),
    "items": ("created_at", "title"),
    "accounts": ("created_at", "name"),
    "transfers": ("created_at",),
}
READ_BY_ID = {
    "users-read_user_by_id": "users",
    "items-read_item": "items",
    "accounts-read_account": "accounts",
    "accounts-read_statement": "accounts",
    "transfers-read_transfer": "transfers",
}
DELETE_BY_ID = {
    "users-delete_user": "users",
    "items-delete_item": "items",
    "accounts-delete_account": "accounts",
}
LIST = {
    "users": "users-read_users",
    "items": "items-read_items",
    "accounts": "accounts-read_accounts",
    "transfers": "transfers-read_transfers",
}
WITH_BODY = [
    *("users-register_user", "users-create_user", "users-update_user_me", "users-update_user"),
    *("users-update_password_me", "login-reset_password", "private-create_user"),
    *("items-create_item", "items-create_items", "items-patch_item", "items-update_item"),
    *("accounts-create_account", "accounts-create_deposit", "accounts-create_withdrawal"),
    "transfers-create_transfer",
]
UNREADABLE = [
    b"{",
    b"\xff",
    b"[" * 40 + b"]" * 40,
    '{"title": "a"}'.encode("utf-16"),
]
FORGED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwIn0."
UNKNOWN_TAGS = ['"x"', '"0123456789abcdef01234567-1"', 'W/"x"', "x"]

# The API has a fast path for the first. The responses must be the same.
MEDIA = ["application/json", "application/json", "application/json; charset=utf-8"]

NUMBERS = integers(0, 999)
USER = {"full_name": edge_cases.names, "is_active": edge_cases.flags, "is_superuser": edge_cases.flags}
ITEM = {"title": edge_cases.texts, "description": edge_cases.names}


def queries(kind: Kind) -> SearchStrategy[Query]:
    """Return the part of a list's query that names no other row, usually valid."""
    sorts = [direction + field for field in SORTS[kind] for direction in ("", "-")]
    searched = usually(
        sampled_from(edge_cases.COLLIDING), sampled_from([*edge_cases.LONG, "", "\0", "x" * 256])
    )
    filters: dict[Kind, dict[str, SearchStrategy[object]]] = {
        "users": {"is_active": edge_cases.choice(["true", "false"], ["1", "True", ""])},
        "items": {"title": searched, "q": searched},
        "accounts": {"currency": edge_cases.choice(["EUR", "USD"], ["eur", "", "\0"])},
        "transfers": {},
    }
    window = {
        "sort": edge_cases.choice(sorts, ["id", "-", "TITLE"]),
        "limit": edge_cases.choice(["1", "2", "3"], ["0", "1000", "1001", "-1", "1.0", "", " 1", "\u0661"]),
        "skip": edge_cases.choice(["0", "1", "2"], ["2147483647", "2147483648", "-1", "x"]),
        "count": edge_cases.choice(["exact", "none"], ["", "all"]),
        "created_after": edge_cases.choice(edge_cases.TIMES, edge_cases.NO_TIMES),
        "created_before": edge_cases.choice(edge_cases.TIMES, edge_cases.NO_TIMES),
    }
    valid: dict[str, SearchStrategy[Any]] = {**window, **filters[kind]}
    nonsense = {"nonsense": just("1"), "cursor": just(FORGED)}
    return usually(
        fixed_dictionaries({}, optional=valid), fixed_dictionaries({}, optional={**valid, **nonsense})
    )


class Machine(RuleBasedStateMachine):
    """A few users, their rows, and every operation."""

    def __init__(self, systems: Systems) -> None:
        """Start with empty databases."""
        super().__init__()
        self._runner = HistoryRunner(systems)
        self._made: dict[str, list[str]] = {
            name: [] for name in ("tokens", "resets", "users", "items", "accounts", "transfers")
        }
        self._tags: list[str] = []
        self._cursors: list[tuple[Kind, Query]] = []
        self._keyed: list[Call] = []

    # -- sending, and keeping what comes of it ---------------------------------------------------

    def _send(self, operation: str, keep: str | None = None, **parts: Any) -> httpx2.Response:
        """Send a call; keep the id and the tag of the row in the response."""
        call = Call(operation=operation, media=MEDIA[self._runner.steps % len(MEDIA)], **parts)
        note(f"{call}")
        response = self._runner.send(call)
        note(f"  {response.status_code} {response.text[:500]}")
        if keep and response.is_success:
            self._made[keep].append(response.json()["id"])
        if "etag" in response.headers:
            self._tags.append(response.headers["etag"])
        if call.key is not None:
            self._keyed.append(call)
        return response

    def _pick(self, number: int, kind: str) -> str:
        """Return a kept value of a kind; for one number in ten an unknown one."""
        which, turn = divmod(number, 10)
        made = self._made[kind]
        if turn < 9 and made:
            return made[-1 - which % len(made)]
        others = [*edge_cases.MALFORMED_IDS, *(name for ids in self._made.values() for name in ids[-1:])]
        return others[which % len(others)]

    def _token(self, number: int) -> str | None:
        """Return a token: half of the time the first superuser's, else any."""
        which, turn = divmod(number, 20)
        tokens = self._made["tokens"]
        if turn < 18:
            return tokens[0] if turn % 2 else tokens[-1 - which % len(tokens)]
        return FORGED if turn == 18 else None

    def _condition(self, number: int, id: str) -> str | None:
        """Return an If-Match or If-None-Match header: usually none, else often a tag of the row."""
        number, turn = divmod(number, 20)
        own = [tag for tag in self._tags if tag.startswith(f'"{id}-')]
        known = (own if turn < 18 and own else self._tags) or UNKNOWN_TAGS
        tag = known[-1 - number % len(known)]
        if turn < 10:
            return None
        altered = [f"W/{tag}", f'{tag[:-1]}-gzip"', f'W/{tag[:-1]}-br"'][number % 3]
        choices = {15: altered, 16: f'"x", {tag}', 17: "*", 19: UNKNOWN_TAGS[number % len(UNKNOWN_TAGS)]}
        return choices.get(turn, tag)

    def _list(self, kind: Kind, query: Query, who: str | None) -> httpx2.Response:
        """Request a page; keep the cursor of the next one."""
        response = self._send(LIST[kind], token=who, query=tuple(query.items()))
        if response.is_success and (cursor := response.json()["next_cursor"]):
            self._cursors.append((kind, {**query, "cursor": cursor}))
        return response

    @initialize()
    def populate(self) -> None:
        """Sign in a superuser and two users with an item and an account each; one account has money."""
        self._made["users"].append(next(iter(self._runner.state.users)))
        self._log_in(ROOT, ROOT_PASSWORD)
        root = self._made["tokens"][0]
        for email in ("ada@example.com", "bob@example.com"):
            user = {"email": email, "password": "s3cret-horse"}
            self._send("users-register_user", "users", body=user)
            self._log_in(email, "s3cret-horse")
            token = self._made["tokens"][-1]
            self._send("items-create_item", "items", token=token, body={"title": "a"})
            account = {"name": "a", "currency": "EUR"}
            self._send("accounts-create_account", "accounts", token=token, body=account, key="k")
        path, entry = (self._made["accounts"][0],), {"amount_minor": 5}
        self._send("accounts-create_deposit", "transfers", token=root, path=path, body=entry, key="k")

    def _log_in(self, email: str, password: str) -> None:
        response = self._send(
            "login-login_access_token", form=(("username", email), ("password", password))
        )
        if response.is_success:
            self._made["tokens"].append(response.json()["access_token"])

    @rule(milliseconds=sampled_from([1, 9, 10, 11, 59_000, 3_600_000]))
    def wait(self, milliseconds: int) -> None:
        """Advance the clock, which stands still otherwise: most rows have equal times."""
        self._runner.pass_by(milliseconds=milliseconds)

    # -- users -----------------------------------------------------------------------------------

    @rule(
        operation=sampled_from(["users-register_user", "users-create_user", "private-create_user"]),
        who=NUMBERS,
        body=bodies({"email": edge_cases.addresses, "password": edge_cases.passwords}, USER),
    )
    def add_user(self, operation: str, who: int, body: object) -> None:
        """Create a user in one of three ways, one of which requires a name."""
        if isinstance(body, dict) and operation.startswith("private") and who % 4:
            body = {"full_name": "Ada", **body}
        self._send(operation, "users", token=self._token(who), body=body)

    @rule(
        number=NUMBERS, email=sampled_from(edge_cases.WRITABLE), password=sampled_from(["", "s3cret-horse"])
    )
    def log_in(self, number: int, email: str, password: str) -> None:
        """Log in: half of the time as an existing user, else with credentials that may be right."""
        users = list(self._runner.state.users.values())
        user = users[number // 2 % len(users)]
        if number % 2:
            self._log_in(user.email, password)
        elif number % 8 == 2:
            self._log_in(email, password)
        else:
            spellings = [spelling for spelling, normal in edge_cases.EMAILS.items() if normal == user.email]
            typed = normalize("NFD", user.password) if number % 8 == 4 else user.password  # as on a Mac
            self._log_in(spellings[number // 8 % len(spellings)], typed)

    @rule(who=NUMBERS, condition=NUMBERS, body=bodies({}, {"email": edge_cases.addresses, **USER}))
    def update_me(self, who: int, condition: int, body: object) -> None:
        """Change the caller's name and address."""
        token = self._token(who)
        own_id, _ = self._runner.state.tokens.get(token or "", ("", 0))
        if_match = self._condition(condition, own_id)
        self._send("users-update_user_me", token=token, body=body, if_match=if_match)

    @rule(
        who=NUMBERS,
        condition=NUMBERS,
        number=NUMBERS,
        body=bodies({"current_password": edge_cases.passwords, "new_password": edge_cases.passwords}, {}),
    )
    def change_password(self, who: int, condition: int, number: int, body: object) -> None:
        """Change the caller's password; usually the current one is right."""
        token = self._token(who)
        own_id, _ = self._runner.state.tokens.get(token or "", ("", 0))
        user = self._runner.state.users.get(own_id)
        if user is not None and isinstance(body, dict) and number % 4:
            body = {**body, "current_password": user.password}
        if_match = self._condition(condition, own_id)
        self._send("users-update_password_me", token=token, body=body, if_match=if_match)

    @rule(
        who=NUMBERS,
        number=NUMBERS,
        condition=NUMBERS,
        body=bodies({}, {"email": edge_cases.addresses, "password": edge_cases.passwords, **USER}),
    )
    def update_user(self, who: int, number: int, condition: int, body: object) -> None:
        """Change any field of a user."""
        id_ = self._pick(number, "users")
        if_match = self._condition(condition, id_)
        self._send("users-update_user", token=self._token(who), path=(id_,), body=body, if_match=if_match)

    @rule(
        who=NUMBERS,
        email=sampled_from(edge_cases.ADDRESSES) | sampled_from(sorted({*edge_cases.COLLIDING} - {"."})),
        number=NUMBERS,
        operation=sampled_from(["login-recover_password"] + ["login-recover_password_html_content"] * 2),
    )
    def recover_password(self, who: int, email: str, number: int, operation: str) -> None:
        """Request a password recovery email or, as a superuser, its content; usually for a known user."""
        if number % 4:
            users = list(self._runner.state.users.values())
            email = users[number // 4 % len(users)].email
        response = self._send(operation, path=(email,), token=self._token(who))
        if response.is_success and operation.endswith("content"):
            self._made["resets"].append(reset_token_of(response))

    @rule(number=NUMBERS, body=bodies({"new_password": edge_cases.passwords}, {}))
    def reset_password(self, number: int, body: object) -> None:
        """Set a password with the token of such an email, perhaps again."""
        if isinstance(body, dict) and number % 20 != 10:
            body = {**body, "token": self._pick(number, "resets")}
        self._send("login-reset_password", body=body)

    @rule(number=NUMBERS)
    def suspend(self, number: int) -> None:
        """Deactivate and activate a user, which ends the user's sessions."""
        users = list(self._runner.state.users.values())
        user, root = users[-1 - number % len(users)], self._made["tokens"][0]
        tokens = [token for token, (id_, _) in self._runner.state.tokens.items() if id_ == user.id]
        for is_active in (False, True):
            self._send("users-update_user", token=root, path=(user.id,), body={"is_active": is_active})
            self._send("users-read_user_me", token=tokens[-1] if tokens else None)
        self._log_in(user.email, user.password)

    @rule(number=NUMBERS)
    def exceed_rate_limits(self, number: int) -> None:
        """Try passwords or request recovery emails until the limit is exceeded."""
        users = list(self._runner.state.users.values())
        user = users[-1 - number // 2 % len(users)]
        for _ in range(max(LOGIN_LIMIT, RECOVERY_LIMIT)):
            if number % 2:
                self._send("login-recover_password", path=(user.email,))
            else:
                self._log_in(user.email, "s3cret-wrong")
        self._log_in(user.email, user.password)

    # -- items -----------------------------------------------------------------------------------

    @rule(who=NUMBERS, body=bodies({"title": edge_cases.texts}, {"description": edge_cases.names}))
    def add_item(self, who: int, body: object) -> None:
        """Create an item."""
        self._send("items-create_item", "items", token=self._token(who), body=body)

    @rule(
        who=NUMBERS,
        body=bodies(
            {"data": edge_cases.rows_of({"title": edge_cases.texts}, {"description": edge_cases.names})}, {}
        ),
    )
    def add_items(self, who: int, body: object) -> None:
        """Create several items in one call."""
        response = self._send("items-create_items", token=self._token(who), body=body)
        if response.is_success:
            self._made["items"] += [item["id"] for item in response.json()["data"]]

    @rule(
        operation=sampled_from(["items-patch_item", "items-update_item"]),
        who=NUMBERS,
        number=NUMBERS,
        condition=NUMBERS,
        body=bodies({}, ITEM),
    )
    def change_item(self, operation: str, who: int, number: int, condition: int, body: object) -> None:
        """Change an item."""
        id_ = self._pick(number, "items")
        if_match = self._condition(condition, id_)
        self._send(operation, token=self._token(who), path=(id_,), body=body, if_match=if_match)

    # -- money -----------------------------------------------------------------------------------

    @rule(
        who=NUMBERS,
        key=edge_cases.keys,
        body=bodies({"name": edge_cases.texts, "currency": edge_cases.currencies}, {}),
    )
    def open_account(self, who: int, key: str | None, body: object) -> None:
        """Open an account."""
        self._send("accounts-create_account", "accounts", token=self._token(who), body=body, key=key)

    @rule(
        operation=sampled_from(["accounts-create_deposit"] * 2 + ["accounts-create_withdrawal"]),
        who=NUMBERS,
        number=NUMBERS,
        key=edge_cases.keys,
        body=bodies({"amount_minor": edge_cases.amounts}, {"note": edge_cases.names}),
    )
    def deposit_or_withdraw(
        self, operation: str, who: int, number: int, key: str | None, body: object
    ) -> None:
        """Deposit or withdraw money."""
        id_ = self._pick(number, "accounts")
        self._send(operation, "transfers", token=self._token(who), path=(id_,), body=body, key=key)

    @rule(
        who=NUMBERS,
        source=NUMBERS,
        to=NUMBERS,
        key=edge_cases.keys,
        body=bodies({"amount_minor": edge_cases.amounts}, {"note": edge_cases.names}),
    )
    def transfer(self, who: int, source: int, to: int, key: str | None, body: object) -> None:
        """Transfer money between two accounts, sometimes the same one; usually the balance suffices."""
        if isinstance(body, dict):
            accounts = list(self._runner.state.accounts.values())
            rich = [account.id for account in accounts if account.balance_minor]
            from_id = rich[source % len(rich)] if rich and source % 4 else self._pick(source, "accounts")
            body = {**body, "from_account_id": from_id, "to_account_id": self._pick(to, "accounts")}
        self._send("transfers-create_transfer", "transfers", token=self._token(who), body=body, key=key)

    @precondition(lambda self: self._keyed)
    @rule(number=NUMBERS, other=NUMBERS, note_=edge_cases.names)
    def repeat(self, number: int, other: int, note_: object) -> None:
        """Send a request with a key again: unchanged, with another body, or to another path."""
        call = self._keyed[number % len(self._keyed)]
        if other % 4 == 1 and isinstance(call.body, dict):
            call = replace(call, body={**call.body, "note": note_, "name": "other"})
        elif other % 4 == 2 and call.path:
            call = replace(call, path=(self._pick(other, "accounts"),))
        elif other % 4 == 3:
            call = replace(call, token=self._token(other))
        note(f"{call}")
        self._runner.send(call)

    # -- reading ---------------------------------------------------------------------------------

    @rule(operation=sampled_from(list(READ_BY_ID)), who=NUMBERS, number=NUMBERS, condition=NUMBERS)
    def read(self, operation: str, who: int, number: int, condition: int) -> None:
        """Read one row."""
        id_ = self._pick(number, READ_BY_ID[operation])
        if_none_match = self._condition(condition, id_)
        self._send(operation, token=self._token(who), path=(id_,), if_none_match=if_none_match)

    @rule(who=NUMBERS, condition=NUMBERS)
    def read_me(self, who: int, condition: int) -> None:
        """Read the caller in both ways."""
        token = self._token(who)
        own_id, _ = self._runner.state.tokens.get(token or "", ("", 0))
        self._send("users-read_user_me", token=token, if_none_match=self._condition(condition, own_id))
        self._send("login-test_token", token=token)

    @rule(query=queries("users"), who=NUMBERS)
    def list_users(self, query: Query, who: int) -> None:
        """Request a page of users."""
        self._list("users", query, self._token(who))

    @rule(query=queries("items"), who=NUMBERS, owner=none() | NUMBERS)
    def list_items(self, query: Query, who: int, owner: int | None) -> None:
        """Request a page of items."""
        self._list("items", self._of(owner, query), self._token(who))

    @rule(query=queries("accounts"), who=NUMBERS, owner=none() | NUMBERS)
    def list_accounts(self, query: Query, who: int, owner: int | None) -> None:
        """Request a page of accounts."""
        self._list("accounts", self._of(owner, query), self._token(who))

    @rule(query=queries("transfers"), who=NUMBERS, owner=none() | NUMBERS)
    def list_transfers(self, query: Query, who: int, owner: int | None) -> None:
        """Request a page of the ledger."""
        self._list("transfers", self._of(owner, query), self._token(who))

    def _of(self, owner: int | None, query: Query) -> Query:
        return query if owner is None else {**query, "owner_id": self._pick(owner, "users")}

    @precondition(lambda self: self._cursors)
    @rule(number=NUMBERS, who=NUMBERS, other=sampled_from(["", "", "", "sort", "list", "skip"]))
    def read_next_page(self, number: int, who: int, other: str) -> None:
        """Request the next page, at once or later; or use a cursor of another list or sort."""
        kind, query = self._cursors[-1 - number % len(self._cursors)]
        if other == "sort":
            query = {**query, "sort": SORTS[kind][-1]}
        if other == "list":
            kind, query = "items", {"cursor": query["cursor"]}
        if other != "skip":
            query.pop("skip", None)
        self._list(kind, query, self._token(who))

    @rule(
        kind=sampled_from(list(SORTS)),
        by=NUMBERS,
        size=sampled_from(["1", "2"]),
        changes=lists(NUMBERS, max_size=5),
    )
    def walk(self, kind: Kind, by: int, size: str, changes: list[int]) -> None:
        """Walk a list to its end while items are added, deleted and moved in the order."""
        fields = SORTS[kind]
        query = {"sort": ("" if by % 2 else "-") + fields[by // 2 % len(fields)], "limit": size}
        token = self._token(1)
        while True:
            response = self._list(kind, query, token)
            cursor = response.json().get("next_cursor")
            if not cursor:
                return
            if "cursor" not in query:
                other: Kind = "users" if kind == "items" else "items"
                sort = query["sort"] if query["sort"] in {"created_at", "-created_at"} else "created_at"
                self._list(other, {"sort": sort, "cursor": cursor}, token)
            query["cursor"] = cursor
            if changes:
                self._change_an_item(changes.pop(), token)

    def _change_an_item(self, number: int, token: str | None) -> None:
        title = edge_cases.COLLIDING[number % len(edge_cases.COLLIDING)]
        id_ = self._pick(number, "items")
        if number % 3 == 0:
            self._send("items-create_item", "items", token=token, body={"title": title})
        elif number % 3 == 1:
            self._send("items-patch_item", token=token, path=(id_,), body={"title": title})
        else:
            self._send("items-delete_item", token=token, path=(id_,))

    # -- ending, and what is no request at all ---------------------------------------------------

    @rule(operation=sampled_from(list(DELETE_BY_ID)), who=NUMBERS, number=NUMBERS, condition=NUMBERS)
    def delete(self, operation: str, who: int, number: int, condition: int) -> None:
        """Delete a user, an item or an account."""
        id_ = self._pick(number, DELETE_BY_ID[operation])
        if_match = self._condition(condition, id_)
        self._send(operation, token=self._token(who), path=(id_,), if_match=if_match)

    @rule(
        operation=sampled_from(["users-delete_user_me", "users-logout_everywhere"]),
        who=NUMBERS,
        condition=NUMBERS,
    )
    def delete_me_or_log_out(self, operation: str, who: int, condition: int) -> None:
        """Delete the caller or end its sessions; for the first superuser rarely."""
        tokens = self._made["tokens"]
        token = self._token(who) if who % 20 > 17 else tokens[1:][who % len(tokens[1:])]
        own_id, _ = self._runner.state.tokens.get(token or "", ("", 0))
        if_match = self._condition(condition, own_id) if operation.endswith("me") else None
        self._send(operation, token=token, if_match=if_match)

    @rule(operation=sampled_from(WITH_BODY), who=NUMBERS, number=NUMBERS, raw=sampled_from(UNREADABLE))
    def send_unreadable_body(self, operation: str, who: int, number: int, raw: bytes) -> None:
        """Send an unreadable body."""
        self._send(operation, token=self._token(who), path=self._path(operation, number), raw=raw)

    @rule(
        operation=sampled_from(sorted(OPERATIONS)),
        number=NUMBERS,
        size=sampled_from(["body", "query", "headers"]),
    )
    def exceed_size_limits(self, operation: str, number: int, size: str) -> None:
        """Exceed a size limit of a request, on any operation."""
        parts: dict[str, dict[str, Any]] = {
            "body": {"raw": b" " * (MAX_BODY_BYTES + 1)},
            "query": {"query": (("q", "x" * MAX_QUERY_BYTES),)},
            "headers": {"padding": MAX_HEADER_BYTES + 1},
        }
        self._send(operation, path=self._path(operation, number), **parts[size])

    def _path(self, operation: str, number: int) -> tuple[str, ...]:
        return (self._pick(number, "items"),) if "{" in OPERATIONS[operation].path else ()

    @rule(who=NUMBERS, email=sampled_from(edge_cases.WRITABLE))
    def call_other_operations(self, who: int, email: str) -> None:
        """Call an operation without rows, or an unknown path or method."""
        self._send("utils-test_email", token=self._token(who), query=(("email_to", email),))
        self._send("utils-health_check")
        self._send("PUT /api/v1/users/me")
        self._send("GET /api/v1/nowhere")
