"""What a run of the contract suite says of the user's resources."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends.models import Item
from cli.conformance.suite import _Recorder


def test_failed_test_of_a_resource_is_counted_as_failed() -> None:
    """A test counts once, also if its clean-up fails too."""
    recorder = _Recorder(cast("Any", None), [Item], [], lambda *_: None)
    subject = SimpleNamespace(cls=Item)
    items = [
        SimpleNamespace(nodeid=f"a.py::test_{name}", callspec=SimpleNamespace(params={"subject": subject}))
        for name in ("good", "bad")
    ]
    recorder.pytest_collection_finish(cast("pytest.Session", SimpleNamespace(items=items)))
    for nodeid, outcome, when in (
        ("a.py::test_good", "passed", "call"),
        ("a.py::test_bad", "failed", "call"),
        ("a.py::test_bad", "failed", "teardown"),
    ):
        recorder.pytest_runtest_logreport(
            pytest.TestReport(nodeid, ("a.py", 0, ""), {}, cast("Any", outcome), "", cast("Any", when))
        )
    verdict = recorder.resources[Item]
    assert (verdict.passed, verdict.failed, verdict.status) == (1, 1, "failed")
