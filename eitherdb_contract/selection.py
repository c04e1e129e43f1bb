"""Which tests run on which backends, and why not on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eitherdb_contract.provision import Provision

NOWHERE = "nowhere"
"""Stands for the backend of a test that runs on none: it is taken out of the run, with the reasons."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a test function runs: the fixture that gets the backend, the backends, and why no others."""

    fixture: str
    chosen: Sequence[str]
    left_out: Mapping[str, str]


CHOICES = pytest.StashKey[dict[str, Choice]]()
"""In the configuration: a choice for each test function, by its node id."""


def provisions_of(config: pytest.Config) -> list[Provision]:
    """Return a new provision of each backend that takes part in the run."""
    given = config.hook.pytest_contract_provisions()
    return [provision for provisions in reversed(given) for provision in provisions]


def selected_backends(config: pytest.Config) -> list[str]:
    """Return the backends that `--backends` names, or all, in the order of the provisions.

    Raises:
        pytest.UsageError: There is no such backend in this run.
    """
    names = [provision.name for provision in provisions_of(config)]
    selected = config.getoption("--backends").split(",")
    if unknown := set(selected) - set(names):
        raise pytest.UsageError(f"--backends: {sorted(unknown)} unknown; choose of {names}")
    return [name for name in names if name in selected]


def run_on_backends(
    metafunc: pytest.Metafunc,
    fixture: str,
    names: Sequence[str],
    *,
    left_out: Mapping[str, str] | None = None,
    indirect: bool = True,
) -> None:
    """Run the test once a selected backend, for use in `pytest_generate_tests`.

    Args:
        metafunc: The test function.
        fixture: What is parametrised: a fixture, or an argument if not `indirect`.
        names: The backends that it could run on.
        left_out: On which of them it does not run, each with the reason: that is declared.
        indirect: Whether there is a fixture of this name, of session scope.
    """
    selected = selected_backends(metafunc.config)
    reasons = {name: "not in --backends" for name in names if name not in selected} | dict(left_out or {})
    chosen = [name for name in names if name not in reasons]
    choices = metafunc.config.stash.setdefault(CHOICES, {})
    choices[metafunc.definition.nodeid] = Choice(fixture, chosen, reasons)
    metafunc.parametrize(
        fixture, chosen or [NOWHERE], indirect=indirect, scope="session" if indirect else None
    )


def choice_of(item: pytest.Item) -> Choice | None:
    """Return where the function of a test runs; None if it knows no backend."""
    return item.config.stash.get(CHOICES, {}).get(item.nodeid.partition("[")[0])


def backend_of(item: pytest.Item) -> str | None:
    """Return the backend that a test runs on; None if it knows none."""
    choice = choice_of(item)
    if choice is None or not isinstance(item, pytest.Function):
        return None
    return str(item.callspec.params[choice.fixture])
