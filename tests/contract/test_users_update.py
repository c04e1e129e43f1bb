"""Users: updates of single fields and of many at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from backends.errors import AlreadyExists, NotFound
from backends.models import NewUser, User, UserChanges
from backends.protocols import Backend
from eitherdb_contract.clock import ManualClock

from .expectations import all_rows, changed, facts, race, raises
from .samples import FULL_USER, OTHER_USER, UNKNOWN_ID, malformed_ids, new_user

NULLABLE = [name for name, field in NewUser.model_fields.items() if field.default is None]


@pytest.fixture
async def full(backend: Backend) -> User:
    """Return a user with every field set."""
    return await backend.users.add(NewUser.model_validate(FULL_USER))


def _changes(**values: Any) -> UserChanges:
    return UserChanges.model_validate(values)


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", OTHER_USER)
async def test_update_of_one_field_leaves_the_others(
    backend: Backend, full: User, other_user: User, name: str
) -> None:
    """Only the given field changes, and only on this user."""
    updated = await backend.users.update(full.id, _changes(**{name: OTHER_USER[name]}))

    assert updated == changed(full, **{name: OTHER_USER[name]})
    assert await backend.users.get(full.id) == updated
    assert await all_rows(backend) == ([other_user, updated], [])


@pytest.mark.rule("Null")
async def test_update_of_all_fields_keeps_identity(backend: Backend, full: User) -> None:
    """All mutable fields change in one call; id and time of creation stay."""
    updated = await backend.users.update(full.id, _changes(**OTHER_USER))

    assert updated == changed(full, **OTHER_USER)
    assert await backend.users.get(full.id) == updated
    assert await backend.users.find_by_email(OTHER_USER["email"]) == updated
    assert await backend.users.find_by_email(full.email) is None


@pytest.mark.rule("Null")
@pytest.mark.parametrize("name", NULLABLE)
async def test_update_to_none_clears_the_field(backend: Backend, full: User, name: str) -> None:
    """An explicit None clears a field, unlike a field that is left out."""
    cleared = await backend.users.update(full.id, _changes(**{name: None}))

    nothing: dict[str, Any] = {name: None}
    assert cleared == changed(full, **nothing)
    assert await backend.users.get(full.id) == cleared

    restored = await backend.users.update(full.id, _changes(**{name: FULL_USER[name]}))

    assert restored == changed(full, version=3)
    assert await backend.users.get(full.id) == restored


@pytest.mark.rule("Null")
async def test_update_with_no_field_set_returns_the_user(
    backend: Backend, full: User, clock: ManualClock
) -> None:
    """An update without fields changes nothing."""
    clock.stop()

    assert await backend.users.update(full.id, UserChanges()) == full
    assert await all_rows(backend) == ([full], [])


@pytest.mark.rule("Versions")
async def test_update_to_equal_values_is_a_new_version(backend: Backend, full: User) -> None:
    """An update with equal values changes only the version."""
    updated = await backend.users.update(full.id, _changes(**FULL_USER))

    assert updated == changed(full)
    assert await all_rows(backend) == ([updated], [])


@pytest.mark.rule("Uniqueness")
async def test_update_to_own_address_is_no_conflict(backend: Backend, full: User) -> None:
    """A user's own address, in any spelling, is not a conflict."""
    updated = await backend.users.update(full.id, _changes(email="ADA@Example.COM", full_name="Ada"))

    assert updated == changed(full, full_name="Ada")
    assert await backend.users.get(full.id) == updated


@pytest.mark.rule("Uniqueness")
@pytest.mark.parametrize("email", ["user1@example.com", "USER1@EXAMPLE.com"])
@pytest.mark.parametrize("more", [{}, {**OTHER_USER, "full_name": None}], ids=["alone", "with the others"])
async def test_update_to_taken_address_changes_nothing(
    backend: Backend, full: User, other_user: User, email: str, more: dict[str, Any]
) -> None:
    """Another user's address is refused, and the other changes of the call are not applied."""
    with raises(AlreadyExists("user", "email")):
        await backend.users.update(full.id, _changes(**{**more, "email": email}))

    assert await all_rows(backend) == ([other_user, full], [])


