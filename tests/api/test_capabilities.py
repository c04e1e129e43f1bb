"""What a server can't do is told when the application starts, and refused whole."""

from __future__ import annotations

import pytest

from backends.capabilities import Capability
from backends.models import NewAccount
from tests.api.answers import NO_TRANSACTIONS, assert_refused
from tests.api.service import serve
from tests.conftest import EVERY_BACKEND
from tests.provision import Provision

pytestmark = EVERY_BACKEND


async def test_start_says_what_the_server_can_not_do(
    provision: Provision, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each capability that is absent, with the remedy."""
    await provision.clean()
    async with serve(provision) as service:
        absent = set(Capability) - service.backend.capabilities
        told = {record.getMessage() for record in caplog.records if record.name == "api.app"}
        assert told == {
            f"no {capability}: what needs it answers 501; {capability.remedy}" for capability in absent
        }


async def test_money_is_refused_without_transactions(provision: Provision) -> None:
    """Accounts can be opened; deposits, withdrawals and transfers are 501, whatever they name."""
    await provision.clean()
    async with serve(provision) as service:
        if Capability.TRANSACTIONS in service.backend.capabilities:
            return
        root = await service.superuser("superuser@example.com")
        accounts = service.backend.accounts
        ids = [
            (await accounts.add(NewAccount(name="A", currency="EUR"), owner_id=root.id)).id
            for _ in range(2)
        ]
        body = {"from_account_id": ids[0], "to_account_id": ids[1], "amount_minor": 1}
        for path in (
            "/transfers/",
            f"/accounts/{ids[0]}/deposits",
            f"/accounts/{ids[0]}/withdrawals",
            "/accounts/x/deposits",
        ):
            assert_refused(await root.http.post(path, json=body), NO_TRANSACTIONS)
        key = {"Idempotency-Key": "k"}
        opened = await root.http.post("/accounts/", json={"name": "A", "currency": "EUR"}, headers=key)
        assert_refused(opened, NO_TRANSACTIONS)
        page = await accounts.list()
        assert [account.version for account in page.data] == [1, 1]
        assert (await accounts.transfers()).count == 0
