"""The command: what is tried in which order, what it tells meanwhile, and how it ends."""

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

from cli.conformance.signals import ignore_signals, on_signals
from cli.database import naming_the_url, shown_url
from cli.usage_error import refusal
from config import Settings

if TYPE_CHECKING:
    from backends.capabilities import Capability
    from backends.protocols import ServerInfo
    from cli.conformance.isolation import Finding
    from cli.conformance.latencies import Latency
    from cli.conformance.provision import ScratchProvision
    from cli.conformance.suite import Outcome
    from eitherdb_contract.rules import Rule

_NEEDED = ("pytest", "pytest_asyncio", "pytest_timeout", "hypothesis")


def conformance(
    *,
    json_file: Annotated[
        Path, typer.Option("--json", metavar="FILE", help="Where the report for programs goes.")
    ] = Path("conformance.json"),
    html_file: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="Where the report for people goes.")
    ] = Path("conformance.html"),
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Try this rule alone (`Search`, …); may be repeated."),
    ] = None,
) -> None:
    """Try every rule of docs/semantics.md on the configured database, and write a report.

    Works in a scratch place of its own on the server (a schema, a database or a file), which it removes.
    Takes a minute or two, under load of its own making: not for a server that is busy with other things.

    Exit code 0 if the database conforms, 1 if a rule failed, 2 if nothing could be tried.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise refusal(f"conformance needs {', '.join(missing)}: run `pip install 'eitherdb[contract]'`")
    for file in (json_file, html_file):
        if not os.access(file if file.exists() else file.parent, os.W_OK) or file.is_dir():
            raise refusal(f"{file} can't be written: give another file")
    from eitherdb_contract.rules import all_rules

    rules = [known for known in all_rules() if not rule or known.name in rule]
    if unknown := set(rule or []) - {known.name for known in rules}:
        names = ", ".join(known.name for known in all_rules())
        raise refusal(f"--rule: there is no rule {', '.join(sorted(unknown))}; choose of: {names}")
    settings = Settings.load()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the scratch place is removed
    try:
        conforms = _try(settings, rules, json_file, html_file)
    except KeyboardInterrupt:
        ignore_signals()
        raise refusal("interrupted; the scratch place was removed, no report was written") from None
    raise typer.Exit(0 if conforms else 1)


def _try(settings: Settings, rules: list[Rule], json_file: Path, html_file: Path) -> bool:
    """Try everything, write both files, say what was found; return whether it conforms."""
    from backends.capabilities import Capability
    from backends.ids import utc_now
    from cli.conformance.report import Report

    begun_at, begun = utc_now(), time.monotonic()
    url = shown_url(settings)
    typer.echo(f"database    {settings.db_backend} at {url}")
    found = asyncio.run(_measure(settings))
    server = found.server
    for finding in found.isolation:
        theirs, ours = finding.in_transactions or "not tried", finding.in_eitherdb or "refused"
        typer.echo(
            f"isolation   {finding.anomaly}: {theirs} in the server's transactions, {ours} in EitherDB"
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
        outcome=_run_suite(settings, rules, found),
        seconds=time.monotonic() - begun,
    )
    json_file.write_text(report.as_json() + "\n", encoding="utf-8")
    html_file.write_text(report.as_html(), encoding="utf-8")
    for verdict in report.outcome.verdicts:
        counts = [f"{verdict.passed} passed"]
        if verdict.refused:
            counts.append(
                f"{verdict.refused} refused for want of {', '.join(sorted(verdict.capabilities))}"
            )
        if verdict.failures:
            counts.append(f"{len(verdict.failures)} failed")
        typer.echo(f"{verdict.rule.name:<20} {verdict.status:<8} {', '.join(counts)}")
    for line in report.outcome.left_out:
        typer.echo(f"left out without a declared reason: {line}")
    counts = [f"{number} {status}" for status, number in report.statuses.items()]
    typer.echo(f"{server.product} {server.version} {report.verdict}: rules {', '.join(counts)}")
    typer.echo(f"written: {json_file}, {html_file}")
    return report.conforms


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of the server before the suite runs."""

    server: ServerInfo
    capabilities: frozenset[Capability]
    isolation: list[Finding]
    latencies: list[Latency]
    durability_faults: list[str]


async def _measure(settings: Settings) -> _Found:
    """Look at the server from a scratch place, which is removed.

    Raises:
        BackendError: DATABASE_URL leads to no server where one can be made.
        KeyboardInterrupt: A signal came.
    """
    from cli.conformance.provision import ScratchProvision

    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    provision = ScratchProvision(settings)
    # Neither making the scratch place nor removing it is cut short: half of it would stay behind.
    with on_signals(lambda *_: loop.call_soon_threadsafe(interrupted.set)):
        with naming_the_url(settings):
            await provision.start()
        try:
            looking = asyncio.create_task(_look_at(provision))
            waiting = asyncio.create_task(interrupted.wait())
            await asyncio.wait({looking, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if interrupted.is_set():
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
                raise KeyboardInterrupt
            return looking.result()
        finally:
            await provision.stop()


async def _look_at(provision: ScratchProvision) -> _Found:
    from cli.conformance import isolation, latencies

    backend = await provision.open()
    try:
        server = backend.server
        typer.echo(f"server      {server.product} {server.version} through {server.driver}")
        return _Found(
            server=server,
            capabilities=backend.capabilities,
            isolation=await isolation.measure(provision.scratch, backend),
            latencies=await latencies.measure(backend),
            durability_faults=await provision.scratch.durability_faults(),
        )
    finally:
        await backend.close()


def _run_suite(settings: Settings, rules: list[Rule], found: _Found) -> Outcome:
    """Run the contract suite, and count what the server may forget among what is wrong with durability.

    Raises:
        typer.Exit: It could not be run; the reason was told.
    """
    from cli.conformance.provision import ScratchProvision
    from cli.conformance.suite import Failure, SuiteError, run_suite

    terminal = sys.stdout

    def say(done: int, total: int, test: str, is_failed: bool) -> None:  # noqa: FBT001 - see `Say`
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
            lambda: ScratchProvision(settings, found.capabilities), settings.db_backend, rules, say
        )
    except SuiteError as exc:
        raise refusal(str(exc)) from exc
    for verdict in outcome.verdicts:
        if verdict.rule.name == "Durability":
            lapses = found.durability_faults
            verdict.failures += [Failure("settings of the server", lapse) for lapse in lapses]
    return outcome
