"""Measures the contenders in alternating rounds, so that noise affects all of them alike."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.contenders import Contender, Server, serving
from bench.databases import Database
from bench.load import load
from bench.machine import cpu_seconds, family
from bench.results import Result, Sample, compare
from bench.workloads import Workloads
from tests.proof.connection import Connection

CONCURRENCY = 32

Requests = Mapping[str, Sequence[bytes]]
Watched = tuple[set[int], set[int]]
"""The processes of a server and of its database."""


class Unequal(Exception):
    """Two contenders respond differently to the same request, so they can't be compared."""


@contextmanager
def all_serving(
    contenders: Sequence[Contender], database: Database, folder: Path, core: int
) -> Iterator[list[Server]]:
    """Run all servers on one core; only one gets requests at a time."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(each, database, folder, cores=(core,))) for each in contenders]


def watch(server: Server, database: Database) -> Watched:
    """Return the processes of both."""
    return family(server.pid), set() if database.pid is None else family(database.pid)


def measure(
    server: Server,
    database: Database,
    requests: Sequence[bytes],
    *,
    seconds: float,
    concurrency: int = CONCURRENCY,
    watched: Watched | None = None,
) -> Sample:
    """Measure a server once.

    Args:
        server: The server.
        database: The database of the server.
        requests: The requests, sent repeatedly.
        seconds: The duration of the measurement.
        concurrency: The number of connections.
        watched: The result of `watch`, if no process was started since.
    """
    processes, of_database = watched or watch(server, database)
    gauges = [lambda: cpu_seconds(processes), time.process_time, lambda: cpu_seconds(of_database)]
    found = load(
        server.port,
        requests,
        concurrency=concurrency,
        seconds=seconds,
        gauges=gauges,
    )
    cpu, load_cpu, database_cpu = (1000 * each / found.requests for each in found.used)
    return Sample(
        per_second=found.requests / found.seconds,
        p50_ms=found.percentile(50),
        p99_ms=found.percentile(99),
        max_ms=found.milliseconds[-1],
        cpu_ms=cpu,
        database_cpu_ms=database_cpu,
        load_cpu_ms=load_cpu,
    )


def in_turns(
    servers: Sequence[Server], database: Database, requests: Requests, *, rounds: int, seconds: float
) -> list[Result]:
    """Measure all servers with all workloads. The ratios refer to the first server that is a baseline."""
    baseline = next(each.contender.name for each in servers if each.contender.framework)
    for server in servers:
        for some in requests.values():  # warm-up: connections are opened, caches are filled
            measure(server, database, some, seconds=0.1)
    watched = [watch(server, database) for server in servers]
    samples: dict[str, dict[str, list[Sample]]] = {name: {} for name in requests}
    for number in range(rounds):
        for name, some in requests.items():
            # The first place rotates.
            for place in range(len(servers)):
                turn = (place + number) % len(servers)
                sample = measure(
                    servers[turn],
                    database,
                    some,
                    seconds=seconds,
                    watched=watched[turn],
                )
                samples[name].setdefault(servers[turn].contender.name, []).append(sample)
    names = [server.contender.name for server in servers]
    return [
        result
        for name, found in samples.items()
        for result in compare(database.name, name, {each: found[each] for each in names}, baseline=baseline)
    ]


def requests_for(database: Database, workloads: Sequence[str]) -> Requests:
    """Return the requests of these workloads for the rows of the database."""
    made = Workloads(database.data)
    return {name: made.requests(name) for name in workloads}


def check_answers(servers: Sequence[Server], requests: Requests) -> None:
    """Check that all servers respond alike, except for generated values and cursors.

    Raises:
        Unequal: They don't.
    """
    for name, some in requests.items():
        answers = {server.contender.name: asyncio.run(_ask(server.port, some[0])) for server in servers}
        if len(set(answers.values())) > 1:
            lines = "\n".join(f"{each}: {answer[:500]}" for each, answer in answers.items())
            raise Unequal(f"{name} is answered differently:\n{lines}")


async def _ask(port: int, request: bytes) -> str:
    connection = Connection(f"http://127.0.0.1:{port}", timeout_seconds=30)
    reply = await connection.ask(request)
    await connection.close()
    shown = json.loads(reply.body)
    if b'"next_cursor"' in reply.body:
        shown["next_cursor"] = "signed by EitherDB alone"
    elif request.startswith(b"POST"):
        shown |= {"id": "new", "created_at": "now"}
    return f"{reply.status} {json.dumps(shown)}"
