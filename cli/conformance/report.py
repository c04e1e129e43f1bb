"""The report, as JSON and as one self-contained HTML page."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from cli.conformance.isolation import Finding
from cli.conformance.latencies import Latency
from cli.conformance.suite import Outcome, Verdict
from eitherdb_contract.rules import all_rules

FORMAT = 1
"""The version of the JSON format; it increases with every incompatible change."""

BEYOND = {
    "Lost connections": "Tested as far as a server in use allows: calls are interrupted and repeated. The "
    "backend's own tests must show that it holds when a server dies; EitherDB's tests kill one.",
    "Durability": "Tested as far as a server in use allows: written data outlives its connections, and "
    "no setting of the server loses it. The backend's own tests must cover crashes; EitherDB's tests cause "
    "some.",
}
"""The limits of the test, for rules that can't be tested completely in a scratch database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results of a run. Times are UTC in ISO 8601."""

    eitherdb: str
    begun_at: str
    seconds: float
    database: dict[str, str]
    capabilities: dict[str, bool]
    isolation: list[Finding]
    latencies: list[Latency]
    outcome: Outcome

    @property
    def conforms(self) -> bool:
        """Whether no rule failed, no test was left out, and no anomaly is possible through EitherDB."""
        return not (
            self.outcome.left_out
            or any(verdict.status == "failed" for verdict in self.outcome.verdicts)
            or not all(finding.conforms for finding in self.isolation)
        )

    @property
    def verdict(self) -> str:
        """`conforms` in words; a report on some of the rules says that it is partial."""
        is_whole = len(self.outcome.verdicts) == len(all_rules())
        words = "conforms" if self.conforms else "does not conform"
        return words if is_whole else f"{words}, as far as it was tested"

    @property
    def statuses(self) -> dict[str, int]:
        """The number of rules that passed, were refused and failed."""
        found = [verdict.status for verdict in self.outcome.verdicts]
        return {status: found.count(status) for status in ("passed", "refused", "failed")}

    def as_json(self) -> str:
        """Return the JSON report; docs/conformance.md describes the format."""
        return json.dumps(
            {
                "format": FORMAT,
                "conforms": self.conforms,
                "eitherdb": self.eitherdb,
                "begun_at": self.begun_at,
                "seconds": round(self.seconds, 1),
                "database": self.database,
                "capabilities": self.capabilities,
                "rules": [_rule(verdict) for verdict in self.outcome.verdicts],
                "resources": [
                    {**asdict(resource), "status": resource.status} for resource in self.outcome.resources
                ],
                "left_out": self.outcome.left_out,
                "isolation": [asdict(finding) for finding in self.isolation],
                "latencies": [asdict(latency) for latency in self.latencies],
            },
            indent=2,
            ensure_ascii=False,
        )

    def as_html(self) -> str:
        """Return the HTML report, as one page."""
        templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.filters["code"] = _code
        return templates.get_template("report.html").render(report=self, beyond=BEYOND)


def _rule(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.rule.name,
        "rule": verdict.rule.text,
        "status": verdict.status,
        "passed": verdict.passed,
        "refused": verdict.refused,
        "refused_for": sorted(verdict.capabilities),
        "failed": len(verdict.failures),
        "failures": [asdict(failure) for failure in verdict.failures],
        "beyond": BEYOND.get(verdict.rule.name),
    }


def _code(text: str) -> Markup:
    """Return a rule's Markdown as HTML, with text between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before
