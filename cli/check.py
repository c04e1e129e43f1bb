"""`eitherdb check`: check that the API can be served."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.database import opened_backend, shown_url
from cli.revisions import read_declared
from cli.rows import as_json as rows_as_json
from cli.rows import as_text, summary, walk_rows
from config import Settings, SettingsError

if TYPE_CHECKING:
    from backends.protocols import Backend
    from backends.requirements import Subject, UnmetRequirement
    from backends.rows.walk import RowReport

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `remedy` says what to do, unless the status is ok."""

    subject: str
    status: Status
    detail: str
    remedy: str | None = None


def check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    rows: Annotated[
        bool, typer.Option("--rows", help="Also read every row and name those that can't be served.")
    ] = False,
) -> None:
    """Check configuration, connection, server, privileges, durability, schema and capabilities.

    With --rows, check all rows too. Exit code 0: the API can be served. 1: the schema or rows must be fixed
    first. 2: the configuration, the connection, the server or the user's privileges are at fault.
    """
    findings, row_report = asyncio.run(_collect_findings(with_rows=rows))
    failed = [finding.subject for finding in findings if finding.status == "failed"]
    if as_json:
        report: dict[str, object] = {"ok": not failed, "findings": [asdict(f) for f in findings]}
        if row_report is not None:
            report["rows"] = rows_as_json(row_report)
        typer.echo(json.dumps(report, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.subject:<18} {finding.status:<8} {finding.detail}")
            if finding.remedy:
                typer.echo(f"{'':<18} {'':<8} → {finding.remedy}")
        for line in as_text(row_report) if row_report else ():
            typer.echo(line)
    if failed:
        raise typer.Exit(1 if set(failed) <= {"schema", "rows"} else 2)


async def _collect_findings(*, with_rows: bool) -> tuple[list[Finding], RowReport | None]:
    """Check one subject after another; stop at the first that later checks depend on."""
    from backends.errors import BackendError

    try:
        settings = Settings.load()
    except SettingsError as exc:
        remedy = "`.env.example` explains every setting"
        return [Finding("configuration", "failed", line, remedy) for line in str(exc).splitlines()], None
    report = None
    findings = [_configuration(settings)]
    try:
        async with opened_backend(settings, purpose=None) as backend:
            server = backend.server
            detail = f"{server.product} {server.version} through {server.driver} at {shown_url(settings)}"
            findings.append(Finding("connection", "ok", detail))
            findings += await _server(backend)
            if not any(finding.status == "failed" for finding in findings):
                findings.append(await _schema(backend, settings))
            findings.extend(_capabilities(backend))
            if with_rows:
                unfit = any(each.status == "failed" and each.subject != "schema" for each in findings)
                finding, report = await _rows(backend, settings, unfit=unfit)
                findings.append(finding)
    except (BackendError, SettingsError) as exc:
        findings.append(Finding("connection", "failed", str(exc)))
    return findings, report


async def _rows(backend: Backend, settings: Settings, *, unfit: bool) -> tuple[Finding, RowReport | None]:
    from backends.errors import ForeignSchema, SchemaDrifted, SchemaMismatch
    from backends.models.resources.loading import load_resources

    try:
        if unfit:
            return Finding("rows", "warning", "not checked: fix the failures above first"), None
        with suppress(SchemaDrifted):  # rows may be the reason to look
            await backend.check_schema()
    except (SchemaMismatch, ForeignSchema):
        return Finding("rows", "warning", "not checked: the schema is not this code's"), None
    report = await walk_rows(backend, load_resources(settings.resources))
    if not any(report.faulty.values()):
        return Finding("rows", "ok", summary(report)), report
    remedy = "another program wrote or changed them: fix them by hand, or restore them from a backup"
    return Finding("rows", "failed", summary(report), remedy), report


def _configuration(settings: Settings) -> Finding:
    from config.settings import INSECURE_SECRET_KEY

    detail = f"DB_BACKEND={settings.db_backend} ENVIRONMENT={settings.environment}"
    if settings.secret_key.get_secret_value() == INSECURE_SECRET_KEY:
        remedy = "fine on your own machine; anywhere else set ENVIRONMENT and SECRET_KEY"
        return Finding("configuration", "warning", f"{detail}, with the public SECRET_KEY", remedy)
    return Finding("configuration", "ok", detail)


_FIT: dict[Subject, str] = {
    "server": "has what the contract needs",
    "privileges": "enough to serve",
    "durability": "an answered write survives a crash",
}


async def _server(backend: Backend) -> list[Finding]:
    """Check the requirements of the service; return a finding for each unmet one."""
    from backends.requirements import Purpose

    unmet = await backend.check_server(Purpose.SERVE)
    findings = []
    for subject, fit in _FIT.items():
        findings_of_subject = [_finding(each) for each in unmet if each.subject == subject]
        findings += findings_of_subject or [Finding(subject, "ok", fit)]
    return findings


def _finding(unmet: UnmetRequirement) -> Finding:
    status: Status = "failed" if unmet.is_fatal else "warning"
    return Finding(unmet.subject, status, f"{unmet.found}; {unmet.needed}", unmet.remedy)


async def _schema(backend: Backend, settings: Settings) -> Finding:
    from backends.errors import ForeignSchema, PermissionDenied, SchemaDrifted, SchemaMismatch
    from migrations import open_migrator
    from migrations.resources.plan import behind

    histories = read_declared(settings)
    migrator = open_migrator(settings, histories)
    try:
        with suppress(SchemaDrifted):  # the comparison says more
            await backend.check_schema()
    except SchemaMismatch as exc:
        detail, _, remedy = str(exc).partition(": ")
        return Finding("schema", "failed", detail, remedy)
    except ForeignSchema as exc:
        # A table in the form of an earlier revision may look like another application's.
        if late := behind(histories, await migrator.applied()):
            detail, _, remedy = late[0].partition(": ")
            return Finding("schema", "failed", detail, remedy)
        return Finding("schema", "failed", exc.detail, exc.remedy)
    try:
        differences = await migrator.check()
    except PermissionDenied as exc:
        detail = f"has this code's revision, but could not be compared with its declarations: {exc}"
        remedy = "this user can serve; run `eitherdb migrate check` as a user who may read the schema"
        return Finding("schema", "warning", detail, remedy)
    if differences:
        remedy = "find out what changed it by hand; `eitherdb migrate check` lists the differences again"
        return Finding("schema", "failed", "; ".join(differences), remedy)
    return Finding("schema", "ok", "as this code declares it")


def _capabilities(backend: Backend) -> list[Finding]:
    from backends.capabilities import Capability

    return [
        Finding(capability, "ok", "yes")
        if capability in backend.capabilities
        else Finding(capability, "warning", f"no: {capability.loss}", capability.remedy)
        for capability in Capability
    ]
