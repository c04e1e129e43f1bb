"""Faults of the SQL backend and its migrations."""

from __future__ import annotations

from tests.faults.fault import Fault


def _in(file: str, what: str, *edits: tuple[str, str], first: str, backends: str = "sqlite") -> Fault:
    first = first if first.startswith("tests/") else f"tests/contract/test_{first}.py"
    return Fault(what, file, edits, first, backends)


_PAGES, _RESOURCES, _USERS = (f"backends/sql/{name}.py" for name in ("pages", "resources", "users"))
_STATEMENTS, _CONDITIONS = (f"backends/sql/{name}.py" for name in ("resource_statements", "conditions"))
_MONEY, _ACCOUNTS, _ERRORS = (f"backends/sql/{name}.py" for name in ("transfers", "accounts", "errors"))
_COUNTERS = "backends/sql/counters.py"
_POSTGRES_FAILURES = "backends/sql/postgres_failures.py"
_FIRST = "migrations/sql/versions/0001_users_and_items.py"

FAULTS = [
    _in(
        "backends/sql/pairs.py",
        "sql: two look-ups of one statement that get each other's row",
        ("return one, other", "return other, one"),
        first="tests/backends/test_pairs.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/pairs.py",
        "sql: a look-up that ends with the one that shares its statement",
        ("first.found.set_result(found and found[:1])", "first.found.cancel()"),
        first="tests/backends/test_pairs.py",
        backends="postgres",
    ),
    _in(
        _PAGES,
        "sql: a sort without its tie-breaker",
        (
            "return [table.c[self.column]] if self.key.unique else [table.c[self.column], table.c.id]",
            "return [table.c[self.column]]",
        ),
        first="pages",
    ),
    _in(
        _PAGES,
        "sql: a cursor that shows its own row again",
        ("tuple_(*keys) < tuple_(*place)", "tuple_(*keys) <= tuple_(*place)"),
        first="pages",
    ),
    _in(
        _PAGES,
        "sql: an ascending cursor that shows its own row again",
        ("tuple_(*keys) > tuple_(*place)", "tuple_(*keys) >= tuple_(*place)"),
        first="sorts",
    ),
    _in(
        _PAGES,
        "sql: an order in one direction only",
        (
            "key.desc() if self.descending else key.asc()",
            "key.desc() if self.descending and key.key != 'id' else key.asc()",
        ),
        first="pages",
    ),
    _in(
        _PAGES,
        "sql: a next page after the last one",
        ("if len(rows) > limit > 0 else", "if len(rows) >= limit > 0 else"),
        first="pages",
    ),
    _in(
        _PAGES,
        "sql: a page that is one row too long",
        ("rows=rows[:limit]", "rows=rows"),
        first="pages",
    ),
    _in(
        _CONDITIONS,
        "sql: search that leaves out descriptions",
        ("for name in spec.searched]", "for name in spec.searched[:1]]"),
        first="search",
    ),
    _in(
        _CONDITIONS,
        "sql: search that does not fold case",
        ('values["q"] = fold_case(given["q"])', 'values["q"] = given["q"]'),
        first="search",
    ),
    _in(
        _CONDITIONS,
        "sql: an inclusive bound of time",
        (
            'table.c.created_at > bindparam("created_after")',
            'table.c.created_at >= bindparam("created_after")',
        ),
        first="filters",
    ),
    _in(
        _STATEMENTS,
        "sql: a change of an item that is no new version",
        (
            "values[self.table.c.version] = self.table.c.version + 1",
            "values[self.table.c.version] = self.table.c.version",
        ),
        first="versions",
    ),
    _in(
        _STATEMENTS,
        "sql: items that a stranger changes",
        ('matches.append(self.table.c.owner_id == bindparam("of_owner_id"))', "pass"),
        first="owners",
    ),
    _in(
        "backends/resource_rows.py",
        "sql: many items whose ids do not ascend",
        ("zip(sorted(ids), new, strict=True)", "zip(ids, new, strict=True)"),
        first="bulk",
    ),
    _in(
        _RESOURCES,
        "sql: many items in a statement each",
        (
            "await self._connections.write(bulk.statement, bulk.parameters(values))",
            """for each in values:
                    await self._connections.write(bulk.statement, bulk.parameters([each]))""",
        ),
        first="bulk",
    ),
    _in(
        "backends/sql/violations.py",
        "sql: an item of nobody is reported as one that exists",
        (
            'return NotFound("user", rows[0]["owner_id"])',
            'return AlreadyExists(self._spec.entity, "id")',
        ),
        first="items",
    ),
    _in(
        _USERS,
        "sql: sessions that do not end",
        (
            'values["session_version"] = USERS.c.session_version + 1',
            'values["session_version"] = USERS.c.session_version',
        ),
        first="versions",
    ),
    _in(
        _USERS,
        "sql: an address in use is reported as an id",
        ('"id" if violation.kind == "primary_key" else "email"', '"id"'),
        first="users",
    ),
    _in(
        _USERS,
        "sql: a change of a user by another version",
        ('is_one_of(USERS.c.version, "of_versions")] if of_versions else', "*()] if of_versions else"),
        first="versions",
    ),
    _in(
        _USERS,
        "sql: a user is deleted with money",
        ("ACCOUNTS.c.balance_minor == 0\n", "ACCOUNTS.c.balance_minor >= 0\n"),
        first="account_owners",
    ),
    _in(
        _USERS,
        "sql: a deleted user's accounts stay",
        ("yield _DELETE_EMPTY_ACCOUNTS, values", "pass"),
        first="account_owners",
    ),
    _in(
        _MONEY,
        "sql: a debit without its guard",
        ("guards.append(ACCOUNTS.c.balance_minor >= amount)", "pass"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "sql: a credit without its guard",
        ("guards.append(ACCOUNTS.c.balance_minor <= MAX_MINOR - amount)", "pass"),
        first="transfers",
        # On PostgreSQL the CHECK of the account refuses it in the same words.
        backends="sqlite",
    ),
    _in(
        _MONEY,
        "sql: money is taken from a stranger's account",
        ('guards.append(ACCOUNTS.c.owner_id == bindparam("of_user"))', "pass"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "sql: money moves between currencies",
        ("guards.append(ACCOUNTS.c.currency == currency)", "pass"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "sql: the outcome of a posting is not kept",
        (
            "yield KEEP_OUTCOME, self._kept(EntryId(posting.id), posting.ordered_by, posting.idempotency)",
            "pass",
        ),
        first="idempotency",
    ),
    _in(
        _MONEY,
        "sql: the outcome of a posting in one statement is not kept",
        ("        keyed=posting.idempotency is not None,", "        keyed=False,"),
        first="idempotency",
        backends="postgres",
    ),
    _in(
        _MONEY,
        "sql: a transfer between one's own accounts listed twice",
        ('TRANSFERS.c.from_owner_id.is_distinct_from(bindparam("owner_id")),', ""),
        first="postings",
    ),
    _in(
        _MONEY,
        "sql: a statement without what came in",
        ('for side in ("from", "to")', 'for side in ("from", "from")'),
        first="statement",
    ),
    _in(
        "backends/sql/functions.py",
        "sql: rows with times in whole seconds",
        ("time[11:23]", "time[11:19]"),
        first="time",
    ),
    _in(
        "backends/sql/types.py",
        "sql: times without a zone",
        (
            "return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value",
            "return value",
        ),
        first="users",
    ),
    _in(
        _POSTGRES_FAILURES,
        "sql: a serialization failure that is taken for final",
        ('    "40001": COLLISION,  # serialization_failure\n', ""),
        first="tests/backends/test_error_codes.py",
        backends="postgres",
    ),
    _in(
        _POSTGRES_FAILURES,
        "sql: a shutdown that is taken for a statement that failed",
        ('"57P01": Failure("lost"', '"57P01": Failure("unavailable"'),
        ('"57P02": Failure("lost"', '"57P02": Failure("failed"'),
        first="tests/backends/test_error_codes.py",
        backends="postgres",
    ),
    _in(
        _POSTGRES_FAILURES,
        "sql: a broken connection that is taken for final",
        ('    "08": LOST,\n', ""),
        first="tests/backends/test_error_codes.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/sqlite_failures.py",
        "sql: a locked table that is taken for final",
        ('    "SQLITE_LOCKED": COLLISION,\n', ""),
        first="tests/backends/test_error_codes.py",
    ),
    _in(
        _ERRORS,
        "sql: extended codes of SQLite that are all unknown",
        ('code = code.rpartition("_")[0]', 'code = ""'),
        first="tests/backends/test_error_codes.py",
    ),
    _in(
        _ERRORS,
        "sql: the row that was refused is in the log",
        ("asyncpg_error.detail = None", "pass"),
        first="tests/backends/test_error_words.py",
        backends="postgres",
    ),
    _in(
        _POSTGRES_FAILURES,
        "sql: a value that the server quotes is in the log",
        ('QUOTES_VALUES = ("22", "P0")', 'QUOTES_VALUES = ("22",)'),
        first="tests/backends/test_error_words.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_tls.py",
        "sql: certificates that nobody looks at",
        ('if name in tls and mode in {"allow", "prefer"}:', "if not tls:"),
        first="tests/unit/test_postgres_url_refusals.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_url.py",
        "sql: the second of two servers is not tried",
        ("return hosts", "return hosts[:1]"),
        first="tests/unit/test_postgres_url.py",
        backends="postgres",
    ),
    _in(
        _ERRORS,
        "sql: a wrong class for a broken reference",
        ('"SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key"', '"SQLITE_CONSTRAINT_FOREIGNKEY": "unique"'),
        first="items",
    ),
    _in(
        _ERRORS,
        "sql: a refusal by the entry's checks that is taken for a key in use",
        ('"23514": "check"', '"23514": "unique"'),
        first="transfers",
        backends="postgres",
    ),
    _in(
        _FIRST,
        "sql: an index of addresses that is not unique",
        ('        sa.UniqueConstraint("email", name="uq_users_email"),\n', ""),
        first="users",
    ),
    _in(
        _COUNTERS,
        "sql: counters that are removed while a clock behind counts them",
        ('"ended_by": now - CLOCK_TOLERANCE', '"ended_by": now'),
        first="counters",
    ),
    _in(
        _COUNTERS,
        "sql: counters that end by the clock of the instance that began them",
        ('row["ends_at"] - now', "timedelta(seconds=60)"),
        first="counters",
    ),
    _in(_FIRST, "sql: a cascade forgotten", (', ondelete="CASCADE"', ""), first="integrity"),
    _in(
        _FIRST,
        "sql: the collation of a locale",
        ('collation="C"', 'collation="en-x-icu"'),
        first="sorts",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_requirements.py",
        "sql: a database that can't hold all text is taken",
        (
            "if value == setting.right or (",
            'if setting.name == "server_encoding" or value == setting.right or (',
        ),
        first="tests/cli/test_requirements_postgres.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_privileges.py",
        "sql: a privilege that no start asks for",
        ('    "counters": _EVERYTHING,', '    "counters": ("SELECT",),'),
        first="tests/cli/test_privileges_postgres.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_privileges.py",
        "sql: privileges on declared tables that no start asks for",
        ("{spec.name: _EVERYTHING for spec in resources}", "{}"),
        first="tests/cli/test_privileges_postgres.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/postgres_requirements.py",
        "sql: a service that may not serve unless it may migrate",
        (
            "    if purpose is Purpose.SERVE:\n        yield from denied_rows",
            "    if purpose is Purpose.READ:\n        yield from denied_rows",
        ),
        first="tests/cli/test_privileges_postgres.py",
        backends="postgres",
    ),
    _in(
        "backends/sql/sqlite_requirements.py",
        "sql: a file in UTF-16 is taken",
        ('facts["encoding"] != "UTF-8"', 'not facts["encoding"]'),
        first="tests/cli/test_requirements_sqlite.py",
    ),
    _in(
        _POSTGRES_FAILURES,
        "sql: a lacking privilege is an internal error",
        ('"42501": Failure("denied", ', '"42501": Failure("failed", '),
        first="tests/backends/test_error_codes.py",
        backends="postgres",
    ),
    Fault(
        "sql: a page after the last position has no count",
        "backends/sql/pages.py",
        (("if count and not rows and after is not None:", "if count and not rows and skip > 0:"),),
        "tests/contract/test_cursor_pagination.py",
        backends="sqlite",
    ),
    Fault(
        "sqlite: a long query that blocks the event loop",
        "backends/sql/sqlite.py",
        (("self._callbacks > CALLBACKS", "self._callbacks > 1_000 * CALLBACKS"),),
        "tests/backends/test_sqlite_look_ups.py",
        backends="sqlite",
    ),
    Fault(
        "sqlite: a budget that counts earlier queries",
        "backends/sql/sqlite.py",
        (("            self._budget.start()\n", ""),),
        "tests/backends/test_sqlite_look_ups.py",
        backends="sqlite",
    ),
]
