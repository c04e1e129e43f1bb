"""Missing capabilities: logged at start-up, and refused with 501."""

from __future__ import annotations

import pytest

from backends.capabilities import Capability
from backends.models import NewAccount
from tests.api.responses import ACCOUNT_NOT_FOUND, NO_TRANSACTIONS, assert_refused
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
        logged = {record.getMessage() for record in caplog.records if record.name == "api.app"}
        assert {line for line in logged if line.startswith("no ")} == {
            f"no {capability}: {capability.loss}; {capability.remedy}" for capability in absent
        }


async def test_money_moves_where_there_are_transactions_only(provision: Provision) -> None:
    """Elsewhere accounts can be opened; deposits, transfers and withdrawals are 501, whatever they name."""
    await provision.clean()
    async with serve(provision) as service:
        able = Capability.TRANSACTIONS in service.backend.capabilities
        root = await service.superuser("superuser@example.com")
        accounts = service.backend.accounts
        new = NewAccount(name="A", currency="EUR")
        ids = [(await accounts.add(new, owner_id=root.id)).id for _ in range(2)]
        body = {"from_account_id": ids[0], "to_account_id": ids[1], "amount_minor": 1}
        for path in (f"/accounts/{ids[0]}/deposits", "/transfers/", f"/accounts/{ids[1]}/withdrawals"):
            answer = await root.http.post(path, json=body)
            if able:
                assert answer.status_code == 200
            else:
                assert_refused(answer, NO_TRANSACTIONS)
        unknown = await root.http.post("/accounts/x/deposits", json=body)
        assert_refused(unknown, ACCOUNT_NOT_FOUND if able else NO_TRANSACTIONS)
        key = {"Idempotency-Key": "k"}
        opened = await root.http.post("/accounts/", json={"name": "A", "currency": "EUR"}, headers=key)
        assert opened.status_code == (200 if able else 501)
        versions = [account.version for account in (await accounts.list(sort="created_at")).data]
        assert versions == ([3, 3, 1] if able else [1, 1])
        assert (await accounts.transfers()).count == (3 if able else 0)
