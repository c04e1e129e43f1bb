"""Hashes of other applications and of earlier versions: which verify, and which are replaced."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret

from api import hashes
from api.hashes import Durations, Verification, make_hash, verify_hash

PASSWORD = "s3cret-horse"
LONG = "s3cret-" + "x" * 80
SPLIT = "s3cret-" + "x" * 64 + "é" * 4
"""The 72nd byte is the first of an `é`."""
COMPOSED, DECOMPOSED = "s3cret-é-pferd", "s3cret-e\u0301-pferd"

# Made with passlib 1.7.4 and bcrypt 4.0.1, as the full-stack-fastapi-template did. The costs are low here.
BCRYPT = {
    "2b": (PASSWORD, "$2b$04$Rb/EEH5cq7jU.4.f/iq2IuiTb0S4RZMfLoaAzoOCYstopQSGpXYjq"),
    "2a": (PASSWORD, "$2a$04$Jv9XVQZT4M0oO/cIUfClc.Cs.fFfuo9DwiTlIW4bsMBSVVr9lCgq."),
    "2y": (PASSWORD, "$2y$04$YWDT8wQqrBH4ch.GiIZQUOaNGAByEZcN6HFCOj95TGhLljyJhnOGq"),
    "2x, the same for ASCII": (PASSWORD, "$2x$04$YWDT8wQqrBH4ch.GiIZQUOaNGAByEZcN6HFCOj95TGhLljyJhnOGq"),
    "passlib's default": (PASSWORD, "$2b$12$X7b4n57LH49K7OHPysjLj.eO2l2BNp23d.LOP/tPaWGPgYcHzTbHy"),
    "more than 72 bytes": (LONG, "$2b$04$sbIh9Q4AcEQrQnmpxjrmMOEQTOizioCPIpXo/0ymgfBMqv7PSyanW"),
    "cut in a character": (SPLIT, "$2b$04$o4hCOPGoq0D9EN.g5TptxOh1skPxjLf4wyqYh1rbd4NuDizIWoYLC"),
    "not ASCII": (COMPOSED, "$2b$04$l2L1pdeksDp8j1PCNcSTq.bprZzPlg27YqvyUdhKHm6jiS71Y2ySy"),
}
# Made with pwdlib 0.3.1, as the template does since; it is stronger than ours in every parameter.
PWDLIB = "$argon2id$v=19$m=65536,t=3,p=4$hsIe4eOMcypP9ySSg8VAag$ZJgAKy3iU1yOY1qNHLghJq4kACFBt6Og562RUsw1FAQ"

OURS: dict[str, Any] = {"time_cost": 3, "memory_cost": 64, "parallelism": 1, "hash_len": 32, "salt_len": 16}


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ours be cheap, and yet have parameters that can be weaker."""
    monkeypatch.setattr(hashes, "_hasher", PasswordHasher(**OURS))


def argon2(password: str = PASSWORD, **changes: Any) -> str:
    """Return a hash with other parameters than ours."""
    return PasswordHasher(**{**OURS, **changes}).hash(password)


@pytest.mark.parametrize(("password", "stored"), BCRYPT.values(), ids=BCRYPT.keys())
def test_bcrypt_verifies_and_is_replaced(password: str, stored: str) -> None:
    """The new hash is of the same password and one of ours; another password matches nothing."""
    verification = verify_hash(password, stored)
    assert (verification.matches, verification.error) == (True, None)
    assert verification.new_hash is not None
    assert extract_parameters(verification.new_hash) == extract_parameters(argon2())
    again = verify_hash(password, verification.new_hash)
    assert (again.matches, again.new_hash) == (True, None)
    for wrong in (password[1:], password[:-1] if len(password) < 72 else password[:70], password.upper()):
        refused = verify_hash(wrong, stored)
        assert (refused.matches, refused.new_hash, refused.error) == (False, None, None), wrong


def test_bcrypt_reads_72_bytes_and_its_replacement_all() -> None:
    """As it did where it was made: what follows makes no difference, until the new hash is stored."""
    _, stored = BCRYPT["more than 72 bytes"]
    verification = verify_hash(LONG[:72] + "another end", stored)
    assert verification.matches
    assert not verify_hash(LONG, verification.new_hash).matches


def test_bcrypt_takes_a_nul_for_no_end() -> None:
    """It repeats a password and a NUL: `a` and `a`, NUL, `a` are one to it, and two to us."""
    _, stored = BCRYPT["2b"]
    for strange in (f"{PASSWORD}\0{PASSWORD}", f"{PASSWORD}\0", "\0", "\0" * 100):
        assert not verify_hash(strange, stored).matches


