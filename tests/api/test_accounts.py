"""Accounts, deposits, withdrawals, transfers and statements over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from backends import ledger
from backends.models import MAX_MINOR, Account, NewAccount, NewEntry
from tests.api.responses import (
    ACCOUNT_NOT_EMPTY,
    ACCOUNT_NOT_FOUND,
    INSUFFICIENT_FUNDS,
    MESSAGE_ACCOUNT_DELETED,
    MESSAGE_USER_DELETED,
    NOT_OWNER,
    NOT_PRIVILEGED,
    USER_HAS_MONEY,
    VERSION_MISMATCH,
    assert_invalid,
    assert_ok,
    assert_refused,
    shown_account,
    shown_transfer,
)
from tests.api.service import Account as Person
from tests.api.service import Service


@dataclass
class Bank:
    """Two people with an account each, in euros; 1000 cents are in the first one."""

    service: Service
    ada: Person
    ben: Person
    root: Person
    adas: Account
    bens: Account

    async def account(self, owner: Person, currency: str = "EUR") -> Account:
        """Store an account."""
        new = NewAccount(name="Another", currency=currency)
        return await self.service.backend.accounts.add(new, owner_id=owner.id)

    async def deposit(self, account: Account, amount: int) -> None:
        """Bring money in."""
        entry = NewEntry(amount_minor=amount)
        await self.service.backend.accounts.deposit(account.id, entry, ordered_by=self.root.id)

    async def balances(self) -> tuple[int, int]:
        """Return what is in the two accounts."""
        accounts = self.service.backend.accounts
        return (
            (await accounts.get(self.adas.id)).balance_minor,
            (await accounts.get(self.bens.id)).balance_minor,
        )

    async def transfer(
        self, amount: Any = 1, *, key: str | bytes | None = None, caller: Person | None = None, **body: Any
    ) -> httpx2.Response:
        """Ask for a transfer from Ada's account to Ben's."""
        values = {"from_account_id": self.adas.id, "to_account_id": self.bens.id, "amount_minor": amount}
        return await (caller or self.ada).http.post(
            "/transfers/",
            json={**values, **body},
            headers=[]
            if key is None
            else [(b"Idempotency-Key", key.encode() if isinstance(key, str) else key)],
        )


@pytest.fixture
async def bank(service: Service) -> Bank:
    """Return a bank."""
    ada, ben = await service.user("ada@example.com"), await service.user("ben@example.com")
    root = await service.superuser("root2@example.com")
    accounts = service.backend.accounts
    adas, bens = [
        await accounts.add(NewAccount(name="Savings", currency="EUR"), owner_id=person.id)
        for person in (ada, ben)
    ]
    bank = Bank(service, ada, ben, root, adas, bens)
    await bank.deposit(adas, 1000)
    return bank


async def test_account_is_made_read_and_deleted(service: Service, user: Person) -> None:
    """The caller owns it, it is empty, and its tag is that of a new resource."""
    made = await user.http.post(
        "/accounts/", json={"name": "Savings", "currency": "EUR", "balance_minor": 5}
    )
    ((account,),) = ((await service.backend.accounts.list()).data,)
    assert_ok(made, shown_account(account))
    assert (account.owner_id, account.balance_minor) == (user.id, 0)
    assert made.headers["ETag"] == f'"{account.id}-1"'
    assert_ok(await user.http.get(f"/accounts/{account.id}"), shown_account(account))
    assert_ok(await user.http.delete(f"/accounts/{account.id}"), MESSAGE_ACCOUNT_DELETED)
    assert_refused(await user.http.get(f"/accounts/{account.id}"), ACCOUNT_NOT_FOUND)


async def test_tag_of_an_account_changes_with_its_balance(bank: Bank) -> None:
    """304 while nothing moved; what is deleted is what was read."""
    path = f"/accounts/{bank.bens.id}"
    tag = (await bank.ben.http.get(path)).headers["ETag"]
    for url in (path, f"{path}/statement"):
        answer = await bank.ben.http.get(url, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.headers["ETag"], answer.content) == (304, tag, b"")
    entry = (await bank.transfer(5)).json()
    assert (await bank.transfer(5, caller=bank.ben, **_turned(bank))).status_code == 200
    for url in (path, f"{path}/statement"):
        answer = await bank.ben.http.get(url, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{bank.bens.id}-3"')
    assert_refused(await bank.ben.http.delete(path, headers={"If-Match": tag}), VERSION_MISMATCH)
    now = {"If-Match": f'"{bank.bens.id}-3"'}
    assert_ok(await bank.ben.http.delete(path, headers=now), MESSAGE_ACCOUNT_DELETED)
    of_entry = f'"{entry["id"]}-1"'
    read = await bank.ada.http.get(f"/transfers/{entry['id']}", headers={"If-None-Match": of_entry})
    assert (read.status_code, read.headers["ETag"]) == (304, of_entry)


def _turned(bank: Bank) -> dict[str, str]:
    return {"from_account_id": bank.bens.id, "to_account_id": bank.adas.id}


async def test_money_in_an_account_keeps_it_and_its_owner(bank: Bank) -> None:
    """Deleting the account or the user is a 409 for every caller; without money both are deleted."""
    assert_refused(await bank.ada.http.delete(f"/accounts/{bank.adas.id}"), ACCOUNT_NOT_EMPTY)
    assert_refused(await bank.ada.http.delete("/users/me"), USER_HAS_MONEY)
    assert_refused(await bank.root.http.delete(f"/users/{bank.ada.id}"), USER_HAS_MONEY)
    withdrawn = await bank.root.http.post(
        f"/accounts/{bank.adas.id}/withdrawals", json={"amount_minor": 1000}
    )
    assert withdrawn.status_code == 200
    assert_ok(await bank.ada.http.delete("/users/me"), MESSAGE_USER_DELETED)
    assert_refused(await bank.root.http.get(f"/accounts/{bank.adas.id}"), ACCOUNT_NOT_FOUND)
    # The history stays.
    assert (await bank.root.http.get("/transfers/")).json()["count"] == 2


async def test_transfer_moves_money_and_is_an_entry(bank: Bank) -> None:
    """It answers the entry; both owners see it, and nobody else; the balances are not in it."""
    answer = await bank.transfer(300, note="Lunch")
    ((entry, _),) = ((await bank.service.backend.accounts.transfers()).data,)
    assert_ok(answer, shown_transfer(entry))
    assert answer.headers["ETag"] == f'"{entry.id}-1"'
    assert await bank.balances() == (700, 300)
    for person in (bank.ada, bank.ben, bank.root):
        assert_ok(await person.http.get(f"/transfers/{entry.id}"), shown_transfer(entry))
    stranger = await bank.service.user()
    assert_refused(await stranger.http.get(f"/transfers/{entry.id}"), NOT_OWNER)
    assert (await stranger.http.get("/transfers/")).json()["count"] == 0
    assert [(await person.http.get("/transfers/")).json()["count"] for person in (bank.ada, bank.ben)] == [
        2,
        1,
    ]


async def test_deposit_and_withdrawal_are_entries_with_one_side(bank: Bank) -> None:
    """Only a superuser makes them; the owner sees them."""
    for path, side, amount in (("deposits", "from_account_id", 7), ("withdrawals", "to_account_id", 1007)):
        url = f"/accounts/{bank.adas.id}/{path}"
        assert_refused(await bank.ada.http.post(url, json={"amount_minor": amount}), NOT_PRIVILEGED)
        answer = await bank.root.http.post(url, json={"amount_minor": amount, "note": "Cash"})
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown[side], shown["amount_minor"], shown["note"]) == (None, amount, "Cash")
        assert_ok(await bank.ada.http.get(f"/transfers/{shown['id']}"), shown)
    assert await bank.balances() == (0, 0)
    url = f"/accounts/{bank.adas.id}/withdrawals"
    assert_refused(await bank.root.http.post(url, json={"amount_minor": 1}), INSUFFICIENT_FUNDS)


async def test_transfer_is_refused_with_its_reason_and_nothing_moves(bank: Bank) -> None:
    """403, 404, 409 and 422, as the contract names them."""
    dollars = await bank.account(bank.ben, "USD")
    full = await bank.account(bank.ben)
    await bank.deposit(full, MAX_MINOR)
    assert_refused(await bank.transfer(caller=bank.ben), NOT_OWNER)
    assert_refused(await bank.transfer(from_account_id="0" * 24), ACCOUNT_NOT_FOUND)
    assert_refused(await bank.transfer(to_account_id="x"), ACCOUNT_NOT_FOUND)
    assert_refused(await bank.transfer(1001), INSUFFICIENT_FUNDS)
    assert_invalid(await bank.transfer(to_account_id=bank.adas.id), ("body",))
    for amount in (0, -1, MAX_MINOR + 1, 2**63, "1", 1.0, True, None):
        assert_invalid(await bank.transfer(amount), ("body", "amount_minor"))
    for code, where, answer in (
        ("currency_mismatch", "to_account_id", await bank.transfer(to_account_id=dollars.id)),
        ("balance_overflow", "amount_minor", await bank.transfer(to_account_id=full.id)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        ((fault,),) = (answer.json()["detail"],)
        assert (fault["loc"], fault["type"]) == (["body", where], code)
    assert await bank.balances() == (1000, 0)
    assert (await bank.transfer(1000)).status_code == 200
    assert await bank.balances() == (0, 1000)


async def test_superuser_transfers_from_anybodys_account(bank: Bank) -> None:
    """And may ask for anybody's lists; another user may not."""
    assert (await bank.transfer(1, caller=bank.root)).status_code == 200
    for path in ("/accounts/", "/transfers/"):
        of_ben = {"owner_id": bank.ben.id}
        assert (await bank.root.http.get(path, params=of_ben)).json()["count"] == 1
        assert (await bank.ben.http.get(path, params=of_ben)).json()["count"] == 1
        assert_refused(await bank.ada.http.get(path, params=of_ben), NOT_PRIVILEGED)


