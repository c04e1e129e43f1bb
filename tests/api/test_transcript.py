"""One long conversation, whose every answer is the same on every backend, byte for byte of the JSON.

Ids and times are injected and cursors are signed with a known key, so nothing is masked but tokens, which
carry the time of the day. After a change that is meant to be seen by clients, write the transcript anew
and read the difference before committing it:

    EITHERDB_WRITE_TRANSCRIPT=1 .venv/bin/python -m pytest tests/api/test_transcript.py -n0
    git diff tests/api/transcript.json

The deletion of a user comes last; where a backend refuses it, the transcript is compared up to there (and
not written).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from backends.capabilities import Capability
from eitherdb_contract.clock import ManualClock
from tests.api.responses import NO_TRANSACTIONS, assert_refused
from tests.api.service import SECRET, Service, as_json, serve
from tests.conftest import EVERY_BACKEND
from tests.provision import Provision

pytestmark = EVERY_BACKEND

FILE = Path(__file__).with_name("transcript.json")
WRITE = "EITHERDB_WRITE_TRANSCRIPT"
HEADERS = ("Content-Type", "WWW-Authenticate", "Vary", "Access-Control-Allow-Origin")
ROOT, ADA, BOB, NEW = (f"{SECRET}-{name}" for name in ("root", "ada", "bob", "new"))


@dataclass(frozen=True, slots=True)
class Step:
    """A request; `{name}` in its path or body is something that an answer before gave.

    Attributes:
        call: Method and path.
        who: Whose token is sent.
        body: What is sent as JSON.
        form: What is sent as a form.
        keep: What to remember of the answer: its name, and the field where it is found.
        key: The idempotency key that is sent.
    """

    call: str
    who: str | None = None
    body: object = None
    form: Mapping[str, str] | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


def login(who: str, email: str, password: str) -> Step:
    """Sign in."""
    form = {"username": email, "password": password}
    return Step("POST /login/access-token", form=form, keep={who: "access_token"})


CONVERSATION = [
    Step("GET /utils/health-check/"),
    Step("GET /users/me"),
    login("root", "ROOT@example.com", ROOT),
    Step("GET /users/me", "root", keep={"root_id": "id"}),
    Step("POST /users/signup", body={"email": "Ada@Example.com", "password": ADA}, keep={"ada_id": "id"}),
    Step("POST /users/signup", body={"email": "ada@example.com", "password": ADA}),
    Step("POST /users/signup", body={"email": "ada", "password": "short", "full_name": 1}),
    Step("POST /login/access-token", form={"username": "ada@example.com", "password": NEW}),
    login("ada", "ada@example.com", ADA),
    Step("POST /login/test-token", "ada"),
    Step(
        "POST /users/",
        "root",
        {"email": "bob@example.com", "password": BOB, "full_name": "Bob 😀", "is_superuser": False},
        keep={"bob_id": "id"},
    ),
    Step("POST /users/", "root", {"email": "BOB@example.com", "password": BOB}),
    Step("POST /users/", "ada", {"email": "eve@example.com", "password": BOB}),
    Step("POST /private/users/", body={"email": "pat@example.com", "password": BOB, "full_name": "Pat"}),
    Step("GET /users/?limit=2", "root", keep={"users_cursor": "next_cursor"}),
    Step("GET /users/?limit=2&count=none&cursor={users_cursor}", "root"),
    Step("GET /items/?cursor={users_cursor}", "root"),
    Step("GET /users/?skip=-1&limit=1001", "root"),
    Step("GET /users/{bob_id}", "ada"),
    Step("GET /users/{bob_id}", "root"),
    Step("GET /users/000000000000000000000000", "root"),
    Step("PATCH /users/me", "ada", {"full_name": "Ada Lovelace", "is_superuser": True}),
    Step("PATCH /users/me", "ada", {"email": "bob@example.com"}),
    Step("PATCH /users/me", "ada", {"full_name": None}),
    Step("PATCH /users/me/password", "ada", {"current_password": NEW, "new_password": NEW}),
    Step("PATCH /users/me/password", "ada", {"current_password": ADA, "new_password": ADA}),
    Step("PATCH /users/me/password", "ada", {"current_password": ADA, "new_password": NEW}),
    login("bob", "bob@example.com", BOB),
    Step("GET /items/", "ada"),
    Step("POST /items/", "ada", {"title": "Lamp"}, keep={"lamp_id": "id"}),
    Step("POST /items/", "ada", {"title": "Zoë's \u2028 😀", "description": ""}, keep={"zoe_id": "id"}),
    Step("POST /items/", "bob", {"title": "Chair", "description": "Wooden", "owner_id": "{ada_id}"}),
    Step("POST /items/", "bob", {"title": "", "description": "nul\x00"}),
    Step("POST /items/", "bob", {"title": "\ud800"}),
    Step("GET /items/?limit=1", "ada", keep={"items_cursor": "next_cursor"}),
    Step("GET /items/?limit=1&cursor={items_cursor}", "ada"),
    Step("GET /items/?skip=1", "root"),
    Step("GET /items/{lamp_id}", "bob"),
    Step("PATCH /items/{lamp_id}", "ada", {"description": "Bright"}),
    Step("PUT /items/{lamp_id}", "root", {"title": "Lantern"}),
    Step("PUT /items/{lamp_id}", "ada", {"title": None}),
    Step("DELETE /items/{zoe_id}", "bob"),
    Step("DELETE /items/{zoe_id}", "ada"),
    Step("GET /items/{zoe_id}", "ada"),
    Step("GET /items/NO-ID", "ada"),
    Step("POST /accounts/", "ada", {"name": "Ada's", "currency": "EUR"}, keep={"adas_id": "id"}),
    Step("POST /accounts/", "bob", {"name": "Bob's", "currency": "EUR"}, keep={"bobs_id": "id"}),
    Step("POST /accounts/", "bob", {"name": "", "currency": "EURO"}),
    Step("GET /accounts/", "ada"),
    Step("GET /accounts/?sort=name&limit=1", "root"),
    Step("GET /accounts/{adas_id}", "bob"),
    Step("GET /accounts/{adas_id}/statement", "ada"),
    Step("POST /accounts/{adas_id}/deposits", "ada", {"amount_minor": 1}),
    Step("POST /transfers/", "ada", {"from_account_id": "x", "to_account_id": "x", "amount_minor": 0}),
    Step("GET /transfers/", "ada"),
    Step("GET /transfers/NO-ID", "ada"),
    Step("PATCH /users/{bob_id}", "root", {"is_active": False}),
    Step("GET /users/me", "bob"),
    Step("POST /login/access-token", form={"username": "bob@example.com", "password": BOB}),
    Step("PATCH /users/NO-ID", "root", {}),
    Step("DELETE /users/me", "root"),
    Step("DELETE /users/{root_id}", "root"),
    Step("PUT /users/me", "ada"),
    Step("GET /nowhere"),
]
PAYMENT = {"from_account_id": "{adas_id}", "to_account_id": "{bobs_id}", "amount_minor": 300}
WITH_TRANSACTIONS = [
    Step("POST /accounts/{adas_id}/deposits", "root", {"amount_minor": 1000, "note": "Cash"}),
    Step("POST /transfers/", "ada", PAYMENT, key="one", keep={"paid_id": "id"}),
    Step("POST /transfers/", "ada", PAYMENT, key="one"),
    Step("POST /transfers/", "ada", {**PAYMENT, "amount_minor": 301}, key="one"),
    Step("POST /transfers/", "ada", {**PAYMENT, "amount_minor": 5000}, key="two"),
    Step("POST /transfers/", "ada", {**PAYMENT, "to_account_id": "NO-ID"}),
    Step("GET /transfers/{paid_id}", "ada"),
    Step("GET /transfers/?limit=1", "ada"),
    Step("GET /accounts/{adas_id}/statement", "ada"),
    Step("DELETE /accounts/{adas_id}", "ada"),
    Step("POST /items/bulk", "ada", {"data": [{"title": "Note A"}, {"title": "é😀", "description": "\\"}]}),
    Step("POST /items/bulk", "ada", {"data": [{"title": "Note B"}, {"title": ""}, {"description": 1}, 2]}),
    Step("POST /items/bulk", "ada", {"data": []}),
    Step("GET /items/?limit=2", "ada"),
    Step("DELETE /users/me", "ada"),
    Step("POST /accounts/{adas_id}/withdrawals", "root", {"amount_minor": 5000}),
    Step("POST /accounts/{adas_id}/withdrawals", "root", {"amount_minor": 700}),
    Step("DELETE /users/me", "ada"),
    Step("GET /users/me", "ada"),
    Step("GET /items/{lamp_id}", "root"),
    Step("DELETE /users/{bob_id}", "root"),
    Step("DELETE /users/{bob_id}", "root"),
    Step("GET /users/", "root"),
    Step("GET /items/", "root"),
]


class Conversation:
    """Takes step after step; each is a second later than the one before."""

    def __init__(self, service: Service, clock: ManualClock) -> None:
        self._service = service
        self._clock = clock
        self._kept: dict[str, str] = {}

    async def send(self, step: Step) -> httpx2.Response:
        """Send the step's request, and remember of the answer what later steps need."""
        self._clock.now += timedelta(seconds=1)
        method, path = step.call.split(" ")
        client = self._service.client(self._kept[step.who] if step.who else None)
        body = self._filled(step.body)
        arguments = {"data": step.form} if step.form else as_json(body) if body is not None else {}
        headers = {**arguments.pop("headers", {}), "Origin": "http://localhost:5173"}
        if step.key is not None:
            headers["Idempotency-Key"] = step.key
        answer = await client.request(method, path.format(**self._kept), headers=headers, **arguments)
        for name, key in step.keep.items():
            self._kept[name] = answer.json()[key]
        return answer

    def _filled(self, body: object) -> object:
        """Put in the ids that answers before gave."""
        if not isinstance(body, dict):
            return body
        kept = {f"{{{name}}}": value for name, value in self._kept.items()}
        return {
            name: kept.get(value, value) if isinstance(value, str) else value
            for name, value in body.items()
        }

    async def record(self, step: Step) -> dict[str, Any]:
        """Send the step's request and write down what was said."""
        answer = await self.send(step)
        body = answer.json()
        if isinstance(body, dict) and "access_token" in body:
            body["access_token"] = "<a token>"
        return {
            "call": step.call,
            "who": step.who,
            "sent": dict(step.form) if step.form else step.body,
            **({"key": step.key} if step.key else {}),
            "status": answer.status_code,
            "headers": {name: answer.headers[name] for name in HEADERS if name in answer.headers},
            "body": body,
        }


