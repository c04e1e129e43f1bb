"""Tests of the checker: histories that are valid except for one violation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.proof.history import AccountRow, Entry, History, Line, Side, Statement
from tests.proof.load import Answer
from tests.proof.workload import Order

ORDERS = [
    Order("in", None, "a", 100),
    Order("out", "a", None, 10),
    Order("pay", "a", "b", 30),
    Order("back", "b", "a", 5),
    Order("too much", "b", "a", 500),
]
ENTRIES = [
    Entry("1", "in", 100, None, Side("a", 100, 2)),
    Entry("2", "out", 10, Side("a", 90, 3), None),
    Entry("3", "pay", 30, Side("a", 60, 4), Side("b", 30, 2)),
    Entry("4", "back", 5, Side("b", 25, 3), Side("a", 65, 5)),
]
REFUSED = Answer(409, b'{"code":"insufficient_funds"}')


def acknowledgement(entry: Entry) -> Answer:
    """Return the response that describes an entry."""
    body = {
        "id": entry.id,
        "from_account_id": entry.source and entry.source.account,
        "to_account_id": entry.target and entry.target.account,
        "amount_minor": entry.amount,
        "idempotency_key": entry.key,
    }
    return Answer(200, json.dumps(body).encode())


VALID = History(
    orders=ORDERS,
    answers={entry.key or "": [acknowledgement(entry)] * 2 for entry in ENTRIES} | {"too much": [REFUSED]},
    accounts={"a": AccountRow(65, 5), "b": AccountRow(25, 3)},
    entries=ENTRIES,
    statements={
        "a": Statement(
            65,
            (
                Line("1", None, 100, 100),
                Line("2", None, -10, 90),
                Line("3", "b", -30, 60),
                Line("4", "b", 5, 65),
            ),
        ),
        "b": Statement(25, (Line("3", "a", 30, 30), Line("4", "a", -5, 25))),
    },
)


def with_entries(*entries: Entry) -> History:
    """Return the valid history with these entries after the first two."""
    return replace(VALID, entries=[*ENTRIES[:2], *entries])


def with_answers(key: str, *answers: Answer) -> History:
    """Return the valid history with other responses to one order."""
    return replace(VALID, answers={**VALID.answers, key: answers})


PAY, BACK = ENTRIES[2:]
TWICE = Entry("5", "pay", 30, Side("a", 35, 6), Side("b", 55, 4))

INVALID: dict[str, tuple[History, str]] = {
    "executed twice": (with_entries(PAY, BACK, TWICE), "is 2 times in the ledger"),
    "the same entry twice": (with_entries(PAY, PAY, BACK), "2 entries have the id 3"),
    "acknowledged and lost": (with_entries(PAY), "was acknowledged and is 0 times in the ledger"),
    "refused and done": (with_answers("back", REFUSED), "was refused and is 1 times in the ledger"),
    "nobody's": (with_entries(PAY, BACK, replace(TWICE, key="other")), "nobody ordered Entry(id='5'"),
    "without a key": (with_entries(PAY, BACK, replace(TWICE, key=None)), "nobody ordered Entry(id='5'"),
    "half a transfer": (with_entries(PAY, replace(BACK, target=None)), "is in the ledger as"),
    "half a balance": (
        replace(VALID, accounts={"a": AccountRow(65, 5), "b": AccountRow(30, 3)}),
        "b: AccountRow(balance=30, version=3), but its entries make 25 and version 3",
    ),
    "an entry of another amount": (with_entries(PAY, replace(BACK, amount=6)), "is in the ledger as"),
    "a missing version": (
        with_entries(PAY, replace(BACK, source=Side("b", 25, 4))),
        "with version 4 should leave 25, 3",
    ),
    "one version twice": (
        with_entries(PAY, replace(BACK, target=Side("a", 65, 4))),
        "with version 4 should leave 65, 5",
    ),
    "a lost update": (
        with_entries(PAY, replace(BACK, target=Side("a", 95, 5))),
        "should leave 65, 5",
    ),
    "a negative balance": (
        with_entries(replace(PAY, amount=91, source=Side("a", -1, 4)), BACK),
        "a: negative after",
    ),
    "different answers": (
        with_answers("pay", acknowledgement(PAY), replace(acknowledgement(PAY), body=b"{}")),
        "has 2 different answers",
    ),
    "no answer": (with_answers("too much"), "has 0 different answers"),
    "an answer that tells of another entry": (
        with_answers("pay", acknowledgement(replace(PAY, id="9"))),
        "was acknowledged as",
    ),
    "refused for no reason": (
        replace(
            VALID,
            orders=[*ORDERS, Order("modest", "b", "a", 25)],
            answers={**VALID.answers, "modest": [REFUSED]},
        ),
        "it never had less than that",
    ),
    "money from nowhere": (
        replace(VALID, accounts={**VALID.accounts, "c": AccountRow(7, 1)}),
        "there are 97 in all accounts, and 90 were brought in",
    ),
    "an account that is gone": (
        replace(VALID, accounts={"a": AccountRow(65, 5)}),
        "b: has entries but does not exist",
    ),
    "a statement that leaves one out": (
        replace(VALID, statements={**VALID.statements, "b": Statement(25, (Line("4", "a", -5, 25),))}),
        "b: its statement is not what the database holds",
    ),
}


def test_valid_history_has_no_violation() -> None:
    """The history from which the invalid ones are derived is valid."""
    assert VALID.violations() == []


@pytest.mark.parametrize(("history", "violation"), INVALID.values(), ids=INVALID)
def test_invalid_history_has_its_violation(history: History, violation: str) -> None:
    """The checker reports the planted violation."""
    assert any(violation in told for told in history.violations()), history.violations()
