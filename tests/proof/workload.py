"""What the clients will ask for, made whole before the load begins: all chance is in here."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.proof.connection import post

INITIAL_MINOR = 20_000
MAX_MINOR = 2_000


class Manner(Enum):
    """How an order is sent."""

    ONCE = auto()
    AT_BOTH_SERVERS_AT_ONCE = auto()
    AGAIN_LATER = auto()
    HANGING_UP_FIRST = auto()


# A third is sent twice; some hang up before the answer and ask again.
MANNERS = {
    Manner.ONCE: 64,
    Manner.AT_BOTH_SERVERS_AT_ONCE: 17,
    Manner.AGAIN_LATER: 17,
    Manner.HANGING_UP_FIRST: 2,
}


@dataclass(frozen=True, slots=True)
class Order:
    """Money to be moved, once: from one account to another, or in (no source), or out (no target)."""

    key: str
    source: str | None
    target: str | None
    amount: int
    request: bytes = field(repr=False, default=b"")
    manner: Manner = Manner.ONCE
    server: int = 0
    """Which of the two servers is asked first."""


class OrderBook:
    """Makes orders of a seed and of the accounts that there are."""

    def __init__(self, seed: int, tokens: Mapping[str, str], *, superuser_token: str) -> None:
        """Take the accounts, each with a token of its owner."""
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._accounts = list(tokens)
        self._tokens = tokens
        self._superuser_token = superuser_token

    def deposits(self) -> list[Order]:
        """Return what fills each account first, the same for all."""
        return [self._from_outside("deposits", account, INITIAL_MINOR) for account in self._accounts]

    def withdrawals(self) -> list[Order]:
        """Return what takes a bit of every other account."""
        amounts = [(account, self._random.randint(1, MAX_MINOR)) for account in self._accounts[::2]]
        return [self._from_outside("withdrawals", account, amount) for account, amount in amounts]

    def transfers(self, count: int) -> list[Order]:
        """Return so many transfers; the first accounts take part in most of them."""
        weights = [1 / (rank + 1) for rank in range(len(self._accounts))]
        manners = self._random.choices(list(MANNERS), list(MANNERS.values()), k=count)
        return [self._transfer(self._pair(weights), manner) for manner in manners]

    def _pair(self, weights: Sequence[float]) -> tuple[str, str]:
        while True:
            source, target = self._random.choices(self._accounts, weights, k=2)
            if source != target:
                return source, target

    def _transfer(self, pair: tuple[str, str], manner: Manner) -> Order:
        source, target = pair
        amount = self._random.randint(1, MAX_MINOR)
        # Whoever may order it: the owner, and every tenth time the superuser.
        token = self._superuser_token if self._random.random() < 0.1 else self._tokens[source]
        body = {"from_account_id": source, "to_account_id": target, "amount_minor": amount}
        key = self._key()
        request = post("/transfers/", json.dumps(body).encode(), token=token, key=key)
        return Order(key, source, target, amount, request, manner, self._random.randrange(2))

    def _from_outside(self, what: str, account: str, amount: int) -> Order:
        body = json.dumps({"amount_minor": amount, "note": what}).encode()
        key = self._key()
        request = post(f"/accounts/{account}/{what}", body, token=self._superuser_token, key=key)
        source, target = (None, account) if what == "deposits" else (account, None)
        return Order(key, source, target, amount, request)

    def _key(self) -> str:
        return self._random.randbytes(12).hex()
