"""The command: its options, the order of the measurements, its output and its exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backends.models.resources.loading import load_resources
from cli.database import naming_the_url, shown_url
from cli.revisions import read_declared, require_revisions
from cli.signals import ignore_signals, on_signals
from cli.usage_error import refusal
from config import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.capabilities import Capability
    from backends.protocols import ServerInfo
    from cli.conformance.isolation import Finding
    from cli.conformance.latencies import Latency
    from cli.conformance.provision import ScratchProvision
    from cli.conformance.suite import Outcome
    from eitherdb_contract.rules import Rule
    from migrations.resources.history import History

_NEEDED = ("pytest", "pytest_asyncio", "pytest_timeout", "hypothesis")


def conformance(
    *,
    json_file: Annotated[
        Path, typer.Option("--json", metavar="FILE", help="Path of the JSON report.")
    ] = Path("conformance.json"),
    html_file: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="Path of the HTML report.")
    ] = Path("conformance.html"),
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Test only this rule (`Search`, …); may be repeated."),
    ] = None,
) -> None:
    """Test every rule of docs/semantics.md on the configured database, and write a report.

    Tests the declared resources of RESOURCES too, in tables that their revisions create.
    Works in a scratch database on the server (a schema, a database or a file) and drops it at the end.
    Takes a minute or two and loads the server: don't run it on a busy server.

    Exit code 0: the database conforms. 1: a rule failed. 2: nothing could be tested.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise refusal(f"conformance needs {', '.join(missing)}: run `pip install 'eitherdb[contract]'`")
    for file in (json_file, html_file):
        if not os.access(file if file.exists() else file.parent, os.W_OK) or file.is_dir():
            raise refusal(f"{file} can't be written: use another file")
    from eitherdb_contract.rules import all_rules

    rules = [known for known in all_rules() if not rule or known.name in rule]
    if unknown := set(rule or []) - {known.name for known in rules}:
        names = ", ".join(known.name for known in all_rules())
        raise refusal(f"--rule: there is no rule {', '.join(sorted(unknown))}; choose from: {names}")
    settings = Settings.load()
    histories = read_declared(settings)
    require_revisions(histories)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the scratch database is dropped
    try:
        conforms = _run(settings, histories, rules, json_file, html_file)
    except KeyboardInterrupt:
        ignore_signals()
        raise refusal("interrupted; the scratch database was dropped, no report was written") from None
    raise typer.Exit(0 if conforms else 1)


def _run(
    settings: Settings,
    histories: Sequence[History],
    rules: list[Rule],
    json_file: Path,
    html_file: Path,
) -> bool:
    """Measure, run the suite, write both files and print the results; return whether it conforms."""
    from backends.capabilities import Capability
    from backends.ids import utc_now
    from cli.conformance.report import Report

    begun_at, begun = utc_now(), time.monotonic()
    url = shown_url(settings)
    typer.echo(f"database    {settings.db_backend} at {url}")
    found = asyncio.run(_measure(settings))
    server = found.server
    for finding in found.isolation:
        in_transactions = finding.in_transactions or "not tested"
        in_eitherdb = finding.in_eitherdb or "refused"
        typer.echo(
            f"isolation   {finding.anomaly}: {in_transactions} in the server's transactions, "
            f"{in_eitherdb} in EitherDB"
        )
    for latency in found.latencies:
        times = f"median {latency.p50_ms:.2f} ms, p99 {latency.p99_ms:.2f} ms"
        typer.echo(f"latency     {latency.method}: {times}")
    report = Report(
        eitherdb=version("eitherdb"),
        begun_at=begun_at.isoformat(timespec="seconds"),
        database={
            "backend": settings.db_backend,
            "product": server.product,
            "version": server.version,
            "driver": server.driver,
            "url": url,
        },
        capabilities={str(capability): capability in found.capabilities for capability in Capability},
        isolation=found.isolation,
        latencies=found.latencies,
        outcome=_run_suite(settings, histories, rules, found),
        seconds=time.monotonic() - begun,
    )
    json_file.write_text(report.as_json() + "\n", encoding="utf-8")
    html_file.write_text(report.as_html(), encoding="utf-8")
    for verdict in report.outcome.verdicts:
        counts = [f"{verdict.passed} passed"]
        if verdict.refused:
            counts.append(
                f"{verdict.refused} refused for lack of {', '.join(sorted(verdict.capabilities))}"
            )
        if verdict.failures:
            counts.append(f"{len(verdict.failures)} failed")
        typer.echo(f"{verdict.rule.name:<20} {verdict.status:<8} {', '.join(counts)}")
    for resource in report.outcome.resources:
        counts = [f"{resource.passed} passed"]
        counts += [f"{resource.refused} refused"] * bool(resource.refused)
        counts += [f"{resource.failed} failed"] * bool(resource.failed)
        typer.echo(f"resource    {resource.name}: {resource.status}, {', '.join(counts)}")
    for line in report.outcome.left_out:
        typer.echo(f"left out without a declared reason: {line}")
    counts = [f"{number} {status}" for status, number in report.statuses.items()]
    typer.echo(f"{server.product} {server.version} {report.verdict}: rules {', '.join(counts)}")
    typer.echo(f"written: {json_file}, {html_file}")
    return report.conforms


