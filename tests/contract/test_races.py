"""Races of a user's deletion with concurrent changes of its rows, through two backends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from backends.capabilities import Capability
from backends.errors import BackendError, NotFound
from backends.models import Account, Item, ItemChanges, Page, User, UserChanges
from backends.protocols import Backend

from .conftest import Opener
from .expectations import Facts, all_rows, changed, delete_user_with_retries, facts
from .money import books, retry_conflicts
from .samples import new_account, new_item, new_user

pytestmark = pytest.mark.rule("References", "Conflicts")

ADDERS = 8


class Race:
    """Callers that add rows for a user until they are refused, and one that deletes the user."""

    def __init__(self, user: User) -> None:
        """Create a race for this user."""
        self.user = user
        self.added: list[Item | Account] = []
        self.refusals: list[Facts] = []
        self.over = False
        self._news = asyncio.Event()

    async def add_until_refused(self, backend: Backend) -> None:
        """Add rows until the owner is deleted, or until its deletion was refused."""
        while not self.over:
            try:
                if len(self.added) % 2:
                    self.added.append(await backend.items.add(new_item(), owner_id=self.user.id))
                else:
                    self.added.append(await retry_conflicts(self._add_account(backend)))
            except BackendError as exc:
                self.refusals.append(facts(exc))
                return
            finally:
                self._news.set()
            await asyncio.sleep(0)  # Yields, because not every backend waits for a server.

    def _add_account(self, backend: Backend) -> Callable[[], Awaitable[Account]]:
        return lambda: backend.accounts.add(new_account(), owner_id=self.user.id)

    async def delete_after(self, count: int, backend: Backend) -> None:
        """Delete the user after this many rows were added."""
        while len(self.added) < count and len(self.refusals) < ADDERS:
            self._news.clear()
            await self._news.wait()
        self.over = not await delete_user_with_retries(backend, self.user.id)


async def test_delete_racing_adds_leaves_no_orphan(backend: Backend, open_another: Opener) -> None:
    """Each `add` returns or raises NotFound; no row of the deleted user remains.

    The adders go on until they are refused, so the deletion begins, commits and ends between any of their
    steps. In each round it begins after a different number of rows.
    """
    another = await open_another()
    bystander = await backend.users.add(new_user(-1))
    kept = await backend.items.add(new_item(-1), owner_id=bystander.id)

    for number in range(20):
        race = Race(await backend.users.add(new_user(number)))
        async with asyncio.TaskGroup() as tasks:
            for adder in range(ADDERS):
                tasks.create_task(race.add_until_refused((backend, another)[adder % 2]))
            tasks.create_task(race.delete_after(number % 10, (another, backend)[number % 2]))

        if race.over:  # Refused without the capability: the state is unchanged.
            users, items = await all_rows(backend)
            accounts, _ = await books(backend)
            assert users == [race.user, bystander]
            stored: list[Item | Account] = [*items, *accounts]
            assert {row.id: row for row in stored} == {row.id: row for row in (kept, *race.added)}
            assert race.refusals == []
            break
        assert race.refusals == [facts(NotFound("user", race.user.id))] * ADDERS
        assert await all_rows(backend) == await all_rows(another) == ([bystander], [kept])
        assert await books(backend) == await books(another) == ([], [])
        assert await backend.items.list(owner_id=race.user.id) == Page.of([], count=0, next=None)


async def test_delete_racing_updates_of_its_items_takes_them_all(
    backend: Backend, open_another: Opener
) -> None:
    """An update after the deletion raises NotFound and doesn't restore an item."""
    another = await open_another()
    deleted = Capability.TRANSACTIONS in backend.capabilities
    for number in range(5):
        user = await backend.users.add(new_user(number))
        items = [await backend.items.add(new_item(n), owner_id=user.id) for n in range(4)]

        *outcomes, done = await asyncio.gather(
            *(
                (backend, another)[n % 2].items.update(item.id, ItemChanges(title=f"{n}"), owner_id=user.id)
                for n, item in enumerate(items * 3)
            ),
            delete_user_with_retries(another, user.id),
            return_exceptions=True,
        )

        assert done is deleted
        for n, (outcome, item) in enumerate(zip(outcomes, items * 3, strict=True)):
            if isinstance(outcome, BackendError):
                assert facts(outcome) == facts(NotFound("item", item.id))
            else:
                assert isinstance(outcome, Item)
                assert outcome == changed(item, version=outcome.version, title=f"{n}")
        if not deleted:
            assert await backend.items.list(count=False, limit=0) == Page.of([], count=None, next=None)
            assert (await backend.users.list(limit=1)).data == [user]
            break
        assert await all_rows(backend) == ([], [])


@pytest.mark.rule("Atomicity")
async def test_delete_racing_updates_of_the_user_removes_it(backend: Backend, open_another: Opener) -> None:
    """An update after the deletion raises NotFound and doesn't restore the user."""
    another = await open_another()
    deleted = Capability.TRANSACTIONS in backend.capabilities
    for number in range(5):
        user = await backend.users.add(new_user(number))

        *outcomes, done = await asyncio.gather(
            *(
                (backend, another)[n % 2].users.update(user.id, UserChanges(full_name=f"{n}"))
                for n in range(12)
            ),
            delete_user_with_retries(another, user.id),
            return_exceptions=True,
        )

        assert done is deleted
        for n, outcome in enumerate(outcomes):
            if isinstance(outcome, BackendError):
                assert facts(outcome) == facts(NotFound("user", user.id))
            else:
                assert isinstance(outcome, User)
                assert outcome == changed(user, version=outcome.version, full_name=f"{n}")
        if not deleted:
            assert (await backend.users.get(user.id)) in outcomes
            break
        assert await all_rows(backend) == ([], [])


@pytest.mark.rule("Atomicity")
async def test_delete_is_seen_whole_by_readers(backend: Backend, open_another: Opener) -> None:
    """No reader sees the items without their user, or the user with only some items.

    The watcher counts users, then items, then users again. Equal counts of users mean that no user was
    deleted in between.
    """
    another = await open_another()
    has_begun = asyncio.Event()
    seen: set[tuple[int | None, int | None]] = set()

    async def watch(until: asyncio.Task[bool]) -> None:
        while not until.done():
            before = (await another.users.list(limit=0)).count
            items = (await another.items.list(limit=0)).count
            after = (await another.users.list(limit=0)).count
            if before == after:
                seen.add((after, items))
            has_begun.set()
            await asyncio.sleep(0)  # Yields, because not every backend waits for a server.

    async def delete(user: User) -> bool:
        await has_begun.wait()
        return await delete_user_with_retries(backend, user.id)

    for number in range(3):
        has_begun.clear()
        user = await backend.users.add(new_user(number))
        await asyncio.gather(*(backend.items.add(new_item(n), owner_id=user.id) for n in range(50)))
        async with asyncio.TaskGroup() as tasks:
            deletion = tasks.create_task(delete(user))
            tasks.create_task(watch(deletion))
        if not deletion.result():
            break
        assert await all_rows(backend) == ([], [])

    assert (1, 50) in seen
    assert seen <= {(1, 50), (0, 0)}
