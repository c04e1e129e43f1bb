"""Faults of the MongoDB backend and its migrations."""

from __future__ import annotations

from tests.faults.fault import Fault


def _in(file: str, what: str, *edits: tuple[str, str], first: str, backends: str = "mongo-motor") -> Fault:
    first = first if first.startswith("tests/") else f"tests/contract/test_{first}.py"
    return Fault(what, file, edits, first, backends)


_PAGES, _ITEMS, _USERS = (f"backends/mongo/{name}.py" for name in ("pages", "resources", "users"))
_INSERTS, _WRITES, _FILTERS, _DOCUMENTS, _REFERENCES = (
    f"backends/mongo/{name}.py" for name in ("inserts", "writes", "conditions", "documents", "references")
)
_REFERENCE_TESTS = "tests/backends/test_mongo_references.py"
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
        _DOCUMENTS,
        "mongo: null is left out of what is stored",
        (
            "column, encode = self._encoders[name]\n",
            "column, encode = self._encoders[name]\n            if value is None: continue\n",
        ),
        first="items",
    ),
    _in(
        _WRITES,
        "mongo: an update of an item that upserts",
        (
            "matches, change, return_document=True, session=session\n",
            "matches, change, return_document=True, session=session, upsert=True\n",
        ),
        first="items",
    ),
    _in(
        _REFERENCES,
        "mongo: a reference that does not conflict with a deletion",
        (
            '].update_many(\n                {"_id": {"$in": list(wanted)}},',
            '].update_many(\n                {"_id": {"$in": []}},',
        ),
        first=_REFERENCE_TESTS,
    ),
    _in(
        _REFERENCES,
        "mongo: a row that is deleted with another one keeps it",
        ('where["$nor"] = doomed[spec.name].conditions', "pass"),
        first=_REFERENCE_TESTS,
    ),
    _in(
        _REFERENCES,
        "mongo: a cascade of one level",
        ("found.append((spec.name, sorted(new)))", "pass"),
        first=_REFERENCE_TESTS,
    ),
    _in(
        _REFERENCES,
        "mongo: a reference that is set to null without a new version",
        ('"$inc": {"version": 1}}', '"$inc": {"version": 0}}'),
        first=_REFERENCE_TESTS,
    ),
    _in(
        _WRITES,
        "mongo: a changed reference that nobody looks up",
        ("await self._references.touch(parents, session)", "pass"),
        first=_REFERENCE_TESTS,
    ),
    _in(
        _INSERTS,
        "mongo: an added row is not kept under its key",
        ("await self._keys.insert_one(kept, session=session)", "del kept"),
        first="tests/contract/test_resource_constraints.py",
    ),
    _in(
        _PAGES,
        "mongo: a descending cursor that forgets nulls",
        ('self.field: {"$not": {"$gt": key}}', 'self.field: {"$lte": key}'),
        first="tests/contract/test_resource_lists.py",
    ),
    _in(
        _DOCUMENTS,
        "mongo: a decimal with its point in another place",
        (
            "return lambda value: Int64(scaled(value, places))",
            "return lambda value: Int64(scaled(value, 0))",
        ),
        first="tests/contract/test_resource_values.py",
    ),
    _in(
        _FILTERS,
        "mongo: a public condition that forgets the owner",
        ('{"$or": [is_owned, self.is_public]} if public', "self.is_public if public"),
        first="tests/contract/test_resource_lists.py",
    ),
    _in(
        "backends/mongo/resource_collections.py",
        "mongo: null is a value of a unique group",
        ("unique=True, only=only or None", "unique=True"),
        first="tests/contract/test_resource_constraints.py",
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
        "mongo: items that a stranger changes",
        ('matches["owner_id"] = object_id(owner_id)', "pass"),
        first="owners",
    ),
    _in(
        _FILTERS,
        "mongo: search takes text for a pattern",
        ("re.escape(fold_case(text))", "fold_case(text)"),
        first="search",
    ),
    _in(
        _FILTERS,
        "mongo: search by the server's idea of case",
        (
            'part = {"$regex": re.escape(fold_case(text))}',
            'part = {"$regex": re.escape(text), "$options": "i"}',
        ),
        first="search",
    ),
    _in(
        _FILTERS,
        "mongo: search that leaves out descriptions",
        ("for column in self._folded]", "for column in self._folded[:1]]"),
        first="search",
    ),
    _in(
        _ITEMS,
        "mongo: search that does not follow an update",
        (
            '{"$set": self._map.to_stored(values),',
            '{"$set": {k: v for k, v in self._map.to_stored(values).items() if k[-7:] != "_folded"},',
        ),
        first="search",
    ),
    _in(
        _INSERTS,
        "mongo: items of nobody",
        ("if await self._has_owner(documents[0]):", "if True:"),
        first="items",
    ),
    _in(
        _INSERTS,
        "mongo: many items of nobody",
        ("if await self._has_owner(documents[0]):", "if True:"),
        first="bulk",
    ),
    _in(
        _INSERTS,
        "mongo: many items whose owner is looked for before they are there",
        (
            "await self._insert(documents)\n        if",
            "had = await self._has_owner(documents[0])\n        await self._insert(documents)\n        if",
        ),
        ("if await self._has_owner(documents[0]):", "if had:"),
        first="bulk",
    ),
    _in(
        _INSERTS,
        "mongo: many items beside their transaction",
        (
            "_documents.insert_many(documents, session=session)\n\n        await in_transaction",
            "_documents.insert_many(documents)\n\n        await in_transaction",
        ),
        first="bulk",
    ),
    _in(
        _USERS,
        "mongo: a deleted user's items stay",
        ("await self._references.delete_referring(USERS.name, user_id, session)", "pass"),
        ('await self._sweep({"owner_id": user_id})', "pass"),
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
            'raise AlreadyExists("user", duplicate.fields[0]) from duplicate\n        if document is None:',
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
        ('"id" if field == "_id" else field for', '"id" for'),
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
