"""Throttling of what can be guessed: passwords, and mails that anyone can have sent.

The limits are those of the settings, in the notation of the `limits` library, and are counted in the
database, which all workers share. Only failures count, so whoever has the right password is never
slowed down by using it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from ipaddress import IPv6Address, ip_address
from math import ceil
from time import time
from typing import TYPE_CHECKING

from api.errors import ApiError, too_many_attempts
from api.security import HASHING_THREADS
from backends.ids import utc_now
from backends.models import normalise_email
from backends.protocols import CounterRepository
from config import Settings

if TYPE_CHECKING:
    from limits import RateLimitItem

    from api.rate_limits import RateLimits

# An account's limit for all clients together, as a multiple of the limit for one: what a botnet is held to.
ACCOUNT_FACTOR = 5

# How long a client that had the right password is not held to that limit: so nobody can lock an owner out
# of where he signs in, unless from his own address.
KNOWN_CLIENT = timedelta(days=30)


@dataclass(slots=True)
class Attempt:
    """A try of a password; whoever makes it says how it went."""

    succeeded: bool = False


class Throttle:
    """Counts attempts, and refuses those that are too many."""

    def __init__(self, counters: CounterRepository, settings: Settings) -> None:
        self._counters = counters
        self._settings = settings
        self._hashing = asyncio.Semaphore(HASHING_THREADS)

    @cached_property
    def _rates(self) -> RateLimits:
        from api.rate_limits import RateLimits  # noqa: PLC0415 - slow to import, and nobody has signed in yet

        return RateLimits(self._counters, self._settings)

    @asynccontextmanager
    async def attempt(self, account: str, client: str) -> AsyncIterator[Attempt]:
        """Let the body try the password of an account; count it unless it says that it succeeded.

        As many bodies run at once as can hash at once, so that a thousand attempts at the same moment are
        not a thousand guesses: at most that many were not yet counted when the next one is checked.

        Raises:
            ApiError: TOO_MANY_ATTEMPTS, with the seconds to wait.
        """
        account, client = _account_key(account), _key(client)
        pair = f"{account}:{client}"
        limits = [(self._rates.login, pair), (self._rates.login_of_client, client)]
        known = await self._counters.get(f"known:{pair}")
        if known is None:
            limits.append((_times(self._rates.login, ACCOUNT_FACTOR), account))
        # Whoever is refused does not wait, and keeps nobody waiting.
        await self._refuse_if_reached(limits)
        async with self._hashing:
            await self._refuse_if_reached(limits)
            attempt = Attempt()
            yield attempt
            if not attempt.succeeded:
                for limit, key in limits:
                    await self._rates.limiter.hit(limit, "login", key)
            elif known is None or known.ends_at - utc_now() < KNOWN_CLIENT / 2:
                await self._remember(pair)

    async def remember(self, account: str, client: str) -> None:
        """Take the client for one that knows the account's password."""
        await self._remember(f"{_account_key(account)}:{_key(client)}")

    async def _remember(self, pair: str) -> None:
        await self._counters.delete(f"known:{pair}")  # a running counter would keep its end
        await self._counters.add(f"known:{pair}", 1, lasts_seconds=int(KNOWN_CLIENT.total_seconds()))

    async def may_mail(self, address: str, client: str) -> bool:
        """Count a request for a mail to this address; tell whether the mail may be sent.

        What many clients together ask for one address is answered as ever but mails no more: the mails
        that were sent are still good.

        Raises:
            ApiError: TOO_MANY_ATTEMPTS: this client asked too often.
        """
        account, client = _account_key(address), _key(client)
        rates = self._rates
        # The client's own first: who is refused by it makes no counters for any number of addresses.
        for limit, key in ((rates.recovery_of_client, client), (rates.recovery, f"{account}:{client}")):
            if not await rates.limiter.hit(limit, "recovery", key):
                await self._refuse(limit, "recovery", key)
        return await rates.limiter.hit(_times(rates.recovery, ACCOUNT_FACTOR), "recovery", account)

    async def _refuse_if_reached(self, limits: list[tuple[RateLimitItem, str]]) -> None:
        for limit, key in limits:
            if not await self._rates.limiter.test(limit, "login", key):
                await self._refuse(limit, "login", key)

    async def _refuse(self, limit: RateLimitItem, purpose: str, key: str) -> None:
        stats = await self._rates.limiter.get_window_stats(limit, purpose, key)
        raise ApiError(too_many_attempts(max(1, ceil(stats.reset_time - time()))))


def client_key(host: str | None) -> str:
    """Return whom an address stands for: with IPv6 a whole /64, which is what one client is given."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


def _account_key(account: str) -> str:
    with suppress(ValueError):  # no address at all, and yet somebody may try it
        account = normalise_email(account)
    return _key(account)


def _key(text: str) -> str:
    """Keep addresses out of the store, and keys short."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _times(limit: RateLimitItem, factor: int) -> RateLimitItem:
    return type(limit)(limit.amount * factor, limit.multiples)
