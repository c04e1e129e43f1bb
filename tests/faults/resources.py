"""Faults of declared resources."""

from __future__ import annotations

from tests.faults.fault import Fault

_VALUES, _LISTS, _CONSTRAINTS = (
    f"tests/contract/test_resource_{name}.py" for name in ("values", "lists", "constraints")
)
_ROWS = "tests/backends/test_check_resource_rows.py"
_COLUMNS, _CONDITIONS, _BULK = (f"backends/sql/{name}.py" for name in ("columns", "conditions", "bulk"))
_STATEMENTS, _PAGES = "backends/sql/resource_statements.py", "backends/sql/pages.py"
_SQL, _BOTH = "sqlite", "sqlite,postgres"


def _in(
    file: str, what: str, *edits: tuple[str, str], first: str = _CONSTRAINTS, backends: str = _SQL
) -> Fault:
    return Fault(f"resources: {what}", file, edits, first, backends)


FAULTS = [
    _in(
        _COLUMNS,
        "a double that SQLite returns as an integer after a change",
        ('return None if dialect.name == "postgresql" else _read_float', "return None"),
        first=_VALUES,
    ),
    _in(
        "backends/models/resources/values.py",
        "a scaled decimal that is off by a digit in lists",
        ("unit = 10**places", "unit = 10**min(places, 2)"),
        first=_VALUES,
    ),
    _in(
        _COLUMNS,
        "a decimal that went through a float",
        ("int(value.scaleb(self.places))", "int(float(value) * 10**self.places)"),
        first=_VALUES,
    ),
    _in(
        "backends/models/resources/values.py",
        "an opaque object whose keys are sorted",
        ("ensure_ascii=False, separators=", "ensure_ascii=False, sort_keys=True, separators="),
        first=_VALUES,
    ),
    _in(
        _BULK,
        "the last date in a bulk insert is another one than alone",
        ('return "infinity" if value == date.max else value.isoformat()', "return value.isoformat()"),
        first="tests/contract/test_resource_graph.py",
        backends="postgres",
    ),
    _in(
        _CONDITIONS,
        "a filter that forgets null",
        (
            'column.is_(None) if is_null == "True" else column.is_not(None)',
            'column.is_(None) if is_null == "True" else column == column',
        ),
        ("column <= value", "or_(column <= value, column.is_(None))"),
        first=_LISTS,
    ),
    _in(
        _CONDITIONS,
        "a filter with several values that takes the first alone",
        ("several += several[-1:] *", "several[1:] = several[:1] * (len(several) - 1) + several[:1] *"),
        first=_LISTS,
    ),
    _in(
        _CONDITIONS,
        "public rows without those of the owner",
        ("(mine, and_(not_(mine), public))", "(and_(not_(mine), public))"),
        first=_LISTS,
    ),
    _in(
        _CONDITIONS,
        "public rows that are listed twice",
        ("(mine, and_(not_(mine), public))", "(mine, public)"),
        first=_LISTS,
    ),
    _in(
        _PAGES,
        "null as the last of an ascending order",
        ("first.nulls_last() if self.descending else first.nulls_first()", "first.nulls_last()"),
        first=_LISTS,
        backends=_BOTH,
    ),
    _in(
        _PAGES,
        "pages that end before the rows with null",
        ("return (less, column.is_(None)) if self.key.nullable else (less,)", "return (less,)"),
        first=_LISTS,
    ),
    _in(
        _PAGES,
        "pages that end after the rows with null",
        (
            "return and_(column.is_(None), table.c.id > id_), column.is_not(None)",
            "return (and_(column.is_(None), table.c.id > id_),)",
        ),
        first=_LISTS,
    ),
    _in(
        "backends/sql/tables.py",
        "a unique group that is not unique",
        ("yield UniqueConstraint(*group)", "yield Index(None, *group)"),
    ),
    _in(
        "backends/sql/tables.py",
        "a reference without its foreign key",
        ("references.append(ForeignKey(key, ondelete=ON_DELETE[field.on_delete]))", "_ = key"),
    ),
    _in(
        _STATEMENTS,
        "a reference that becomes null without a new version",
        (
            "values = {table.c[name]: None, table.c.version: table.c.version + 1}",
            "values = {table.c[name]: None}",
        ),
    ),
    _in(
        _STATEMENTS,
        "references further on that become null without a new version",
        ("found += [rows.with_for_update(), *deeper] if deeper else []", "del deeper"),
    ),
    _in(
        "backends/sql/violations.py",
        "a value in use is reported before a reference to nothing",
        ("        if missing := await self._missing(rows):\n            return missing\n", ""),
    ),
    _in(
        "backends/sql/resources.py",
        "a repeated call that adds another row",
        ("            if idempotency is None:", "            if idempotency or idempotency is None:"),
    ),
    _in(
        "backends/resource_rows.py",
        "a rule that is not asked on changes",
        ("if values and not cls.__resource__.has_rules:", "if values:"),
    ),
    _in(
        "backends/resource_rows.py",
        "a rule that is asked of a row that others have changed",
        ("merge(row, values), [row.version])", "merge(row, values), versions)"),
    ),
    _in(
        "backends/models/resources/declaration.py",
        "a hook for changes of a resource without rules, which is not called",
        ('                or "before_change" in hooks\n', ""),
        first="tests/api/test_hooks.py",
    ),
    _in(
        "backends/models/resources/hooks.py",
        "values of a hook that nobody validates",
        (
            "after = validated(cls, {name: getattr(row, name) for name in names} | dict(found))",
            "after = cls.of_fields({name: getattr(row, name) for name in names} | dict(found))",
        ),
        first="tests/api/test_hooks.py",
    ),
    _in(
        "api/user_routers.py",
        "a route of a user that hides one of EitherDB's",
        ("if isinstance(other, Route) and _hides(route, other):", "if False:"),
        first="tests/unit/test_user_routers.py",
    ),
    _in(
        "api/user_routers.py",
        "a route of a user that parses the body before it knows the caller",
        ("return Route(\n", "return APIRoute(  # type: ignore[return-value]\n"),
        first="tests/api/test_user_routers.py",
    ),
    _in(
        "backends/resource_rows.py",
        "a stranger's row is reported as not found",
        ("return NotOwner(spec.entity, id)", "return NotFound(spec.entity, id)"),
        first="tests/contract/test_owners.py",
    ),
    _in(
        "api/resources/forms.py",
        "a small decimal that is written with an exponent",
        ('PlainSerializer(to_json, when_used="json")', 'PlainSerializer(str, when_used="json")'),
        first="tests/api/test_resources.py",
    ),
    _in(
        "backends/sql/users.py",
        "a user who is referred to is said to have money",
        ('await self._connections.run(_MONEY, {"of_id": id}):', "id:"),
    ),
    _in(
        "backends/rows/resource_rules.py",
        "a check of stored rows that looks at types only",
        ("found = {**of_class, **found}", "found = {**found}"),
        first=_ROWS,
    ),
    _in(
        "backends/rows/walk.py",
        "a check of stored rows that looks for owners only",
        ("for field_ in cls.__resource__.references if cls else ():", "for field_ in ():"),
        first=_ROWS,
    ),
    _in(
        "backends/mongo/rows.py",
        "a check of stored rows that takes a time for a date",
        ('case "date", datetime() if value.time() == time.min:', 'case "date", datetime():'),
        first=_ROWS,
        backends="mongo-motor",
    ),
    _in(
        "backends/sql/tables.py",
        "an index in which nulls are last",
        ("if column.nullable else column", "if False else column"),
        first="tests/backends/test_resource_plans.py",
        backends="postgres",
    ),
    _in(
        "backends/mongo/pages.py",
        "a page among nulls that sorts the whole list",
        ('{"$or": [{self.field: None, **has_later_id}, ', '{"$or": [has_later_id, '),
        first="tests/backends/test_resource_plans.py",
        backends="mongo-motor",
    ),
    _in(
        _STATEMENTS,
        "a refusal that knows only the children of a row",
        (
            "ids, is_within = _with_descendants(name, all_of_them, of_ids)",
            "ids, is_within = of_ids, None",
        ),
        backends=_BOTH,
    ),
    _in(
        "backends/mongo/pages.py",
        "a cursor at a time without its zone",
        (
            "_stored(key) if self.encode is None else self.encode(key)",
            "(self.encode or _stored)(_stored(key))",
        ),
        first="tests/unit/test_mongo_pages.py",
        backends="mongo-motor",
    ),
    _in(
        "backends/rows/json_fields.py",
        "a check of stored rows that a malformed decimal ends",
        ("suppress(ValueError, ArithmeticError)", "suppress(ValueError)"),
        first="tests/unit/test_json_fields.py",
    ),
    _in(
        "migrations/mongo/resources.py",
        "a revision that is not marked while it is applied",
        ("{**record, UNDOING: True, STEPS_DONE: done}", "record"),
        first="tests/migrations/test_resource_interruption.py",
        backends="mongo-motor",
    ),
    _in(
        "cli/conformance/suite.py",
        "a report that counts a failure as a success",
        ("resource.failed += 1", "resource.passed += 1"),
        first="tests/unit/test_conformance_results.py",
    ),
    _in(
        "backends/sql/ownership.py",
        "a service on tables without an index",
        ("if name not in self._found and name not in self._absent", "if name in self._absent"),
        first="tests/migrations/test_resource_drift.py",
    ),
    _in(
        "cli/seeding/run.py",
        "a batch of a file in which rows of other owners get the first one's",
        (" or batch[0].owner_id != found.owner_id", ""),
        first="tests/cli/test_seed.py",
    ),
    _in(
        "cli/user.py",
        "a user who is deactivated and stays signed in after an activation",
        ("UserChanges(is_active=False), end_sessions=True", "UserChanges(is_active=False)"),
        first="tests/cli/test_user.py",
    ),
]
