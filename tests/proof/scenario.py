"""A complete run: create accounts, transfer money under load, read all data, check the history."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2

from config import Settings
from tests.proof.connection import API
from tests.proof.faults import Faults
from tests.proof.history import History, Line, Statement
from tests.proof.ledger import read_ledger
from tests.proof.load import Answer, Load
from tests.proof.processes import PASSWORD, SUPERUSER, Serve
from tests.proof.sampler import Sampler
from tests.proof.workload import Order, Workload

logger = logging.getLogger(__name__)

TRANSFERS = 600
"""In `make test`. `make proof` runs 10,000, and the runs with crashes."""

OWNERS = 5
ACCOUNTS_EACH = 4
ASKED_AGAIN_AT_THE_END = 500


class Scenario:
    """Two servers and the accounts that are created through them."""

    def __init__(self, settings: Settings, servers: Sequence[Serve]) -> None:
        self._settings, self._servers = settings, servers
        self._urls = [server.url for server in servers]
        self._tokens: dict[str, str] = {}
        self._superuser_token = ""
        self._orders: list[Order] = []
        self._answers: dict[str, list[Answer]] = defaultdict(list)

    async def run_load(self, faults: Faults | None = None) -> None:
        """Run the load with the faults; then check the history.

        `PROOF_SEED` repeats the workload of a failure, but not the scheduling of the processes.
        `PROOF_TRANSFERS` sets the number of transfers.
        """
        faults = faults or Faults()
        transfers = int(os.environ.get("PROOF_TRANSFERS") or TRANSFERS)
        seed = int(os.environ.get("PROOF_SEED") or secrets.randbits(32))
        try:
            async with self._client() as client:
                await self._create_accounts(client)
                await self._move_money(seed, transfers, faults)
                violations = (await self._history(client)).violations()
            assert violations == [], "\n".join([f"{len(violations)} violations:", *violations[:20]])
            assert len(faults.injected_at) == len(faults.actions)
        except BaseException as exc:
            exc.add_note(f"PROOF_SEED={seed}")
            for server in self._servers:
                exc.add_note(f"{server.url} wrote at last:\n{server.output[-3000:]}")
            raise
        assert not any("Traceback" in server.output for server in self._servers), "see the servers' output"

    async def _move_money(self, seed: int, transfers: int, faults: Faults) -> None:
        workload = Workload(seed, self._tokens, superuser_token=self._superuser_token)
        deposits, withdrawals = workload.deposits(), workload.withdrawals()
        for orders in (deposits, withdrawals):
            await self._run(Load(self._urls, orders), orders)
        total = sum(order.amount for order in deposits) - sum(order.amount for order in withdrawals)
        sampler = Sampler(self._urls, token=self._superuser_token, accounts=len(self._tokens), total=total)
        orders = workload.transfers(transfers)
        load = Load(self._urls, orders)
        async with asyncio.TaskGroup() as tasks:
            sampling = tasks.create_task(sampler.run(load))
            tasks.create_task(faults.inject(load))
            await self._run(load, orders)
            sampling.cancel()
        _report(load, sampler, faults)
        assert sampler.samples > 10, "too few samples of the balances"
        again = random.Random(seed).sample(self._orders, k=min(len(self._orders), ASKED_AGAIN_AT_THE_END))  # noqa: S311 - no secret
        await self._run(Load(self._urls, again), [])

    async def _run(self, load: Load, orders: Sequence[Order]) -> None:
        self._orders += orders
        await load.run()
        for key, answers in load.answers.items():
            self._answers[key] += answers

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=self._urls[0] + API, timeout=60, trust_env=False) as client:
            self._superuser_token = await _log_in(client, SUPERUSER)
            yield client

    async def _create_accounts(self, client: httpx2.AsyncClient) -> None:
        """Create owners with accounts."""
        for number in range(OWNERS):
            email = f"owner{number}@example.com"
            form = {"email": email, "password": PASSWORD, "full_name": ""}
            (await client.post("/private/users/", json=form)).raise_for_status()
            token = await _log_in(client, email)
            for name in range(ACCOUNTS_EACH):
                answer = await client.post(
                    "/accounts/",
                    json={"name": f"{name}", "currency": "EUR"},
                    headers={"Authorization": f"Bearer {token}"},
                )
                self._tokens[answer.raise_for_status().json()["id"]] = token

    async def _history(self, client: httpx2.AsyncClient) -> History:
        accounts, entries = await read_ledger(self._settings)
        return History(
            orders=self._orders,
            answers=self._answers,
            accounts=accounts,
            entries=entries,
            statements={id_: await self._statement(client, id_) for id_ in self._tokens},
        )

    async def _statement(self, client: httpx2.AsyncClient, account_id: str) -> Statement:
        headers = {"Authorization": f"Bearer {self._superuser_token}"}
        answer = await client.get(f"/accounts/{account_id}/statement", headers=headers)
        body = answer.raise_for_status().json()
        assert body["count"] == len(body["data"])
        lines = (Line(*(entry[name] for name in Line._fields)) for entry in body["data"])
        return Statement(body["account"]["balance_minor"], tuple(lines))


async def _log_in(client: httpx2.AsyncClient, email: str) -> str:
    form = {"username": email, "password": PASSWORD}
    answer = await client.post("/login/access-token", data=form)
    return str(answer.raise_for_status().json()["access_token"])


def _report(load: Load, sampler: Sampler, faults: Faults) -> None:
    """Log the figures of a run; `--log-cli-level=INFO` shows them."""
    statuses = Counter(answer.status for answers in load.answers.values() for answer in answers)
    logger.info(
        "%d orders in %.1f s: %.0f/s; final answers %s; %s; %d samples; faults after %s",
        load.total,
        load.seconds,
        load.total / load.seconds,
        dict(statuses),
        dict(load.counts),
        sampler.samples,
        faults.injected_at,
    )
