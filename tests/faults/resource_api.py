"""Faults of the API of declared resources."""

from __future__ import annotations

from tests.faults.fault import Fault

_ACCESS, _ROUTES, _FORMS = (f"api/resources/{name}.py" for name in ("access", "routes", "forms"))
_OF_ACCESS, _OF_ROWS = "tests/api/test_resource_access.py", "tests/api/test_resources.py"


def _in(file: str, what: str, *edits: tuple[str, str], first: str = _OF_ROWS) -> Fault:
    return Fault(f"resources over HTTP: {what}", file, edits, first, "sqlite")


FAULTS = [
    _in(
        _ACCESS,
        "rows that everybody who is signed in may change",
        ('return owner_scope if who == "owner" else _all_rows', "return _all_rows"),
        first=_OF_ACCESS,
    ),
    _in(
        _ACCESS,
        "a route for superusers that asks for any user",
        ('"superuser": Superuser,', '"superuser": CurrentUser,'),
        first=_OF_ACCESS,
    ),
    _in(
        _ROUTES,
        "public rows that only their owner reads",
        (' public = bool(spec.public_when) and who == "owner"', " public = False"),
        first=_OF_ACCESS,
    ),
    _in(
        _ROUTES,
        "rows that are read whoever owns them",
        ("owner_id=owner_of(user), public=public)", "owner_id=None, public=public)"),
        first=_OF_ACCESS,
    ),
    _in(
        "api/deps.py",
        "a row that is looked up for an invalid token",
        ("        found = await user\n", "        await asyncio.sleep(0)\n        found = await user\n"),
        first="tests/unit/test_deps.py",
    ),
    _in(
        _ROUTES,
        "lists of one owner that have the public rows of others",
        ("query.owner_id is None and owner_id is not None", "owner_id is not None"),
    ),
    _in(
        _FORMS,
        "read-only fields that clients set",
        ('namespace = {"without_read_only": validator} if read_only else {}', "namespace = {}"),
    ),
    _in(
        "api/cursors.py",
        "cursors that end at null",
        ("if key is None and field is not None and field.nullable:", "if False:"),
    ),
    _in(
        "api/cursors.py",
        "cursors that hold dates as text",
        ('    "date": (str, date.fromisoformat),\n', ""),
    ),
    _in(
        "api/resources/problems.py",
        "references to nothing that are reported as the row's absence",
        ("if getattr(body, field.name, None) == exc.id:", "if False:"),
        first="tests/unit/test_resource_problems.py",
    ),
    _in(
        "api/idempotency.py",
        "a retry whose defaults make another request of it",
        ("given_only = isinstance(body, Resource)", "given_only = False"),
    ),
    _in(
        "api/resources/problems.py",
        "a document without what keeps the rows that are deleted with a row",
        ("deleted = _deleted_with(name, specs)", "deleted = {name}"),
        first="tests/api/test_resource_openapi.py",
    ),
    _in(
        "backends/models/resources/values.py",
        "a document that allows negative prices",
        ('sign = "-?" if field.minimum is None or Decimal(field.minimum) < 0 else ""', 'sign = "-?"'),
        first="tests/api/test_resource_openapi.py",
    ),
    _in(
        _ROUTES,
        "a body that can't be read, which routes for anyone don't document",
        ('if "body" in annotations and UNREADABLE_BODY.status not in responses:', "if False:"),
        first="tests/api/test_resource_openapi.py",
    ),
]
