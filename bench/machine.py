"""CPU affinity, CPU time and memory of processes. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None)


class MachineError(Exception):
    """This machine can't run the benchmarks."""


def run(measure: Callable[[int, int], None]) -> None:
    """Call the function with two cores: one for the server under test, one for everything else.

    However it ends, what it has started is ended by its own `with` blocks, also after SIGTERM; where
    nothing can be measured, the process ends with a sentence that says why.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        core, other = _two_cores()
        os.sched_setaffinity(0, {other})
        measure(core, other)
    except MachineError as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        sys.exit(130)


def _two_cores() -> tuple[int, int]:
    if not hasattr(os, "sched_getaffinity"):
        raise MachineError("Processes are kept on their cores on Linux only.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise MachineError("Two cores are needed: one for the server, one for the database and the load.")
    return cores[0], cores[1]


@contextmanager
def running_on(*cores: int) -> Iterator[None]:
    """Pin this thread to these cores; child processes that it starts meanwhile stay pinned."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes, from a clock that is finer than `/proc/<pid>/stat`."""
    clock, seconds = ctypes.c_int(), 0.0
    for pid in pids:
        if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)) == 0:  # otherwise the process has ended
            with suppress(OSError):
                seconds += time.clock_gettime(clock.value)
    return seconds


def resident_bytes(pid: int) -> int:
    """Return the resident memory of the largest process of a process tree."""
    return max(
        int(Path(f"/proc/{member}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for member in family(pid)
    )


def family(pid: int) -> set[int]:
    """Return a process and its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # the process has just ended
            parents[int(path.parent.name)] = int(path.read_text().rpartition(") ")[2].split()[1])
    members = {pid}
    while more := {each for each, parent in parents.items() if parent in members} - members:
        members |= more
    return members