def test_argon2_of_any_variant_verifies_and_weaker_ones_are_replaced() -> None:
    """Weaker is what is below ours in any parameter, is not Argon2id, or is of Argon2 1.0."""
    salt = b"0123456789abcdef"
    version_1_0 = hash_secret(PASSWORD.encode(), salt, 3, 64, 1, 32, Type.ID, version=16).decode()
    weaker = {
        "fewer passes": argon2(time_cost=2),
        "less memory": argon2(memory_cost=63),
        "less memory, more passes": argon2(memory_cost=63, time_cost=9),
        "a shorter hash": argon2(hash_len=31),
        "a shorter salt": argon2(salt_len=15),
        "argon2i": argon2(type=Type.I),
        "argon2d": argon2(type=Type.D),
        "argon2d, stronger": argon2(type=Type.D, memory_cost=640),
        "version 1.0": version_1_0,
        "version 1.0, unsaid": version_1_0.replace("v=16$", ""),
    }
    for name, stored in weaker.items():
        verification = verify_hash(PASSWORD, stored)
        assert verification.matches, name
        assert verification.new_hash is not None, name
        assert extract_parameters(verification.new_hash) == extract_parameters(argon2()), name
        assert not verify_hash(PASSWORD.upper(), stored).matches, name
    stronger = {
        "ours": argon2(),
        "more passes": argon2(time_cost=4),
        "more memory": argon2(memory_cost=128),
        "more lanes": argon2(parallelism=2),
        "a longer hash and salt": argon2(hash_len=64, salt_len=32),
        "the template's": PWDLIB,
    }
    for name, stored in stronger.items():
        verification = verify_hash(PASSWORD, stored)
        assert (verification.matches, verification.new_hash) == (True, None), name
        assert not verify_hash(PASSWORD.upper(), stored).matches, name


FORMS = [
    (COMPOSED, DECOMPOSED),
    ("s3cret horse", "s3cret\u00a0horse"),
    ("s3cret horse", "s3cret\u3000horse"),
    ("s3cret-\uac01-\uac01", "s3cret-\u1100\u1161\u11a8-\uac00\u11a8"),
    ("s3cret-\u1f82", "s3cret-\u03b1\u0313\u0300\u0345"),
    ("s3cret-\u1e69", "s3cret-s\u0307\u0323"),
]


@pytest.mark.parametrize(("normalised", "typed"), FORMS, ids=ascii)
def test_password_matches_in_every_spelling_of_it(normalised: str, typed: str) -> None:
    """Whichever was hashed by us, both match, and nothing is to be replaced."""
    for hashed in (make_hash(normalised), make_hash(typed)):
        for password in (normalised, typed):
            verification = verify_hash(password, hashed)
            assert (verification.matches, verification.new_hash) == (True, None), ascii(password)


@pytest.mark.parametrize(("normalised", "typed"), FORMS, ids=ascii)
def test_hash_from_before_of_what_was_typed_verifies_and_is_replaced(normalised: str, typed: str) -> None:
    """Who types it as then gets in, and afterwards the other spelling does, too."""
    stored = argon2(typed)
    verification = verify_hash(typed, stored)
    assert verification.matches
    assert verification.new_hash is not None
    assert verify_hash(normalised, verification.new_hash).matches
    assert not verify_hash(normalised, stored).matches


def test_password_keeps_what_no_rule_maps() -> None:
    """Case, width, compatibility characters and ligatures tell passwords apart: NFC and no more."""
    for one, other in (
        ("s3cret-A", "s3cret-a"),
        ("s3cret-\uff11", "s3cret-1"),
        ("s3cret-\ufb01", "s3cret-fi"),
    ):
        assert not verify_hash(one, make_hash(other)).matches
    for kept in (
        "s3cret-\u200d\U0001f468",
        "s3cret-\t\x01",
        "s3cret-\U0001fae8",
        "s3cret-\u2028",
        " s3cret ",
    ):
        assert verify_hash(kept, argon2(kept)).new_hash is None, ascii(kept)


