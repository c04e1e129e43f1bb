"""The workload: all orders, generated from a seed before the load begins."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.proof.connection import post

INITIAL_MINOR = 20_000
MAX_MINOR = 2_000


class SendMode(Enum):
    """How an order is sent."""

    ONCE = auto()
    TWICE_CONCURRENTLY = auto()
    TWICE_LATER = auto()
    DISCONNECT_THEN_RETRY = auto()


# A third is sent twice. A few clients disconnect before the response and retry.
SEND_MODE_WEIGHTS = {
    SendMode.ONCE: 64,
    SendMode.TWICE_CONCURRENTLY: 17,
    SendMode.TWICE_LATER: 17,
    SendMode.DISCONNECT_THEN_RETRY: 2,
}


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer, a deposit (no source) or a withdrawal (no target), to be executed once."""

    key: str
    source: str | None
    target: str | None
    amount: int
    request: bytes = field(repr=False, default=b"")
    mode: SendMode = SendMode.ONCE
    server: int = 0
    """The index of the server that gets it first."""


class Workload:
    """Generates orders for the existing accounts from a seed."""

    def __init__(self, seed: int, tokens: Mapping[str, str], *, superuser_token: str) -> None:
        """Take the accounts with the tokens of their owners."""
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._accounts = list(tokens)
        self._tokens = tokens
        self._superuser_token = superuser_token

    def deposits(self) -> list[Order]:
        """Return one deposit per account, all of the same amount."""
        return [self._from_outside("deposits", account, INITIAL_MINOR) for account in self._accounts]

    def withdrawals(self) -> list[Order]:
        """Return withdrawals from every other account."""
        amounts = [(account, self._random.randint(1, MAX_MINOR)) for account in self._accounts[::2]]
        return [self._from_outside("withdrawals", account, amount) for account, amount in amounts]

    def transfers(self, count: int) -> list[Order]:
        """Return transfers; the first accounts take part in most of them."""
        weights = [1 / (rank + 1) for rank in range(len(self._accounts))]
        modes = self._random.choices(list(SEND_MODE_WEIGHTS), list(SEND_MODE_WEIGHTS.values()), k=count)
        return [self._transfer(self._pair(weights), mode) for mode in modes]

    def _pair(self, weights: Sequence[float]) -> tuple[str, str]:
        while True:
            source, target = self._random.choices(self._accounts, weights, k=2)
            if source != target:
                return source, target

    def _transfer(self, pair: tuple[str, str], mode: SendMode) -> Order:
        source, target = pair
        amount = self._random.randint(1, MAX_MINOR)
        # The owner orders it; every tenth time the superuser does.
        token = self._superuser_token if self._random.random() < 0.1 else self._tokens[source]
        body = {"from_account_id": source, "to_account_id": target, "amount_minor": amount}
        key = self._key()
        request = post("/transfers/", json.dumps(body).encode(), token=token, key=key)
        return Order(key, source, target, amount, request, mode, self._random.randrange(2))

    def _from_outside(self, what: str, account: str, amount: int) -> Order:
        body = json.dumps({"amount_minor": amount, "note": what}).encode()
        key = self._key()
        request = post(f"/accounts/{account}/{what}", body, token=self._superuser_token, key=key)
        source, target = (None, account) if what == "deposits" else (account, None)
        return Order(key, source, target, amount, request)

    def _key(self) -> str:
        return self._random.randbytes(12).hex()
