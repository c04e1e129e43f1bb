"""Ctrl-C and SIGTERM while there is a scratch place, which has to go before the command may end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_signals(stop: Callable[..., object]) -> Iterator[None]:
    """Call `stop` at each signal, and let nothing be interrupted but by what it does."""
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore further signals: the command is about to end by itself."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
