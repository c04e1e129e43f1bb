"""Accounts and transfers: refusals, movements and idempotency."""

from __future__ import annotations

from collections.abc import Callable

from tests.differential.model.calls import Call
from tests.differential.model.pages import page_for
from tests.differential.model.responses import (
    Expected,
    Location,
    Refusal,
    fault,
    invalid,
    message,
    refused,
    shown_time,
    success,
)
from tests.differential.model.state import Account, Entry, State, User, handles, unreadable
from tests.differential.model.validation import (
    ENTRY,
    MAX_MINOR,
    NEW_ACCOUNT,
    TRANSFER,
    Form,
    faults_of,
    is_key,
)

NOT_FOUND = refused(404, "not_found", "Account not found")
TRANSFER_NOT_FOUND = refused(404, "not_found", "Transfer not found")
NOT_EMPTY = refused(409, "account_not_empty", "There is money in the account")
INSUFFICIENT_FUNDS = refused(409, "insufficient_funds", "The account has less than that")
KEY_REUSED = fault(
    "idempotency_key_reused",
    ["header", "idempotency-key"],
    "The key was used for another request; take a new one",
)
OTHER_CURRENCY = fault(
    "currency_mismatch", ["body", "to_account_id"], "The accounts should have the same currency"
)
OVERFLOW = fault("balance_overflow", ["body", "amount_minor"], f"The balance should not exceed {MAX_MINOR}")


def _once(
    state: State, call: Call, caller: User, form: Form, do: Callable[[dict[str, object]], Expected]
) -> Expected:
    """Carry out the call, or return the response to the first call with this key."""
    faults: list[Location] = []
    if call.key is not None and not is_key(call.key):
        faults.append(["header", "idempotency-key"])
    if call.raw is not None:
        return unreadable(call.raw)
    faults += faults_of(call.body, form)
    if faults:
        return invalid(faults)
    values = {**dict.fromkeys(form), **state.body(call, form)}
    wanted = (call.target, values)
    if call.key is None:
        return do(values)
    earlier = state.kept.get((caller.id, call.key))
    if earlier is not None:
        return earlier[1] if earlier[0] == wanted else KEY_REUSED
    try:
        outcome = do(values)
    except Refusal as refusal:
        outcome = refusal.expected
    state.kept[caller.id, call.key] = (wanted, outcome)
    return outcome


@handles("accounts-create_account")
def create(state: State, call: Call) -> Expected:
    """Open an account."""
    caller = state.caller(call)

    def do(values: dict[str, object]) -> Expected:
        account = Account(**state.new(), owner_id=caller.id, **values)  # type: ignore[arg-type]  # of a form
        state.accounts[account.id] = account
        return success(account.shown, etag=account.etag)

    return _once(state, call, caller, NEW_ACCOUNT, do)


@handles("accounts-read_account")
def read(state: State, call: Call) -> Expected:
    """Return an account."""
    caller = state.caller(call)
    return state.show(state.find(state.accounts, call.path[0], caller, NOT_FOUND), call)


@handles("accounts-read_statement")
def read_statement(state: State, call: Call) -> Expected:
    """Return an account's statement."""
    caller = state.caller(call)
    account = state.find(state.accounts, call.path[0], caller, NOT_FOUND)
    shown = state.show(account, call)
    if shown.status == 304:
        return shown
    count = len(account.statement)
    return success({"account": account.shown, "count": count, "data": account.statement}, etag=account.etag)


@handles("accounts-delete_account")
def delete(state: State, call: Call) -> Expected:
    """Delete an empty account."""
    caller = state.caller(call)
    account = state.find(state.accounts, call.path[0], caller, NOT_FOUND)
    state.expect_version(account, call)
    if account.balance_minor:
        return NOT_EMPTY
    del state.accounts[account.id]
    return message("Account deleted successfully")


@handles("accounts-read_accounts")
def list_accounts(state: State, call: Call) -> Expected:
    """List accounts."""
    return page_for(state, call, "accounts", list(state.accounts.values()))


@handles("accounts-create_deposit")
def deposit(state: State, call: Call) -> Expected:
    """Deposit money."""
    caller = state.caller(call, superuser=True)
    return _once(
        state,
        call,
        caller,
        ENTRY,
        lambda values: _post(state, call, caller, {"to_account_id": call.path[0], **values}),
    )


@handles("accounts-create_withdrawal")
def withdraw(state: State, call: Call) -> Expected:
    """Withdraw money."""
    caller = state.caller(call, superuser=True)
    return _once(
        state,
        call,
        caller,
        ENTRY,
        lambda values: _post(state, call, caller, {"from_account_id": call.path[0], **values}),
    )


@handles("transfers-create_transfer")
def transfer(state: State, call: Call) -> Expected:
    """Transfer money."""
    caller = state.caller(call)
    return _once(state, call, caller, TRANSFER, lambda values: _post(state, call, caller, values))


def _post(state: State, call: Call, caller: User, values: dict[str, object]) -> Expected:
    source_id, target_id = values.get("from_account_id"), values.get("to_account_id")
    amount = values["amount_minor"]
    assert isinstance(amount, int)
    source = target = None
    if source_id is not None:
        source = state.find(state.accounts, str(source_id), caller, NOT_FOUND)
    if target_id is not None:
        target = state.accounts.get(str(target_id))
        if target is None:
            return NOT_FOUND
    if source and target and source.currency != target.currency:
        return OTHER_CURRENCY
    if source and source.balance_minor < amount:
        return INSUFFICIENT_FUNDS
    if target and target.balance_minor + amount > MAX_MINOR:
        return OVERFLOW
    note = values["note"]
    entry = Entry(
        **state.new(),
        from_account_id=None if source is None else source.id,
        to_account_id=None if target is None else target.id,
        amount_minor=amount,
        note=None if note is None else str(note),
        idempotency_key=call.key,
        owners={account.owner_id for account in (source, target) if account},
        ordered_by=caller.id,
    )
    state.entries[entry.id] = entry
    for account, other, change in ((source, target, -amount), (target, source, amount)):
        if account:
            account.balance_minor += change
            account.version += 1
            account.statement.append(
                {
                    "transfer_id": entry.id,
                    "other_account_id": other and other.id,
                    "amount_minor": change,
                    "balance_minor": account.balance_minor,
                    "note": entry.note,
                    "created_at": shown_time(entry.created_at),
                }
            )
    return success(entry.shown, etag=entry.etag)


@handles("transfers-read_transfer")
def read_transfer(state: State, call: Call) -> Expected:
    """Return an entry."""
    caller = state.caller(call)
    return state.show(state.find(state.entries, call.path[0], caller, TRANSFER_NOT_FOUND), call)


@handles("transfers-read_transfers")
def list_transfers(state: State, call: Call) -> Expected:
    """List entries of the ledger."""
    return page_for(state, call, "transfers", list(state.entries.values()))
