"""Faults of what all backends share, and of the API that stands on it."""

from __future__ import annotations

from tests.faults.fault import DIFFERENTIAL, Fault


def _in(
    file: str, what: str, *edits: tuple[str, str], first: str = DIFFERENTIAL, backends: str = "sqlite"
) -> Fault:
    first = first if first.startswith("tests/") else f"tests/contract/test_{first}.py"
    return Fault(what, file, edits, first, backends)


_TEXT, _TIMES = "backends/models/text.py", "backends/models/times.py"
_LEDGER, _POSTINGS = "backends/ledger.py", "backends/postings.py"
_IDEMPOTENCY = "api/idempotency.py"
_NORMALISATION, _FAST_PATH = "api/normalisation.py", "api/fast_path.py"
_BOTH = "sqlite,mongo-motor"

FAULTS = [
    _in(
        _TEXT,
        "addresses told apart by case",
        ('address = normalize("NFC", checked.lower())', 'address = normalize("NFC", checked)'),
        first="emails",
    ),
    _in(
        _TEXT,
        "addresses told apart by their normal form",
        ('address = normalize("NFC", checked.lower())', "address = checked.lower()"),
        ("check_deliverability=False).normalized", "check_deliverability=False).original"),
        first="emails",
    ),
    _in(
        _TEXT,
        "NUL in a text",
        ('if "\\x00" in text:', "if not isinstance(text, str):"),
        first="input_models",
    ),
    _in(
        _TEXT,
        "search by lower case in place of folded case",
        ('normalize("NFC", text).casefold())', 'normalize("NFC", text).lower())'),
        first="search",
    ),
    _in(
        _TEXT,
        "search that tells normal forms apart",
        ('return normalize("NFC", normalize("NFC", text).casefold())', "return text.casefold()"),
        first="search",
    ),
    _in(
        _TIMES,
        "microseconds kept in a bound of time",
        (
            "    whole = whole_milliseconds(time)\n    return whole if whole == time else",
            "    whole = _in_utc(time)\n    return whole if whole == time else",
        ),
        first="filters",
        backends=_BOTH,
    ),
    _in(
        _TIMES,
        "a bound of time that is rounded down",
        ("return whole if whole == time else _shifted(whole, _MILLISECOND)", "return whole"),
        first="input_models",
    ),
    _in(
        "backends/models/transfers.py",
        "entries that who ordered them may not read",
        (
            "return {self.ordered_by, *(side.owner_id",
            "return {*(side.owner_id",
        ),
        first="transfers",
    ),
    _in(
        "backends/ids.py",
        "microseconds kept",
        ("return now.replace(microsecond=now.microsecond // 1000 * 1000)", "return now"),
        first="time",
    ),
    _in("backends/ids.py", "ids in capitals are ids", ("[0-9a-f]{24}", "[0-9a-fA-F]{24}"), first="items"),
    _in(
        "backends/retry.py",
        "a conflict that is not tried again",
        ("        except passing:\n", "        except passing:\n            raise\n"),
        first="transfer_races",
        backends="mongo-motor",
    ),
    _in(
        "backends/idempotency.py",
        "a key that is good for any request",
        ("if kept_fingerprint != idempotency.fingerprint:", "if not kept_fingerprint:"),
        first="idempotency",
    ),
    _in(
        _LEDGER,
        "a refusal that is not kept",
        ("await self._keep(refusal, posting.ordered_by, posting.idempotency)", "pass"),
        first="idempotent_refusals",
    ),
    _in(
        _LEDGER,
        "a refused posting whose key is forgotten when it is taken",
        (
            "return await self._posted_before(posting, taken)\n        raise refusal",
            "raise refusal from taken\n        raise refusal",
        ),
        first="idempotent_refusals",
    ),
    _in(
        _LEDGER,
        "a posting whose id is another entry's, taken for that entry",
        ("if not posting.is_of(earlier):", "if posting.id != earlier.id:"),
        first="postings",
    ),
    _in(
        _LEDGER,
        "a refused posting whose id is another entry's, taken for that entry",
        (
            """if await self._find_transfer(posting.id) is not None:
            return await self._posted_before(posting, refused)""",
            "if earlier := await self._find_transfer(posting.id):\n            return earlier",
        ),
        first="postings",
    ),
    _in(
        _LEDGER,
        "a refused posting that was done before its answer got lost",
        ("if await self._find_transfer(posting.id) is not None:", "if posting.id is None:"),
        first="tests/backends/test_lost_responses.py",
    ),
    _in(
        _LEDGER,
        "an earlier try of a posting, taken for another posting",
        ("if not posting.is_of(earlier):", "if posting.is_of(earlier):"),
        first="tests/backends/test_lost_responses.py",
    ),
    _in(
        _POSTINGS,
        "entries that are told apart by all but their accounts",
        (
            "return accounts == (self.from_account_id, self.to_account_id) and transfer",
            "return len(accounts) == 2 and transfer",
        ),
        first="postings",
    ),
    _in(
        _POSTINGS,
        "an overflow that is never named",
        ("target.balance_minor > MAX_MINOR - posting.amount_minor", "target.balance_minor > MAX_MINOR"),
        first="transfers",
    ),
    _in(
        "backends/models/money.py",
        "amounts beyond what JSON carries unchanged",
        ("MAX_MINOR = 2**53 - 1", "MAX_MINOR = 2**63 - 1"),
        first="input_models",
    ),
    _in(
        _POSTINGS,
        "a currency that is looked at before the owner",
        (
            "if posting.owner_id not in {None, source.owner_id}:\n",
            "if posting.to_account_id is None and posting.owner_id not in {None, source.owner_id}:\n",
        ),
        first="transfers",
    ),
    _in(
        _POSTINGS,
        "a statement with the wrong sign",
        ("amount_minor=-transfer.amount_minor if takes", "amount_minor=transfer.amount_minor if takes"),
        first="statement",
    ),
    _in(
        _LEDGER,
        "a statement in the order of the database",
        ("yield sorted(entries, key=lambda entry: entry.version)", "yield entries[::-1]"),
        first="statement",
    ),
    _in(
        _LEDGER,
        "a statement whose lists overlap",
        (
            "last = min(first + STATEMENT_BATCH - 1, account.version)",
            "last = min(first + STATEMENT_BATCH, account.version)",
        ),
        first="statement",
    ),
    _in(
        _LEDGER,
        "an entry that a stranger reads",
        (
            "if owner_id is not None and owner_id not in transfer.parties:",
            "if owner_id is not None and not transfer.parties:",
        ),
        first="transfers",
    ),
    _in(
        "api/cursors.py",
        "cursors in whole seconds",
        (
            "return (key - _EPOCH) // _MILLISECOND",
            "return (key - _EPOCH) // (1000 * _MILLISECOND) * 1000",
        ),
        first="tests/api/test_lists.py",
    ),
    _in(
        "api/cursors.py",
        "a cursor of one list that is good for another",
        ('f"{name}\\0{sort}\\0".encode()', 'f"{sort}\\0".encode()'),
        first="tests/api/test_lists.py",
    ),
    _in(
        "api/cursors.py",
        "a cursor of one sort order that is good for another",
        ('f"{name}\\0{sort}\\0".encode()', 'f"{name}\\0".encode()'),
        first="tests/api/test_lists.py",
    ),
    _in(
        "api/cursors.py",
        "a cursor that is good in many spellings",
        ("if _to_text(signed) == cursor and any(", "if any("),
        first="tests/api/test_lists.py",
    ),
    _in(
        "api/cursors.py",
        "cursors that end with a change of the key",
        ("keys = (settings.secret_key, *settings.previous_secret_keys)", "keys = (settings.secret_key,)"),
        first="tests/api/test_sessions.py",
    ),
    _in(
        "api/preconditions.py",
        "an ETag without the version",
        ("{resource.id}-{resource.version}{", "{resource.id}-1{"),
    ),
    _in(
        "api/preconditions.py",
        "a tag of one resource that lets a change of another through",
        ("in _own_tags(self.header) if tagged_id == id)", "in _own_tags(self.header))"),
    ),
    _in(
        "api/preconditions.py",
        "a tag from before a new field that counts as current",
        ("resource.version, _form_of(resource)) in", 'resource.version, "") in'),
        ('int(tag["version"]), tag["form"] or ""', 'int(tag["version"]), ""'),
        first="tests/api/test_resources.py",
    ),
    _in(
        _IDEMPOTENCY,
        "a key that is good for any body",
        ('f"{self.target}\\n{body.model_dump_json(exclude_unset=given_only)}"', "self.target"),
    ),
    _in(_IDEMPOTENCY, "a key that is good for any path", ('f"{self.target}\\n{body', 'f"{body')),
    _in(
        "api/resources/forms.py",
        "as many items at once as anybody likes",
        ("Field(min_length=1, max_length=MAX_ADDED)", "Field(min_length=1, max_length=10 * MAX_ADDED)"),
        first="tests/api/test_bulk.py",
    ),
    _in(
        "api/resources/routes.py",
        "lists that show what is not for clients",
        ("settings, public=spec.public)", "settings, public=spec.columns)"),
    ),
    _in(
        "backends/dataloader.py",
        "look-ups that share no command after a lone one",
        ("        if self._running:\n            self._has_company = True\n        elif", "        if"),
        first="tests/unit/test_dataloader.py",
    ),
    _in(
        "backends/ids.py",
        "times without a zone",
        ("fromisoformat(text)", "fromisoformat(text[:-1])"),
        first="users",
    ),
    _in("backends/ids.py", "times in whole seconds", ('timespec="milliseconds"', 'timespec="seconds"')),
    _in(
        "api/deps.py",
        "sessions that outlive their end",
        ("user.session_version != session.version", "user.session_version < session.version"),
    ),
    _in(
        "api/deps.py",
        "users without rights who list everything",
        (
            "raise ApiError(NOT_PRIVILEGED)\n    return user.id",
            "raise ApiError(NOT_PRIVILEGED)\n    return owner_id",
        ),
    ),
    _in(
        "api/routes/users.py",
        "deactivation that ends no session",
        ("end_sessions = body.is_active is False or (", "end_sessions = ("),
    ),
    _in(
        "api/throttle.py",
        "a throttle that never counts",
        ("await rates.hit(window)\n            elif", "pass\n            elif"),
    ),
    _in(
        "api/throttle.py",
        "a known client that is not remembered again before it is forgotten",
        (" or not KNOWN_CLIENT / 2 <= known.remaining <= KNOWN_CLIENT:", ":"),
        first="tests/api/test_throttle.py",
    ),
    _in(
        "api/throttle.py",
        "an address that many clients fill with emails",
        ("return await rates.hit(rates.recovery_of_account.window(account)) is None", "return True"),
        first="tests/api/test_throttle.py",
    ),
    _in(
        "api/throttle.py",
        "a known client that is remembered at every login",
        ("not KNOWN_CLIENT / 2 <= known.remaining <= KNOWN_CLIENT:", "known.remaining <= KNOWN_CLIENT:"),
        first="tests/api/test_throttle.py",
    ),
    _in(
        "api/errors/problems.py",
        "an error with the code of another",
        ('"insufficient_funds", "The account', '"conflict", "The account'),
        first="tests/unit/test_problems.py",
    ),
    _in("api/headers.py", "answers that anybody may keep", ('b"no-store"', 'b"public"')),
    _in(
        _TEXT,
        "addresses with the blanks around them",
        ("    text = trim_email(text)\n", ""),
        first="emails",
    ),
    _in(
        _TEXT,
        "a local part of any length",
        ("if size > LOCAL_PART_MAX_BYTES:", "if size > EMAIL_MAX_LENGTH:"),
        first="emails",
    ),
    _in(
        _TEXT,
        "a local part that is counted in characters",
        ('len(address.rpartition("@")[0].encode())', 'len(address.rpartition("@")[0])'),
        first="emails",
    ),
    _in(
        "api/preconditions.py",
        "a tag that a proxy weakened and that no change takes",
        ("""r'(?:W/)?"([^"]*)"'""", """r'(?<!/)"([^"]*)"'"""),
        first="tests/api/test_preconditions.py",
    ),
    _in(
        "api/preconditions.py",
        "a tag with an encoding in it that is another tag",
        ("(?:(?:--?|;)(?:gzip|gunzip|deflate|br|zstd))?", ""),
        first="tests/api/test_preconditions.py",
    ),
    _in(
        _NORMALISATION,
        "blanks at the end of a header that count",
        ('value.strip(b" \\t")', "value"),
        first="tests/api/test_blanks.py",
    ),
    _in(
        _NORMALISATION,
        "a root path that is taken off whatever follows",
        (
            'return below if f"{below}/".startswith((f"{API_PREFIX}/", f"{PAGE}/")) else path',
            "return below",
        ),
        first="tests/api/test_root_path.py",
    ),
    _in(
        _NORMALISATION,
        "HEAD where no route has it",
        ('{**scope, "method": "GET"}', "scope"),
        first="tests/api/test_head.py",
    ),
    _in(
        _IDEMPOTENCY,
        "a key that ends with a move below another path",
        ('.removeprefix(request.scope.get("root_path", ""))', ""),
        first="tests/api/test_root_path.py",
    ),
    _in(
        "api/app.py",
        "a token URL that is not below the root path",
        ('flow["tokenUrl"] = server["url"] + flow["tokenUrl"]', 'flow["tokenUrl"] = flow["tokenUrl"]'),
        first="tests/api/test_root_path.py",
    ),
    _in(
        "api/cors.py",
        "a preflight that repeats what is no header",
        ("all(_HEADER_NAME.fullmatch(name) for name in names if name)", "bool(list(names))"),
        first="tests/api/test_http.py",
    ),
    _in(
        "api/routing.py",
        "a line feed that no address in a path may have",
        (", re.DOTALL)", ")"),
        first="tests/api/test_blanks.py",
    ),
    _in(
        _FAST_PATH,
        "a parameter that is there twice and counts once",
        ("if pairs != len(source.multi_items()):", "if pairs > len(source.multi_items()):"),
        first="tests/api/test_fast_path.py",
    ),
    _in(
        _FAST_PATH,
        "headers that get lost on the fast path",
        ("if headers is not None:", "if headers is not None and False:"),
        first="tests/api/test_fast_path.py",
    ),
    _in(
        "api/fast_path_check.py",
        "a fast path whose answers nobody compares",
        (
            "if _run(_messages_of(plain, query, content)) != ",
            "if False and _run(_messages_of(plain, query, content)) != ",
        ),
        first="tests/api/test_fast_path.py",
    ),
    _in(
        "eitherdb/blocking/opened.py",
        "a read-only database that writes",
        ("if self._opened.read_only:", "if False:"),
        first="tests/backends/test_read_only.py",
    ),
    _in(
        "cli/shell.py",
        "a shell that writes without being asked to",
        ("read_only=not write", "read_only=False"),
        first="tests/cli/test_shell.py",
    ),
]