UNREADABLE = {
    "empty": "",
    "no hash": "!",
    "plain text": PASSWORD,
    "not ASCII": "héh\ud800",
    "of another kind": "$pbkdf2-sha256$29000$c2FsdA$aGFzaA",
    "passlib's bcrypt-sha256": "$bcrypt-sha256$v=2,t=2b,r=12$c2FsdA$aGFzaA",
    "Argon2 without salt and hash": "$argon2id$v=19$m=64,t=3,p=1",
    "Argon2 without anything": "$argon2id$v=19$m=64,t=3,p=1$$",
    "Argon2, cut off": PWDLIB[:-20] + "$",
    "Argon2 in other letters": PWDLIB[:-5] + "!!!!!",
    "Argon2 with a line feed": PWDLIB + "\n",
    "Argon2 without passes": PWDLIB.replace("t=3", "t=0"),
    "Argon2 with a parameter that is none": PWDLIB.replace("t=3", "t=x"),
    "Argon2 with more memory than there is": PWDLIB.replace("m=65536", "m=4294967295"),
    "Argon2 that takes days": PWDLIB.replace("t=3", "t=4294967295"),
    "bcrypt, cut off": BCRYPT["2b"][1][:-1],
    "bcrypt with a line feed": BCRYPT["2b"][1] + "\n",
    "bcrypt that takes days": BCRYPT["2b"][1].replace("$04$", "$31$"),
    "bcrypt with no rounds": BCRYPT["2b"][1].replace("$04$", "$00$"),
    "bcrypt of the first version": BCRYPT["2b"][1].replace("$2b$", "$2$"),
}


@pytest.mark.parametrize("stored", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_hash_that_cannot_be_read_matches_nothing(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with a reason that does not show it, after as many tries as for nobody."""
    tried = list[bytes]()
    matches = hashes._Argon2Hash.matches

    def note(self: hashes._Argon2Hash, password: bytes) -> bool:
        if self is hashes._DUMMY:
            tried.append(password)
        return matches(self, password)

    monkeypatch.setattr(hashes._Argon2Hash, "matches", note)
    for password, tries in ((PASSWORD, 1), (DECOMPOSED, 2), (stored, 1), ("\ud800", 1)):
        tried.clear()
        verification = verify_hash(password, stored)
        assert (verification.matches, verification.new_hash) == (False, None)
        assert verification.error is not None
        assert stored == "" or stored not in verification.error
        assert (len(tried), verification.attempts) == (tries, tries)


@pytest.mark.parametrize("password", [PASSWORD, DECOMPOSED, "s3cret\u00a0horse"], ids=ascii)
def test_tries_are_as_many_for_nobody_as_for_a_wrong_password(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many there are depends on what was typed alone."""
    tried = list[str]()

    class Noting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002 - its name
            tried.append(str(hash))
            return super().verify(hash, password)

    stored = argon2("another password")
    monkeypatch.setattr(hashes, "_hasher", Noting(**OURS))
    assert not verify_hash(password, stored).matches
    assert not verify_hash(password, None).matches
    assert tried.count(stored) * 2 == len(tried)


def test_long_text_is_not_composed() -> None:
    """Which would take minutes where marks pile up, and no password is that long."""
    began = time.process_time()
    assert not verify_hash("e" + "\u0315\u0300" * 50_000, argon2()).matches
    assert time.process_time() - began < 5


def test_outdated_hash_stays_where_no_new_one_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The password matched: that a new hash has no memory is told in the log."""

    class Broken(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            del password, salt
            raise HashingError("Memory allocation error")

    monkeypatch.setattr(hashes, "_hasher", Broken(**OURS))
    with caplog.at_level(logging.WARNING):
        verification = verify_hash(*BCRYPT["2b"])
    assert (verification.matches, verification.new_hash) == (True, None)
    assert "Memory allocation error" in caplog.text


def _refused(kind: str, seconds: float, *, attempts: int = 1) -> Verification:
    return Verification(
        matches=False, new_hash=None, error=None, kind=kind, attempts=attempts, seconds=seconds
    )


def test_refusals_of_all_kinds_are_evened_out() -> None:
    """By the fastest of the slowest kind that was met, for each form that was tried."""
    durations, ours, slow = Durations(), _refused("ours", 0.02), _refused("slow", 0.3)
    assert durations.missing(ours) == 0
    durations.record(ours)
    assert durations.missing(ours) == 0
    durations.record(_refused("slow", 0.9))  # the processor was busy
    durations.record(slow)
    durations.record(_refused("slow", 0.5))
    assert durations.missing(ours) == pytest.approx(0.28)
    assert durations.missing(_refused("ours", 0.04, attempts=2)) == pytest.approx(0.56)
    assert durations.missing(slow) == 0
    durations.record(_refused("slow", 0.5, attempts=2))
    assert durations.missing(ours) == pytest.approx(0.23)
