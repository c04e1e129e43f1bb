"""Faults of password hashing, and of the replacement of outdated hashes."""

from __future__ import annotations

from tests.faults.fault import Fault

_HASHES, _LOGIN, _FORMS = "api/hashes.py", "api/routes/login.py", "backends/models/passwords.py"
_SQL, _MONGO = "backends/sql/users.py", "backends/mongo/users.py"


def _in(file: str, what: str, *edits: tuple[str, str], first: str, backends: str = "sqlite") -> Fault:
    return Fault(what, file, edits, first, backends)


_UNIT, _API = "tests/unit/test_hashes.py", "tests/api/test_passwords.py"
_CONTRACT = "tests/contract/test_password_hashes.py"

FAULTS = [
    _in(
        _FORMS,
        "passwords: two normal forms of one password",
        ('return normalize("NFC", text.translate(_NON_ASCII_SPACES))', "return text"),
        first=_API,
    ),
    _in(
        _FORMS,
        "passwords: the space of a Mac is another character",
        ("text.translate(_NON_ASCII_SPACES)", "text"),
        first=_API,
    ),
    _in(
        _FORMS,
        "passwords: compatibility characters made alike",
        ('return normalize("NFC", text', 'return normalize("NFKC", text'),
        first=_UNIT,
    ),
    _in(
        _FORMS,
        "passwords: a length of what is typed",
        (
            "normalised = normalise_password(text)\n    if len(normalised) <",
            "normalised = text\n    if len(normalised) <",
        ),
        first=_API,
    ),
    _in(
        _HASHES,
        "passwords: hashes of what was typed no longer match",
        ("else [normalised, password]", "else [normalised, normalised]"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: hashes of what was typed are kept",
        ("(hash_.is_outdated or matching != normalised)", "hash_.is_outdated"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: a stronger hash is replaced by a weaker one",
        ("parameters.memory_cost < _hasher.memory_cost", "parameters.memory_cost != _hasher.memory_cost"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: bcrypt is given more than it reads",
        ("password[:BCRYPT_BYTES]", "password"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: bcrypt repeats a password with a NUL",
        ('return is_match and b"\\0" not in password', "return is_match"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: fewer attempts for an unknown address",
        ("    for form in forms:", "    for form in forms if stored else forms[:1]:"),
        first=_UNIT,
    ),
    _in(
        _HASHES,
        "passwords: an unverifiable hash that is faster than others",
        (
            "hash_, error = _DUMMY, str(exc)\n            is_match = hash_.matches(_encode(form))",
            "hash_, error = _DUMMY, str(exc)\n            is_match = False",
        ),
        first=_UNIT,
    ),
    _in(
        _LOGIN,
        "passwords: a rejection that tells by its time whether an address is known",
        ("await passwords.delay_rejection(verification)", "pass"),
        first=_API,
    ),
    _in(
        _LOGIN,
        "passwords: a login that fails with the replacement of its hash",
        (
            "    except BackendError as exc:\n        logger.warning",
            "    except KeyError as exc:\n        logger.warning",
        ),
        first=_API,
    ),
    _in(
        _LOGIN,
        "passwords: outdated hashes are kept",
        ("if verification.new_hash is not None:", "if verification.new_hash == user.hashed_password:"),
        first=_API,
    ),
    _in(
        "api/routes/users.py",
        "passwords: the same password in another spelling is a new one",
        ("== normalise_password(body.current_password)", "== body.current_password"),
        first=_API,
    ),
    _in(
        _SQL,
        "sql: a hash that is replaced whatever it is by now",
        ('.where(_OF_ID, USERS.c.hashed_password == bindparam("old_hash"))', ".where(_OF_ID)"),
        first=_CONTRACT,
    ),
    _in(
        _SQL,
        "sql: another hash of the same password is a new version",
        (
            '.values(hashed_password=bindparam("new_hash"))',
            '.values(hashed_password=bindparam("new_hash"), version=USERS.c.version + 1)',
        ),
        first=_CONTRACT,
    ),
    _in(
        _MONGO,
        "mongo: a hash that is replaced whatever it is by now",
        ('{"_id": object_id(id), "hashed_password": old},', '{"_id": object_id(id)},'),
        first=_CONTRACT,
        backends="mongo-motor",
    ),
    _in(
        _MONGO,
        "mongo: another hash of the same password is a new version",
        (
            '{"$set": {"hashed_password": new}}',
            '{"$set": {"hashed_password": new}, "$inc": {"version": 1}}',
        ),
        first=_CONTRACT,
        backends="mongo-motor",
    ),
]
