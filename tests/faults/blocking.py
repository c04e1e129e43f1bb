"""Faults of blocking access: calls, interruption, forks and the end."""

from __future__ import annotations

from tests.faults.fault import Fault

_LOOP, _OPENED = "eitherdb/blocking/event_loop.py", "eitherdb/blocking/opened.py"
_CALLS, _SERVERS = "tests/unit/test_blocking_calls.py", "tests/backends/test_blocking.py"


def _in(file: str, what: str, old: str, new: str, *, first: str = _CALLS) -> Fault:
    return Fault(what, file, ((old, new),), first, "postgres")


FAULTS = [
    _in(
        _LOOP,
        "an interrupted call that goes on",
        "                self._loop.call_soon_threadsafe(self._cancel)\n",
        "                self._loop.call_soon_threadsafe(lambda: None)\n",
    ),
    _in(
        _LOOP,
        "an interrupted caller who does not wait",
        "(self._cancel)\n                with self._ended:\n                    pass\n",
        "(self._cancel)\n",
    ),
    _in(
        _LOOP,
        "an end of the event loop that forgets running calls",
        "            while self._running:\n",
        "            while self._running and self._failure:\n",
    ),
    _in(_LOOP, "a call after the last one, that waits for ever", "= is_last\n", "= False\n"),
    _in(
        _OPENED,
        "a forked process on the connections of its parent",
        "ctypes.py_object((self._thread, self.backend)))\n            self._thread = None\n",
        "ctypes.py_object((self._thread, self.backend)))\n",
        first=_SERVERS,
    ),
    _in(
        _OPENED,
        "a failed opening that leaves its thread",
        "        except BaseException:\n            thread.stop()\n",
        "        except BaseException:\n",
    ),
]
