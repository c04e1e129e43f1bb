"""Handlers for Ctrl-C and SIGTERM, for commands that tidy up or finish a step before they end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_signals(stop: Callable[..., object]) -> Iterator[None]:
    """Call `stop` on each signal instead of raising `KeyboardInterrupt`."""
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore further signals: the command is about to end."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
