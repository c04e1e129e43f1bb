"""Users: the replacement of an outdated hash of the same password."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.errors import VersionMismatch
from backends.models import NewUser, User, UserChanges
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .expectations import all_rows, changed, race, raises
from .samples import FULL_USER, UNKNOWN_ID, malformed_ids

OLD, NEW, OTHER = FULL_USER["hashed_password"], "$argon2id$v=19$m=19456,t=2,p=1$bmV3$bmV3", "another"


@pytest.fixture
async def full(backend: Backend) -> User:
    """Return a user with every field set."""
    return await backend.users.add(NewUser.model_validate(FULL_USER))


@pytest.mark.rule("Versions")
async def test_replace_hash_changes_nothing_else(backend: Backend, full: User, clock: ManualClock) -> None:
    """Neither version changes: tokens and ETags stay valid, and so does an expected version."""
    clock.stop()
    twin = await backend.users.add(NewUser(email="twin@example.com", hashed_password=OLD))

    assert await backend.users.replace_hash(full.id, old=OLD, new=NEW) is True

    replaced = replace(full, hashed_password=NEW)
    assert await all_rows(backend) == ([twin, replaced], [])
    assert await backend.users.find_by_email(full.email) == replaced
    updated = await backend.users.update(full.id, UserChanges(full_name="A"), versions={full.version})
    assert updated == changed(replaced, full_name="A")


@pytest.mark.rule("Versions")
@pytest.mark.parametrize("old", [NEW, OTHER, OLD[:-1], OLD.upper(), f"{OLD} ", ""])
async def test_replace_hash_of_another_one_changes_nothing(backend: Backend, full: User, old: str) -> None:
    """The stored hash is compared exactly."""
    assert await backend.users.replace_hash(full.id, old=old, new=NEW) is False

    assert await all_rows(backend) == ([full], [])


@pytest.mark.rule("Identity")
async def test_replace_hash_of_an_unknown_id_changes_nothing(backend: Backend, full: User) -> None:
    """Unknown and malformed ids change nothing."""
    for id_ in [UNKNOWN_ID, *malformed_ids(full.id)]:
        assert await backend.users.replace_hash(id_, old=OLD, new=NEW) is False, id_

    assert await all_rows(backend) == ([full], [])


@pytest.mark.rule("Atomicity")
async def test_concurrent_replacements_of_one_hash_let_one_win(backend: Backend, full: User) -> None:
    """Of concurrent calls with the same verified hash one stores its new hash."""
    results, errors = await race(
        backend.users.replace_hash(full.id, old=OLD, new=f"hash {n}") for n in range(20)
    )

    assert errors == []
    assert results.count(True) == 1
    assert await all_rows(backend) == (
        [replace(full, hashed_password=f"hash {results.index(True)}")],
        [],
    )


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_new_password_wins_over_replacements_of_the_old_one(backend: Backend, full: User) -> None:
    """In any order of the calls, a log-in with the old password never reverts a changed password."""
    for n in range(5):
        stored = (await backend.users.get(full.id)).hashed_password
        new = UserChanges(hashed_password=f"password {n}")
        replacements = [backend.users.replace_hash(full.id, old=stored, new=NEW) for _ in range(6)]
        results, errors = await race(
            [*replacements[:3], backend.users.update(full.id, new, end_sessions=True), *replacements[3:]]
        )

        assert (len(results), errors) == (7, [])
        after = await backend.users.get(full.id)
        assert after == changed(full, version=n + 2, session_version=n + 1, hashed_password=f"password {n}")


@pytest.mark.rule("Versions")
async def test_replace_hash_does_not_let_a_stale_version_through(backend: Backend, full: User) -> None:
    """A replacement is no change of the version, and doesn't hide one."""
    await backend.users.update(full.id, UserChanges(full_name="A"))
    assert await backend.users.replace_hash(full.id, old=OLD, new=NEW) is True

    with raises(VersionMismatch("user", full.id)):
        await backend.users.update(full.id, UserChanges(full_name="B"), versions={full.version})
