"""The selection of backends for each test, with the reasons for backends that are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eitherdb_contract.provision import Provision

UNSELECTED = "unselected"
"""The backend of a test that runs on no backend. Such a test is removed from the run, with the reasons."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A test function's backends: the parametrized fixture, the chosen ones, the reasons for the others."""

    fixture: str
    chosen: Sequence[str]
    left_out: Mapping[str, str]


CHOICES = pytest.StashKey[dict[str, Choice]]()
"""Key in pytest's configuration of the choice for each test function, by node id."""


def provisions_of(config: pytest.Config) -> list[Provision]:
    """Return a new provision of each backend in the run."""
    given = config.hook.pytest_contract_provisions()
    return [provision for provisions in reversed(given) for provision in provisions]


def selected_backends(config: pytest.Config) -> list[str]:
    """Return the backends of `--backends`, or all of them, in the order of the provisions.

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
    """Parametrize a test with the selected backends, for use in `pytest_generate_tests`.

    Args:
        metafunc: The test function.
        fixture: The name of the fixture, or of an argument if not `indirect`.
        names: The backends that the test could run on.
        left_out: The backends of these that it doesn't run on, each with the declared reason.
        indirect: Whether there is a session-scoped fixture of this name.
    """
    selected = selected_backends(metafunc.config)
    reasons = {name: "not in --backends" for name in names if name not in selected} | dict(left_out or {})
    chosen = [name for name in names if name not in reasons]
    choices = metafunc.config.stash.setdefault(CHOICES, {})
    choices[metafunc.definition.nodeid] = Choice(fixture, chosen, reasons)
    metafunc.parametrize(
        fixture, chosen or [UNSELECTED], indirect=indirect, scope="session" if indirect else None
    )


def choice_of(item: pytest.Item) -> Choice | None:
    """Return the choice for the function of a test; None if it has no backend."""
    return item.config.stash.get(CHOICES, {}).get(item.nodeid.partition("[")[0])


def backend_of(item: pytest.Item) -> str | None:
    """Return the backend of a test; None if it has none."""
    choice = choice_of(item)
    if choice is None or not isinstance(item, pytest.Function):
        return None
    return str(item.callspec.params[choice.fixture])
