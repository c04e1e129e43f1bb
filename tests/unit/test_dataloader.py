"""The DataLoader: which calls share a batch, and the effect of a cancelled call on the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from backends.dataloader import LOOP_ITERATIONS, MAX_KEYS, DataLoader
from backends.errors import Unavailable


class Database:
    """Has a value for each key that is a number, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.called_off = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.loader = DataLoader(self._find)

    async def _find(self, keys: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(keys))
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.called_off += 1
            raise
        if "broken" in keys:
            raise Unavailable("as planned")
        if "unreadable" in keys:
            raise KeyError("title")
        return {key: int(key) for key in keys if key.isdigit()}


async def a_few_turns() -> None:
    """Let the loop do what is to be done next."""
    for _ in range(5 + LOOP_ITERATIONS):
        await asyncio.sleep(0)


async def test_who_asks_in_one_turn_shares_a_command() -> None:
    """A key that several ask for is sent once, and who asks for an unknown one gets nothing."""
    database = Database()
    found = await asyncio.gather(*map(database.loader.load, ["1", "2", "unknown", "1"]))
    assert found == [1, 2, None, 1]
    assert database.asked == [["1", "2", "unknown"]]


async def test_who_asks_later_has_a_command_of_his_own() -> None:
    """What was sent before somebody asked may not see what he saw."""
    database = Database()
    database.may_answer.clear()
    first = asyncio.create_task(database.loader.load("1"))
    await a_few_turns()
    second = asyncio.create_task(database.loader.load("1"))
    await a_few_turns()
    database.may_answer.set()
    assert [await first, await second] == [1, 1]
    assert database.asked == [["1"], ["1"]]


async def test_look_up_after_a_lone_one_is_sent_at_once() -> None:
    """It takes no task and no iteration of the event loop."""
    database = Database()
    assert await database.loader.load("1") == 1
    second = database.loader.load("2")
    with pytest.raises(StopIteration) as found:
        second.send(None)
    assert found.value.value == 2
    assert database.asked == [["1"], ["2"]]


async def test_look_ups_during_a_lone_one_share_a_command() -> None:
    """After that, the first of several look-ups waits for the others again."""
    database = Database()
    assert await database.loader.load("1") == 1
    database.may_answer.clear()
    alone = asyncio.create_task(database.loader.load("2"))
    await asyncio.sleep(0)
    others = asyncio.gather(*map(database.loader.load, ["3", "4"]))
    await a_few_turns()
    database.may_answer.set()
    assert [await alone, *await others] == [2, 3, 4]
    assert await asyncio.gather(*map(database.loader.load, ["5", "6"])) == [5, 6]
    assert database.asked == [["1"], ["2"], ["3", "4"], ["5", "6"]]


@pytest.mark.parametrize("key", ["broken", "unreadable"])
async def test_failed_lone_look_up_leaves_no_trace(key: str) -> None:
    """The next one is sent at once, as after a successful one."""
    database = Database()
    assert await database.loader.load("1") == 1
    with pytest.raises((Unavailable, KeyError)):
        await database.loader.load(key)
    database.may_answer.clear()
    cancelled = asyncio.create_task(database.loader.load("2"))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert database.called_off == 1
    database.may_answer.set()
    next_ = database.loader.load("3")
    with pytest.raises(StopIteration):
        next_.send(None)


async def test_commands_are_bounded() -> None:
    """What is too much for one goes into the next."""
    database = Database()
    keys = [str(number) for number in range(2 * MAX_KEYS + 1)]
    assert await asyncio.gather(*map(database.loader.load, keys)) == list(map(int, keys))
    assert [len(asked) for asked in database.asked] == [MAX_KEYS, MAX_KEYS, 1]


async def test_failure_is_everybodys() -> None:
    """Those of the batch, and nobody later."""
    database = Database()
    failed = await asyncio.gather(*map(database.loader.load, ["1", "broken"]), return_exceptions=True)
    assert [type(each) for each in failed] == [Unavailable, Unavailable]
    assert await database.loader.load("1") == 1


async def test_value_that_cannot_be_read_is_of_those_who_ask_for_it() -> None:
    """What somebody wrote past the API is found out key by key, and hurts nobody else."""
    database = Database()
    keys = ["1", "unreadable", "2", "unreadable"]
    found = await asyncio.gather(*map(database.loader.load, keys), return_exceptions=True)
    assert [type(each) for each in found] == [int, KeyError, int, KeyError]
    assert database.asked == [["1", "unreadable", "2"], ["1"], ["unreadable"], ["2"]]


async def test_value_that_cannot_be_read_hurts_no_other_of_two() -> None:
    """Two keys are the fewest that can be told apart."""
    database = Database()
    found = await asyncio.gather(*map(database.loader.load, ["unreadable", "1"]), return_exceptions=True)
    assert [type(each) for each in found] == [KeyError, int]


async def test_who_is_cancelled_takes_nobody_along() -> None:
    """The others in the batch are answered."""
    database = Database()
    database.may_answer.clear()
    cancelled, other = (asyncio.create_task(database.loader.load(key)) for key in ("1", "2"))
    await a_few_turns()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    database.may_answer.set()
    assert await other == 2
    assert database.called_off == 0


async def test_command_that_nobody_waits_for_is_called_off() -> None:
    """As a look-up of one's own is: the server does nothing for nobody."""
    database = Database()
    database.may_answer.clear()
    callers = [asyncio.create_task(database.loader.load(key)) for key in ("1", "2")]
    await a_few_turns()
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await a_few_turns()
    assert database.called_off == 1


@pytest.mark.parametrize("is_over", [False, True])
@pytest.mark.parametrize("iterations", range(LOOP_ITERATIONS + 2))
async def test_command_that_is_called_off_early_keeps_nobody_waiting(
    iterations: int,
    is_over: bool,  # noqa: FBT001
) -> None:
    """The next call starts a new batch, whatever the state of the cancelled one."""
    database = Database()
    caller = asyncio.create_task(database.loader.load("1"))
    for _ in range(iterations):
        await asyncio.sleep(0)
    caller.cancel()
    if is_over:
        with pytest.raises(asyncio.CancelledError):
            await caller
    async with asyncio.timeout(1):
        assert await database.loader.load("2") == 2
