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
from typing import TYPE_CHECKING

from api.errors import ApiError, too_many_attempts
from api.security import HASHING_THREADS
from backends.models import normalise_email
from backends.protocols import CLOCK_TOLERANCE, CounterRepository
from config import Settings

if TYPE_CHECKING:
    from api.rate_limits import RateLimits, Window

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
        rates = self._rates
        windows = [rates.login.window(pair), rates.login_of_client.window(client)]
        known = await self._counters.get(f"known:{pair}")
        if known is None or known.remaining > KNOWN_CLIENT + CLOCK_TOLERANCE:
            windows.append(rates.login_of_account.window(account))
        # Whoever is refused does not wait, and keeps nobody waiting.
        await self._refuse_if_reached(windows)
        async with self._hashing:
            await self._refuse_if_reached(windows)
            attempt = Attempt()
            yield attempt
            if not attempt.succeeded:
                for window in windows:
                    await rates.hit(window)
            elif known is None or not KNOWN_CLIENT / 2 <= known.remaining <= KNOWN_CLIENT:
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
        for window in (
            rates.recovery_of_client.window(client),
            rates.recovery.window(f"{account}:{client}"),
        ):
            _refuse_if(await rates.hit(window))
        return await rates.hit(rates.recovery_of_account.window(account)) is None

    async def _refuse_if_reached(self, windows: list[Window]) -> None:
        for window in windows:
            _refuse_if(await self._rates.find_wait(window))


def _refuse_if(seconds_to_wait: int | None) -> None:
    if seconds_to_wait is not None:
        raise ApiError(too_many_attempts(seconds_to_wait))


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
