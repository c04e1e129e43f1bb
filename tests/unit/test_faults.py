"""The catalogue of `make faults` fits the code that it is planted in."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.faults.__main__ import CATALOGUE
from tests.faults.fault import ROOT, Fault


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.what)
def test_fault_can_be_planted(fault: Fault, tmp_path: Path) -> None:
    """What it changes stands in the file once, and the file is still Python."""
    planted = tmp_path / fault.file
    planted.parent.mkdir(parents=True)
    shutil.copy(ROOT / fault.file, planted)
    fault.plant(tmp_path)
    assert ast.dump(ast.parse(planted.read_text())) != ast.dump(ast.parse((ROOT / fault.file).read_text()))
    assert (ROOT / fault.first).exists()


def test_faults_have_names_of_their_own() -> None:
    """`python -m tests.faults` picks them by these."""
    assert len({fault.what for fault in CATALOGUE}) == len(CATALOGUE)


def test_fault_whose_code_has_changed_is_refused(tmp_path: Path) -> None:
    """A fault that is planted nowhere would count as one that no test catches, or hide it."""
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "y = 1"):
        with pytest.raises(ValueError, match="not once"):
            Fault("a", "a.py", ((old, "z"),), "tests/contract", "sqlite").plant(tmp_path)