async def test_lists_are_walked_by_cursor(bank: Bank) -> None:
    """Every entry and every account once, in both orders; unknown parameters are named."""
    for amount in range(1, 6):
        await bank.transfer(amount)
        await bank.account(bank.ada)
    for path, sorts in (("/transfers/", ["created_at"]), ("/accounts/", ["created_at", "name"])):
        for sort in (direction + name for name in sorts for direction in ("", "-")):
            whole = (await bank.ada.http.get(path, params={"sort": sort})).json()
            assert (whole["count"], len(whole["data"])) == (6, 6)
            walked, cursor = [], None
            while True:
                params = {"sort": sort, "limit": "2", "count": "none"} | (
                    {"cursor": cursor} if cursor else {}
                )
                page = (await bank.ada.http.get(path, params=params)).json()
                assert page["count"] is None
                walked += page["data"]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert walked == whole["data"]
        unknown = await bank.ada.http.get(path, params={"account": "x"})
        assert "skip, limit, cursor, count" in unknown.json()["detail"][0]["msg"]
    euros = await bank.root.http.get("/accounts/", params={"currency": "EUR"})
    assert (euros.json()["count"], (await _dollars(bank)).json()["count"]) == (7, 0)


async def _dollars(bank: Bank) -> httpx2.Response:
    return await bank.root.http.get("/accounts/", params={"currency": "USD"})