def committed_transcript() -> list[dict[str, Any]]:
    """Return what was said when the transcript was written."""
    transcript: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="ascii"))
    return transcript


def write_if_asked(transcript: list[dict[str, Any]]) -> None:
    """Make this whole transcript the one to compare with."""
    if os.environ.get(WRITE):
        FILE.write_text(json.dumps(transcript, indent=1) + "\n", encoding="ascii")


async def test_conversation_is_the_same_on_every_backend(provision: Provision) -> None:
    """Every status, header and body is that of the transcript."""
    await provision.clean()
    clock, numbers = ManualClock(), count(1)
    clock.stop()
    settings: dict[str, Any] = {
        "first_superuser": "root@example.com",
        "first_superuser_password": SecretStr(ROOT),
    }
    async with serve(
        provision, clock=clock, id_source=lambda: f"{next(numbers):024x}", **settings
    ) as service:
        conversation = Conversation(service, clock)
        transcript = [await conversation.record(step) for step in CONVERSATION]
        if Capability.TRANSACTIONS in service.backend.capabilities:
            transcript += [await conversation.record(step) for step in WITH_TRANSACTIONS]
            write_if_asked(transcript)
            assert transcript == committed_transcript()
        else:
            assert transcript == committed_transcript()[: len(transcript)]
            assert_refused(await conversation.send(WITH_TRANSACTIONS[0]), NO_TRANSACTIONS)
