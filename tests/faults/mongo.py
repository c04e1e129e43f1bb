"""Faults of the MongoDB backend and its migrations."""

from __future__ import annotations

from tests.faults.fault import Fault


def _in(file: str, what: str, *edits: tuple[str, str], first: str, backends: str = "mongo-motor") -> Fault:
    first = first if first.startswith("tests/") else f"tests/contract/test_{first}.py"
    return Fault(what, file, edits, first, backends)


_PAGES, _ITEMS, _USERS = (f"backends/mongo/{name}.py" for name in ("pages", "items", "users"))
_MONEY, _ACCOUNTS, _COUNTERS = (
    f"backends/mongo/{name}.py" for name in ("transfers", "accounts", "counters")
)

FAULTS = [
    _in(
        _PAGES,
        "mongo: a sort without its tie-breaker",
        ('return (by_field,) if self.unique else (by_field, ("_id", direction))', "return (by_field,)"),
        first="pages",
    ),
    _in(
        _PAGES,
        "mongo: a tie-breaker that always ascends",
        ('(by_field, ("_id", direction))', '(by_field, ("_id", 1))'),
        first="pages",
    ),
    _in(
        _PAGES,
        "mongo: a cursor that shows its own row again",
        ("{operator: object_id(position.id)}}]", '{f"{operator}e": object_id(position.id)}}]'),
        first="pages",
    ),
    _in(
        _PAGES,
        "mongo: a cursor over addresses that shows its own row again",
        ("return {self.field: {operator: key}}", 'return {self.field: {f"{operator}e": key}}'),
        first="sorts",
    ),
    _in(
        _PAGES,
        "mongo: a cursor that forgets rows with an equal key",
        ('{f"{operator}e": key}, "$or": tie_break}', "{operator: key}}"),
        first="pages",
    ),
    _in(
        _PAGES,
        "mongo: a count that ignores the filters",
        ('total = {"$match": _all_of(where)}', 'total = {"$match": _all_of([])}'),
        first="filters",
    ),
    _in(
        _PAGES,
        "mongo: a next page after the last one",
        ("more = len(found) > limit", "more = len(found) >= limit > 0"),
        first="pages",
    ),
    _in(
        _PAGES,
        "mongo: a cursor behind the row that is not shown yet",
        ("order.position(found[limit - 1])", "order.position(found[limit])"),
        first="cursor_pagination",
    ),
    _in(
        _PAGES,
        "mongo: a limit of 0 that means none",
        ("    if limit:", "    if limit >= 0:"),
        first="filters",
    ),
    _in(
        _PAGES,
        "mongo: an inclusive bound of time",
        ('bounds = {"$gt": after', 'bounds = {"$gte": after'),
        first="filters",
    ),
    _in(_PAGES, "mongo: skip is forgotten", ('{"$skip": skip}', '{"$skip": 0}'), first="pages"),
    _in(
        _ITEMS,
        "mongo: null is left out of what is stored",
        (
            "**with_folded(values)}",
            "**{name: value for name, value in with_folded(values).items() if value is not None}}",
        ),
        first="items",
    ),
    _in(
        _ITEMS,
        "mongo: an update of an item that upserts",
        (
            '{"$set": values, "$inc": {"version": 1}},\n',
            '{"$set": values, "$inc": {"version": 1}},\n                upsert=True,\n',
        ),
        first="items",
    ),
    _in(
        _ITEMS,
        "mongo: a change of an item that is no new version",
        ('"$inc": {"version": 1}', '"$inc": {"version": 0}'),
        first="versions",
    ),
    _in(
        _ITEMS,
        "mongo: an item that another version changes",
        ('matches["version"] = {"$in": list(versions)}', "pass"),
        first="versions",
    ),
    _in(
        _ITEMS,
        "mongo: a stranger's item is reported as not found",
        ('return NotOwner("item", id)', 'return NotFound("item", id)'),
        first="owners",
    ),
    _in(
        _ITEMS,
        "mongo: items that a stranger changes",
        ('matches["owner_id"] = object_id(owner_id)', "pass"),
        first="owners",
    ),
    _in(
        _ITEMS,
        "mongo: search takes text for a pattern",
        ("re.escape(fold_case(where.q))", "fold_case(where.q)"),
        first="search",
    ),
    _in(
        _ITEMS,
        "mongo: search by the server's idea of case",
        (
            'part = {"$regex": re.escape(fold_case(where.q))}',
            'part = {"$regex": re.escape(where.q), "$options": "i"}',
        ),
        first="search",
    ),
    _in(
        _ITEMS,
        "mongo: search that leaves out descriptions",
        ('[{"title_folded": part}, {"description_folded": part}]', '[{"title_folded": part}]'),
        first="search",
    ),
    _in(
        _ITEMS,
        "mongo: search that does not follow an update",
        (
            "values = with_folded(changes.model_dump(exclude_unset=True))",
            "values = changes.model_dump(exclude_unset=True)",
        ),
        first="search",
    ),
    _in(
        _ITEMS,
        "mongo: items of nobody",
        ("if await self._has_owner(document):", "if True:"),
        first="items",
    ),
    _in(
        _ITEMS,
        "mongo: many items of nobody",
        ("if await self._has_owner(documents[0]):", "if True:"),
        first="bulk",
    ),
    _in(
        _ITEMS,
        "mongo: many items whose owner is looked for before they are there",
        (
            "await in_transaction(self._driver, insert,",
            "had = await self._has_owner(documents[0])\n        await in_transaction(self._driver, insert,",
        ),
        ("if await self._has_owner(documents[0]):", "if had:"),
        first="bulk",
    ),
    _in(
        _ITEMS,
        "mongo: many items beside their transaction",
        (
            "await self._items.insert_many(documents, session=session)",
            "await self._items.insert_many(documents)",
        ),
        first="bulk",
    ),
    _in(
        _USERS,
        "mongo: a deleted user's items stay",
        ('await self._items.delete_many({"owner_id": user_id}, session=session)', "pass"),
        ('await self._items.delete_many({"owner_id": user_id})', "pass"),
        first="integrity",
    ),
    _in(
        _USERS,
        "mongo: a deleted user's accounts stay",
        ('await self._accounts.delete_many({"owner_id": user_id}, session=session)', "pass"),
        first="account_owners",
    ),
    _in(
        _USERS,
        "mongo: a user is deleted with money",
        ('raise AccountNotEmpty("user", str(user_id))', "pass"),
        first="account_owners",
    ),
    _in(
        _USERS,
        "mongo: sessions that do not end",
        ('"session_version": int(end_sessions)', '"session_version": 0'),
        first="versions",
    ),
    _in(
        _USERS,
        "mongo: a taken address overwritten without a word",
        (
            'raise AlreadyExists("user", duplicate.field) from duplicate\n        if document is None:',
            "return await self.get(id)\n        if document is None:",
        ),
        first="users_update",
    ),
    _in(
        _USERS,
        "mongo: a filter by activity that is ignored",
        (
            "return conditions if where.is_active is None else",
            "return conditions if where.is_active is not True else",
        ),
        first="filters",
    ),
    _in(
        _USERS,
        "mongo: times of the whole second in a form of their own",
        ('write_time(document["created_at"])', 'document["created_at"].isoformat() + "Z"'),
        first="time",
    ),
    _in(
        "migrations/mongo/steps/m0001_users_and_items.py",
        "mongo: an index of addresses that is not unique",
        ('IndexSpec(keys=(("email", 1),), unique=True)', 'IndexSpec(keys=(("email", 1),))'),
        first="users",
    ),
    _in(
        "backends/mongo/errors.py",
        "mongo: every duplicate is one of the id",
        ('DuplicateKey("id" if field == "_id" else field)', 'DuplicateKey("id")'),
        first="users",
    ),
    _in(
        "backends/mongo/failures.py",
        "mongo: a transaction that the server gave up is taken for final",
        ("    251: COLLISION,  # NoSuchTransaction: the server aborted it\n", ""),
        first="tests/backends/test_error_codes.py",
    ),
    _in(
        "backends/mongo/failures.py",
        "mongo: a primary that stepped down is taken for a failure",
        ("    189: _PRIMARY,  # PrimarySteppedDown\n", ""),
        first="tests/backends/test_error_codes.py",
    ),
    _in(
        "backends/mongo/errors.py",
        "mongo: a document that was refused is in the log",
        ('r", full error:|, Timeout:| dup key| ?\\{"', 'r", Timeout:"'),
        first="tests/backends/test_error_words.py",
    ),
    _in(
        "backends/mongo/url.py",
        "mongo: an option of the URL that contradicts the contract is ignored",
        ('    "retryWrites": Fixed(_ON,', '    "retryWrites": Fixed((*_ON, *_OFF),'),
        first="tests/unit/test_mongo_url.py",
    ),
    _in(
        "backends/mongo/errors.py",
        "mongo: a collision of transactions is no conflict",
        ("if exc.has_error_label(TRANSIENT_TRANSACTION):", "if not str(exc):"),
        ("elif code in FAILURES:", "elif code in FAILURES and code != 112:"),
        first="transfer_races",
    ),
    _in(
        _MONEY,
        "mongo: a debit without its guard",
        ('return {**guards, "balance_minor": {"$gte": posting.amount_minor}}', "return guards"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "mongo: a credit without its guard",
        ('return {**guards, "balance_minor": {"$lte": MAX_MINOR - posting.amount_minor}}', "return guards"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "mongo: money moves between currencies",
        ('guards["currency"] = currency', "pass"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "mongo: money is taken from a stranger's account",
        ('guards["owner_id"] = object_id(posting.owner_id)', "pass"),
        first="transfers",
    ),
    _in(
        _MONEY,
        "mongo: an entry that is no new version of its account",
        ('Int64(amount), "version": 1}', 'Int64(amount), "version": 0}'),
        first="transfers",
    ),
    _in(
        _MONEY,
        "mongo: the outcome of a posting is not kept",
        (
            "await self._keys.insert_one(kept, session=session)",
            "del kept",
        ),
        first="idempotency",
    ),
    _in(
        _MONEY,
        "mongo: keys of idempotency that all users share",
        (
            'find_one({"owner_id": object_id(owner_id), "key": idempotency.key})',
            'find_one({"key": idempotency.key})',
        ),
        first="idempotency_keys",
    ),
    _in(
        _MONEY,
        "mongo: an owner does not see what came in",
        (
            'either = [{"from_owner_id": owner}, {"to_owner_id": owner}]',
            'either = [{"from_owner_id": owner}]',
        ),
        first="account_owners",
    ),
    _in(
        _MONEY,
        "mongo: a statement without what came in",
        ('versions} for side in ("from", "to")]', 'versions} for side in ("from",)]'),
        first="statement",
    ),
    _in(
        _ACCOUNTS,
        "mongo: an account with money is deleted",
        ('{"_id": object_id(id), "balance_minor": 0}', '{"_id": object_id(id)}'),
        first="accounts",
    ),
    _in(
        _ACCOUNTS,
        "mongo: a filter by currency that is ignored",
        ('conditions.append({"currency": where.currency})', "pass"),
        first="account_lists",
    ),
    _in(
        _ACCOUNTS,
        "mongo: an account whose key is not kept",
        ("await self._keys.insert_one(kept, session=session)", "del kept"),
        first="idempotency",
    ),
    _in(
        _COUNTERS,
        "mongo: counters that are removed while a clock behind counts them",
        ('{"$lte": now - CLOCK_TOLERANCE}', '{"$lte": now}'),
        first="counters",
    ),
    _in(
        _COUNTERS,
        "mongo: an addition that begins the counter anew",
        ('{"$inc": {"value": amount}}', '{"$set": {"value": amount}}'),
        first="counters",
    ),
    _in(
        "backends/mongo/requirements.py",
        "mongo: a start that does not ask for the journal",
        ('"j": True, "wtimeout"', '"wtimeout"'),
        first="tests/cli/test_requirements_mongo.py",
    ),
    _in(
        "backends/mongo/requirements.py",
        "mongo: a privilege in another database counts",
        ('privilege["resource"].get("db") in {"", database}\n            and ', ""),
        first="tests/cli/test_requirements_mongo.py",
    ),
]