# -- Idempotency-Key -------------------------------------------------------------------------------


async def test_key_answers_again_byte_for_byte_and_does_nothing_again(bank: Bank) -> None:
    """A success and a refusal alike, although the second could be carried out by now."""
    first, refused = await bank.transfer(300, key="one"), await bank.transfer(5000, key="two")
    assert_refused(refused, INSUFFICIENT_FUNDS)
    await bank.deposit(bank.adas, 5000)
    for again, before in (
        (await bank.transfer(300, key="one"), first),
        (await bank.transfer(300, key="one", unknown="is ignored"), first),
        (await bank.transfer(5000, key="two"), refused),
    ):
        assert (again.status_code, again.content) == (before.status_code, before.content)
        assert again.headers.get("ETag") == before.headers.get("ETag")
    assert await bank.balances() == (5700, 300)
    assert first.json()["idempotency_key"] == "one"


async def test_key_works_for_accounts_deposits_and_withdrawals(bank: Bank) -> None:
    """An account that has money by now, or is gone, is answered as it was when it was made."""
    requests = [
        (bank.ada, "/accounts/", {"name": "New", "currency": "EUR"}),
        (bank.root, f"/accounts/{bank.adas.id}/deposits", {"amount_minor": 5}),
        (bank.root, f"/accounts/{bank.adas.id}/withdrawals", {"amount_minor": 3}),
    ]
    for number, (person, path, body) in enumerate(requests):
        headers = {"Idempotency-Key": f"key-{number}"}
        first = await person.http.post(path, json=body, headers=headers)
        assert first.status_code == 200
        if path == "/accounts/":
            assert_ok(await bank.ada.http.delete(f"{path}{first.json()['id']}"), MESSAGE_ACCOUNT_DELETED)
        again = await person.http.post(path, json=body, headers=headers)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["ETag"] == first.headers["ETag"]
    assert await bank.balances() == (1002, 0)