@dataclass(frozen=True, slots=True)
class _Measurements:
    """The properties of the server that are measured before the suite runs."""

    server: ServerInfo
    capabilities: frozenset[Capability]
    isolation: list[Finding]
    latencies: list[Latency]
    durability_faults: list[str]


async def _measure(settings: Settings) -> _Measurements:
    """Measure the server in a scratch database, which is dropped.

    Raises:
        BackendError: DATABASE_URL names no server on which a scratch database can be created.
        KeyboardInterrupt: A signal arrived.
    """
    from cli.conformance.provision import ScratchProvision

    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    provision = ScratchProvision(settings)
    # A signal interrupts neither the creation nor the removal: part of the scratch database would remain.
    with on_signals(lambda *_: loop.call_soon_threadsafe(interrupted.set)):
        with naming_the_url(settings):
            await provision.start()
        try:
            measuring = asyncio.create_task(_measure_in(provision))
            waiting = asyncio.create_task(interrupted.wait())
            await asyncio.wait({measuring, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if interrupted.is_set():
                measuring.cancel()
                await asyncio.gather(measuring, return_exceptions=True)
                raise KeyboardInterrupt
            return measuring.result()
        finally:
            await provision.stop()


async def _measure_in(provision: ScratchProvision) -> _Measurements:
    from cli.conformance import isolation, latencies

    backend = await provision.open()
    try:
        server = backend.server
        typer.echo(f"server      {server.product} {server.version} through {server.driver}")
        return _Measurements(
            server=server,
            capabilities=backend.capabilities,
            isolation=await isolation.measure(provision.scratch, backend),
            latencies=await latencies.measure(backend),
            durability_faults=await provision.scratch.durability_faults(),
        )
    finally:
        await backend.close()


def _run_suite(
    settings: Settings, histories: Sequence[History], rules: list[Rule], found: _Measurements
) -> Outcome:
    """Run the contract suite, and add the server's durability faults to the failures of `Durability`.

    Raises:
        typer.Exit: It could not be run; the reason was printed.
    """
    from cli.conformance.provision import ScratchProvision
    from cli.conformance.suite import Failure, SuiteError, run_suite

    terminal = sys.stdout

    def on_progress(done: int, total: int, test: str, is_failed: bool) -> None:  # noqa: FBT001 - see `OnProgress`
        if is_failed:
            print(f"FAILED      {test}", file=terminal)
        elif terminal.isatty():
            print(f"\r\033[Ktests       {done} of {total}  {test[:60]}", end="", file=terminal, flush=True)
        if done == total and terminal.isatty():
            print("\r\033[K", end="", file=terminal)
        if done == total or (done % 50 == 0 and not terminal.isatty()):
            print(f"tests       {done} of {total}", file=terminal, flush=True)

    try:
        outcome = run_suite(
            lambda: ScratchProvision(settings, found.capabilities, histories),
            settings.db_backend,
            load_resources(settings.resources),
            rules,
            on_progress,
        )
    except SuiteError as exc:
        raise refusal(str(exc)) from exc
    for verdict in outcome.verdicts:
        if verdict.rule.name == "Durability":
            faults = found.durability_faults
            verdict.failures += [Failure("settings of the server", fault) for fault in faults]
    return outcome
