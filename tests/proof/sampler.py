"""Reads all accounts again and again while money moves: at no moment may there be more or less of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import cycle

from tests.proof.connection import Connection, Lost, get
from tests.proof.load import LONGEST_PAUSE_SECONDS, TIMEOUT_SECONDS, Load, Unexpected

ANSWERS_BETWEEN = 5
SAMPLES = 500
"""Enough of a long load, which waits for what is read meanwhile."""


class Sampler:
    """A superuser who reads the list of all accounts."""

    def __init__(self, urls: Sequence[str], *, token: str, accounts: int, total: int) -> None:
        """Take what each list must hold: so many accounts, and so much money in them."""
        self._urls = urls
        self._request = get("/accounts/?limit=100&count=none", token=token)
        self._expected = (accounts, total)
        self.samples = 0

    async def run(self, load: Load) -> None:
        """Read until it is cancelled, by turns from each server.

        What is read without a pause is what the load waits for: so only after every few answers.

        Raises:
            Unexpected: A list did not add up.
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
        """Return whether there was an answer, which is checked then."""
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