async def test_key_for_another_request_is_a_422(bank: Bank) -> None:
    """Another body, another path; but another user's key is another key."""
    assert (await bank.transfer(1, key="k")).status_code == 200
    opened = await bank.ada.http.post(
        "/accounts/", json={"name": "New", "currency": "EUR"}, headers={"Idempotency-Key": "k"}
    )
    for reused in (await bank.transfer(2, key="k"), await bank.transfer(1, key="k", note="n"), opened):
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
        ((fault,),) = (reused.json()["detail"],)
        assert fault["loc"] == ["header", "idempotency-key"]
    assert (await bank.transfer(1, key="k", caller=bank.root)).status_code == 200
    assert await bank.balances() == (998, 2)


async def test_two_keys_in_one_request_are_a_422(bank: Bank) -> None:
    """Whichever counted: a repetition with the other one first would be paid again."""
    answer = await bank.ada.http.post(
        "/accounts/",
        json={"name": "New", "currency": "EUR"},
        headers=[("Idempotency-Key", "k"), ("Idempotency-Key", "l")],
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
    ((fault,),) = (answer.json()["detail"],)
    assert (fault["loc"], fault["type"]) == (["header", "idempotency-key"], "too_many_keys")


async def test_key_that_is_sent_twenty_times_at_once_is_carried_out_once(bank: Bank) -> None:
    """All get the one answer."""
    answers = await asyncio.gather(*(bank.transfer(10, key="once") for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert await bank.balances() == (990, 10)


async def test_key_has_a_form(bank: Bank) -> None:
    """1 to 255 visible ASCII characters; what is wrong in the body is told before the key is used."""
    for key in ("", "x" * 256, "with space", b"\xc3\xa9"):
        answer = await bank.transfer(1, key=key)
        assert_invalid(answer, ("header", "idempotency-key"))
    assert_invalid(await bank.transfer(0, key="k"), ("body", "amount_minor"))
    assert (await bank.transfer(1, key="k")).status_code == 200
    assert (await bank.transfer(1, key="x" * 255)).status_code == 200


# -- statements ------------------------------------------------------------------------------------


async def test_statement_has_all_entries_with_running_balances(bank: Bank) -> None:
    """Oldest first, signed; what happens afterwards is not in it. Strangers see nothing."""
    await bank.transfer(300, note="Lunch")
    await bank.transfer(100, caller=bank.ben, **_turned(bank))
    account = await bank.service.backend.accounts.get(bank.adas.id)
    entries = (await bank.service.backend.accounts.transfers(sort="created_at")).data
    answer = await bank.ada.http.get(f"/accounts/{bank.adas.id}/statement")
    shown = [shown_transfer(entry) for entry in entries]
    numbers = ((None, 1000, 1000), (bank.bens.id, -300, 700), (bank.bens.id, 100, 800))
    expected = [
        {
            "transfer_id": entry["id"],
            "other_account_id": other,
            "amount_minor": amount,
            "balance_minor": balance,
            "note": entry["note"],
            "created_at": entry["created_at"],
        }
        for entry, (other, amount, balance) in zip(shown, numbers, strict=True)
    ]
    assert_ok(answer, {"account": shown_account(account), "count": 3, "data": expected})
    assert_refused(await bank.ben.http.get(f"/accounts/{bank.adas.id}/statement"), NOT_OWNER)
    empty = await bank.account(bank.ada)
    answer = await bank.ada.http.get(f"/accounts/{empty.id}/statement")
    assert_ok(answer, {"account": shown_account(empty), "count": 0, "data": []})


async def test_statement_of_many_entries_is_sent_in_pieces(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one list all the same, also where the last piece is full."""
    monkeypatch.setattr(ledger, "STATEMENT_BATCH", 3)
    for count in range(2, 8):
        await bank.deposit(bank.adas, count)
        answer = await bank.ada.http.get(f"/accounts/{bank.adas.id}/statement")
        assert (answer.status_code, answer.json()["count"]) == (200, count)
        assert [entry["amount_minor"] for entry in answer.json()["data"]] == [1000, *range(2, count + 1)]
