"""Reads all accounts repeatedly during the load: the sum of the balances must never change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import cycle

from tests.proof.connection import Connection, Lost, get
from tests.proof.load import LONGEST_PAUSE_SECONDS, TIMEOUT_SECONDS, Load, Unexpected

ANSWERS_BETWEEN = 5
SAMPLES = 500
"""The number of samples of a long load: each one slows the load."""


class Sampler:
    """Reads the list of all accounts as a superuser."""

    def __init__(self, urls: Sequence[str], *, token: str, accounts: int, total: int) -> None:
        """Take the expected number of accounts and the expected sum."""
        self._urls = urls
        self._request = get("/accounts/?limit=100&count=none", token=token)
        self._expected = (accounts, total)
        self.samples = 0

    async def run(self, load: Load) -> None:
        """Read from the servers in turn until it is cancelled.

        It pauses for a few responses of the load between two samples, because each sample slows the load.

        Raises:
            Unexpected: The list did not have the expected sum.
        """
        connections = [Connection(url, timeout_seconds=TIMEOUT_SECONDS) for url in self._urls]
        try:
            for connection in cycle(connections):
                answered = load.answered
                if await self._sample(connection):
                    await load.reached(answered + max(ANSWERS_BETWEEN, load.total // SAMPLES))
                else:
                    await asyncio.sleep(LONGEST_PAUSE_SECONDS)
        finally:
            for connection in connections:
                await connection.close()

    async def _sample(self, connection: Connection) -> bool:
        """Check one sample; return False if there was no response."""
        try:
            reply = await connection.ask(self._request)
        except Lost:
            return False
        if reply.status == 503:
            return False
        if reply.status != 200:
            raise Unexpected(f"the list of accounts was answered {reply.status} {reply.body!r}")
        balances = [account["balance_minor"] for account in json.loads(reply.body)["data"]]
        if min(balances) < 0:
            raise Unexpected(f"a balance is negative: {balances}")
        if (len(balances), sum(balances)) != self._expected:
            raise Unexpected(f"{len(balances)} accounts with {sum(balances)}, not {self._expected}")
        self.samples += 1
        return True
