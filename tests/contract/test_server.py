"""The server's facts, its capabilities, and the visibility of writes in another backend."""

from __future__ import annotations

from dataclasses import fields

import pytest

from backends.capabilities import Capability
from backends.errors import NotSupported, ServerUnfit
from backends.models import Item, ItemChanges, NewItem, NewUser, User, UserChanges
from backends.protocols import Backend, ServerInfo
from backends.requirements import Purpose, UnmetRequirement, require

from .conftest import Opener
from .expectations import all_rows, delete_user
from .samples import FULL_ITEM, FULL_USER, OTHER_ITEM, OTHER_USER, new_item, new_user


@pytest.mark.rule("Failures")
def test_server_names_product_version_and_driver(backend: Backend) -> None:
    """`server` has the product, the version and the driver."""
    texts = {field.name: getattr(backend.server, field.name) for field in fields(ServerInfo)}

    assert texts == {name: text.strip() for name, text in texts.items()}
    assert all(texts.values())
    assert backend.server.version[0].isdigit()


@pytest.mark.rule("Atomicity")
def test_capabilities_are_members_of_the_closed_set(backend: Backend) -> None:
    """`capabilities` is an immutable set of `Capability`."""
    assert isinstance(backend.capabilities, frozenset)
    assert backend.capabilities <= set(Capability)


@pytest.mark.rule("Atomicity")
@pytest.mark.parametrize("capability", Capability)
def test_capability_has_a_remedy(capability: Capability) -> None:
    """Each missing capability has a remedy for the operator."""
    error = NotSupported("users.delete", capability)

    assert (error.operation, error.capability) == ("users.delete", capability)
    assert len(capability.remedy) > 20
    assert len(capability.loss) > 20
    assert capability.remedy in str(error)


@pytest.mark.rule("Atomicity")
async def test_delete_of_user_is_refused_without_transactions(backend: Backend, owner: User) -> None:
    """Without transactions the deletion of a user is refused each time and changes nothing."""
    item = await backend.items.add(new_item(), owner_id=owner.id)

    deleted = await delete_user(backend, owner.id)

    assert deleted is (Capability.TRANSACTIONS in backend.capabilities)
    assert await all_rows(backend) == (([], []) if deleted else ([owner], [item]))
    if not deleted:
        assert not await delete_user(backend, owner.id)
        assert await backend.items.update(item.id, ItemChanges(), owner_id=owner.id) == item


@pytest.mark.rule("Atomicity")
async def test_capabilities_are_the_same_on_each_opening(backend: Backend, open_another: Opener) -> None:
    """Each backend on a database detects the same capabilities."""
    another = await open_another()

    assert another.capabilities == backend.capabilities
    assert another.server == backend.server


@pytest.mark.rule("Failures")
@pytest.mark.parametrize("purpose", Purpose)
async def test_check_server_finds_nothing_fatal(backend: Backend, owner: User, purpose: Purpose) -> None:
    """The suite's server meets the requirements of each purpose, and the check changes nothing."""
    unmet = await backend.check_server(purpose)

    assert require(unmet) == unmet  # Raises if a requirement is not met.
    assert await backend.check_server(purpose) == unmet
    for each in unmet:
        assert each.found, each
        assert each.needed, each
        assert each.remedy, each
        assert "\n" not in str(each)
    assert backend.connections_in_use == 0
    assert await all_rows(backend) == ([owner], [])


@pytest.mark.rule("Failures")
def test_require_raises_a_line_for_each_fatal_requirement() -> None:
    """Warnings are returned, also beside fatal requirements, each of which is a line of the error."""
    warning, *fatal = (
        UnmetRequirement(
            subject="server",
            found=f"x is {n}",
            needed="7 is needed",
            remedy="SET x = 7",
            is_fatal=n > 0,
        )
        for n in range(3)
    )

    assert require([warning]) == [warning]
    with pytest.raises(ServerUnfit) as raised:
        require([warning, *fatal])
    assert raised.value.unmet == tuple(str(each) for each in fatal)
    assert str(raised.value).splitlines() == [
        "x is 1; 7 is needed: SET x = 7",
        "x is 2; 7 is needed: SET x = 7",
    ]


@pytest.mark.rule("Failures")
async def test_check_schema_accepts_the_migrated_database(backend: Backend, owner: User) -> None:
    """The migrated schema is accepted, and the check changes nothing."""
    await backend.check_schema()
    await backend.check_schema()

    assert await all_rows(backend) == ([owner], [])


@pytest.mark.rule("Visibility")
async def test_write_is_seen_by_another_backend_at_once(backend: Backend, open_another: Opener) -> None:
    """A write is visible at once to another backend, equal in every field."""
    another = await open_another()

    for writer, reader in ((backend, another), (another, backend)):
        user = await writer.users.add(NewUser.model_validate(FULL_USER))
        assert await reader.users.get(user.id) == user
        assert await reader.users.find_by_email(user.email) == user
        item = await writer.items.add(NewItem.model_validate(FULL_ITEM), owner_id=user.id)
        assert await reader.items.get(item.id, owner_id=user.id) == item
        assert await all_rows(reader) == await all_rows(writer) == ([user], [item])

        user = await writer.users.update(user.id, UserChanges.model_validate(OTHER_USER))
        item = await writer.items.update(item.id, ItemChanges.model_validate(OTHER_ITEM))
        assert await all_rows(reader) == await all_rows(writer) == ([user], [item])

        await writer.items.delete(item.id)
        assert await all_rows(reader) == await all_rows(writer) == ([user], [])
        await writer.users.update(user.id, UserChanges(email=f"{user.id}@example.com"))
        if not await delete_user(writer, user.id):
            break
        assert await all_rows(reader) == await all_rows(writer) == ([], [])


@pytest.mark.rule("Visibility", "Durability")
async def test_write_outlives_the_backend_that_made_it(backend: Backend, open_another: Opener) -> None:
    """A write is durable: another backend reads it after the writer is closed."""
    writer = await open_another()
    user = await writer.users.add(new_user())
    items: list[Item] = [await writer.items.add(new_item(n), owner_id=user.id) for n in range(3)]
    await writer.items.delete(items[1].id)
    await writer.close()

    reader = await open_another()

    expected = sorted([items[0], items[2]], key=lambda item: (item.created_at, item.id), reverse=True)
    assert await all_rows(reader) == await all_rows(backend) == ([user], expected)
