"""Throttling of password attempts and of requests for password recovery emails.

The settings contain the limits. The counters are in the database, which all workers share. Only failed
password attempts count, so a client with the right password is not throttled.
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

# A client that had the right password is exempt from the limit per account for this time. So an attacker
# can't lock users out of the clients from which they log in.
KNOWN_CLIENT = timedelta(days=30)


@dataclass(slots=True)
class Attempt:
    """A password attempt. The caller sets `succeeded`."""

    succeeded: bool = False


class Throttle:
    """Counts attempts and rejects those above the rate limits."""

    def __init__(self, counters: CounterRepository, settings: Settings) -> None:
        self._counters = counters
        self._settings = settings
        self._hashing = asyncio.Semaphore(HASHING_THREADS)

    @cached_property
    def _rates(self) -> RateLimits:
        from api.rate_limits import RateLimits  # noqa: PLC0415 - slow to import, needed by the first login

        return RateLimits(self._counters, self._settings)

    @asynccontextmanager
    async def attempt(self, account: str, client: str) -> AsyncIterator[Attempt]:
        """Return an async context manager for a password attempt. A failed attempt counts.

        At most HASHING_THREADS attempts run the block at a time. So at most that many attempts are checked
        but not yet counted.

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
        # A rejected attempt does not wait for the semaphore.
        await self._raise_if_reached(windows)
        async with self._hashing:
            await self._raise_if_reached(windows)
            attempt = Attempt()
            yield attempt
            if not attempt.succeeded:
                for window in windows:
                    await rates.hit(window)
            elif known is None or not KNOWN_CLIENT / 2 <= known.remaining <= KNOWN_CLIENT:
                await self._remember(pair)

    async def remember(self, account: str, client: str) -> None:
        """Record that the client knows the password of the account."""
        await self._remember(f"{_account_key(account)}:{_key(client)}")

    async def _remember(self, pair: str) -> None:
        await self._counters.delete(f"known:{pair}")  # an existing counter would keep its end
        await self._counters.add(f"known:{pair}", 1, lasts_seconds=int(KNOWN_CLIENT.total_seconds()))

    async def allow_email(self, address: str, client: str) -> bool:
        """Count a request for an email to this address. Return whether to send the email.

        False means that all clients together reached the limit of the address. The response does not reveal
        it, and the emails that were sent before stay valid.

        Raises:
            ApiError: TOO_MANY_ATTEMPTS: this client reached its limit.
        """
        account, client = _account_key(address), _key(client)
        rates = self._rates
        # The limit per client comes first: a client above it creates no further counters.
        for window in (
            rates.recovery_of_client.window(client),
            rates.recovery.window(f"{account}:{client}"),
        ):
            _raise_if_limited(await rates.hit(window))
        return await rates.hit(rates.recovery_of_account.window(account)) is None

    async def _raise_if_reached(self, windows: list[Window]) -> None:
        for window in windows:
            _raise_if_limited(await self._rates.find_retry_after(window))


def _raise_if_limited(seconds_to_wait: int | None) -> None:
    if seconds_to_wait is not None:
        raise ApiError(too_many_attempts(seconds_to_wait))


def client_key(host: str | None) -> str:
    """Return the key of the client with this IP address. An IPv6 client is a /64 network."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


def _account_key(account: str) -> str:
    with suppress(ValueError):  # clients may try invalid addresses
        account = normalise_email(account)
    return _key(account)


def _key(text: str) -> str:
    """Return a short hash, so that the database contains no addresses."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
