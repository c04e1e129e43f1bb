"""amounts and balances that JSON carries unchanged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations import OutOfBounds

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BOUND, BOUND_BEFORE = 2**53 - 1, 2**63 - 1


def upgrade() -> None:
    if _on_postgres():
        # No other session writes between the check of the rows and the new constraints.
        op.execute("LOCK TABLE accounts, transfers IN SHARE ROW EXCLUSIVE MODE")
    beyond = {
        "accounts": _beyond("accounts", "balance_minor"),
        "transfers": _beyond("transfers", "amount_minor", "from_balance_minor", "to_balance_minor"),
    }
    if any(beyond.values()):
        raise OutOfBounds(revision, BOUND, beyond)
    _replace_checks(_checks(BOUND, side_balance=f"BETWEEN 0 AND {BOUND}"))


def downgrade() -> None:
    _replace_checks(_checks(BOUND_BEFORE, side_balance=">= 0"))


def _on_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _beyond(table: str, *columns: str) -> list[str]:
    """Return the ids of some rows that exceed the bound."""
    conditions = [sa.column(column) > sa.literal_column(str(BOUND)) for column in columns]
    query: sa.Select[bytes] = (
        sa.select(sa.column("id")).select_from(sa.table(table)).where(sa.or_(*conditions))
    )
    return [bytes(id_).hex() for id_ in op.get_bind().scalars(query.limit(OutOfBounds.NAMED + 1))]


def _checks(most: int, *, side_balance: str) -> dict[str, dict[str, str]]:
    """Return the CHECK constraints of each table by name."""
    sides = {f"ck_transfers_{side}": _side(side, side_balance) for side in ("from", "to")}
    return {
        "accounts": {"ck_accounts_balance": f"balance_minor BETWEEN 0 AND {most}"},
        "transfers": {"ck_transfers_amount": f"amount_minor BETWEEN 1 AND {most}", **sides},
    }


def _side(name: str, balance: str) -> str:
    columns = [f"{name}_{part}" for part in ("account_id", "owner_id", "balance_minor", "version")]
    nothing = " AND ".join(f"{column} IS NULL" for column in columns)
    everything = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return f"({nothing}) OR ({everything} AND {name}_balance_minor {balance})"


def _replace_checks(checks: dict[str, dict[str, str]]) -> None:
    """Replace the CHECK constraints of these names.

    PostgreSQL scans a table once per statement, for any number of constraints. `NOT VALID` has no
    benefit: the locks last until the end of the run's only transaction.
    """
    for table, conditions in checks.items():
        if _on_postgres():
            changes = [f"DROP CONSTRAINT {name}" for name in conditions]
            changes += [f"ADD CONSTRAINT {name} CHECK ({text})" for name, text in conditions.items()]
            op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
        else:
            # SQLite can't alter constraints: Alembic rebuilds the whole table.
            with op.batch_alter_table(table, recreate="always") as batch:
                for name, text in conditions.items():
                    batch.drop_constraint(op.f(name), type_="check")
                    batch.create_check_constraint(op.f(name), text)