@pytest.mark.rule("Uniqueness")
async def test_update_frees_the_old_address(backend: Backend, full: User) -> None:
    """An address that a user gave up can be used again."""
    moved = await backend.users.update(full.id, _changes(email="new@example.com"))

    taker = await backend.users.add(NewUser.model_validate({**OTHER_USER, "email": full.email}))

    assert await all_rows(backend) == ([taker, moved], [])


@pytest.mark.rule("Identity")
@pytest.mark.parametrize("changes", [{}, OTHER_USER], ids=["no field", "every field"])
async def test_update_of_unknown_id_raises_not_found(
    backend: Backend, full: User, changes: dict[str, Any]
) -> None:
    """Unknown and malformed ids raise the same error; no row is created."""
    for id_ in [UNKNOWN_ID, *malformed_ids(full.id)]:
        with raises(NotFound("user", id_)):
            await backend.users.update(id_, _changes(**changes))

    assert await all_rows(backend) == ([full], [])


@pytest.mark.rule("Identity", "Uniqueness")
async def test_update_of_unknown_id_to_taken_address_raises_not_found(backend: Backend, full: User) -> None:
    """NotFound comes before the error for a taken address."""
    with raises(NotFound("user", UNKNOWN_ID)):
        await backend.users.update(UNKNOWN_ID, _changes(email=full.email))


@pytest.mark.rule("Atomicity", "Conflicts")
async def test_concurrent_updates_of_different_fields_all_survive(backend: Backend, full: User) -> None:
    """No update overwrites a concurrent update of another field."""
    version = full.version
    for target in (OTHER_USER, FULL_USER) * 5:
        changes = [_changes(**{name: value}) for name, value in target.items()]

        results, errors = await race(backend.users.update(full.id, change) for change in changes)

        assert (len(results), errors) == (len(changes), [])
        version += len(changes)
        assert await backend.users.get(full.id) == changed(full, version=version, **target)
        for name, result in zip(target, results, strict=True):
            assert asdict(result)[name] == target[name]


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_of_the_same_fields_do_not_mix(backend: Backend, full: User) -> None:
    """Each update is atomic: it returns its own values, and the last one's are stored."""
    forms = [_changes(email=f"u{n}@example.com", full_name=f"u{n}") for n in range(30)]

    results, errors = await race(backend.users.update(full.id, form) for form in forms)

    assert errors == []
    assert results == [
        changed(full, version=result.version, email=f"u{n}@example.com", full_name=f"u{n}")
        for n, result in enumerate(results)
    ]
    assert {result.version for result in results} == set(range(2, 32))
    assert await backend.users.get(full.id) == max(results, key=lambda user: user.version)


@pytest.mark.rule("Atomicity")
async def test_concurrent_updates_to_one_address_let_one_win(backend: Backend) -> None:
    """One of many concurrent updates gets a free address; the other users are unchanged."""
    users = [await backend.users.add(new_user(n)) for n in range(20)]

    won, lost = await race(
        backend.users.update(user.id, _changes(email="wanted@example.com", full_name="Winner"))
        for user in users
    )

    assert lost == [facts(AlreadyExists("user", "email"))] * 19
    (winner,) = won
    (old,) = [user for user in users if user.id == winner.id]
    assert winner == changed(old, email="wanted@example.com", full_name="Winner")
    users[users.index(old)] = winner
    assert await all_rows(backend) == (users[::-1], [])


@pytest.mark.rule("Atomicity")
async def test_concurrent_adds_and_updates_to_one_address_let_one_win(backend: Backend) -> None:
    """New and existing users compete for an address in the same way."""
    users = [await backend.users.add(new_user(n)) for n in range(10)]
    wanted = NewUser.model_validate({**FULL_USER, "email": "wanted@example.com"})
    updates = [backend.users.update(user.id, _changes(email=wanted.email)) for user in users]
    adds = [backend.users.add(wanted) for _ in range(10)]

    won, lost = await race([call for pair in zip(updates, adds, strict=True) for call in pair])

    assert lost == [facts(AlreadyExists("user", "email"))] * 19
    (winner,) = won
    stored, _ = await all_rows(backend)
    assert [user for user in stored if user.email == wanted.email] == [winner]
    assert [user for user in stored if user != winner] == [
        user for user in users[::-1] if user.id != winner.id
    ]
