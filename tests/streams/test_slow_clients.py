"""A client that does not read delays nobody and is closed."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from streams.outgoing import Outgoing

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Awaited:
    """What granian's `send` answers: to be awaited, and no coroutine."""

    def __init__(self, work: Awaitable[None]) -> None:
        self.work = work

    def __await__(self) -> Generator[Any, Any, None]:
        return self.work.__await__()


def as_coroutine(send: Send) -> Send:
    return send


def as_awaitable(send: Send) -> Send:
    return lambda message: Awaited(send(message))


@pytest.mark.contract("D121")
@pytest.mark.parametrize("kind", [as_coroutine, as_awaitable])
def test_frames_of_a_slow_client_wait_in_order_and_too_many_end_it(kind: Callable[[Send], Send]) -> None:
    asyncio.run(slow_client(kind))


@pytest.mark.parametrize("kind", [as_coroutine, as_awaitable])
def test_a_client_that_has_left_is_sent_nothing_more(kind: Callable[[Send], Send]) -> None:
    attempts: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        attempts.append(message["text"])
        raise ConnectionError

    async def scenario() -> None:
        outgoing = Outgoing(kind(send), 2, lambda: None)
        outgoing.put("first")
        outgoing.put("second")
        await outgoing.settled()
        assert not outgoing.is_open

    asyncio.run(scenario())
    assert attempts == ["first"]


async def slow_client(kind: Callable[[Send], Send]) -> None:
    sent: list[str] = []
    overflows: list[bool] = []
    writable = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        await writable.wait()
        sent.append(message["text"])

    outgoing = Outgoing(kind(send), 2, lambda: overflows.append(True))
    writable.set()
    outgoing.put("at once")
    assert sent == ["at once"]
    writable.clear()
    for text in ("first", "second", "third"):
        outgoing.put(text)
    writable.set()
    await outgoing.settled()
    assert sent == ["at once", "first", "second", "third"]
    writable.clear()
    for text in ("1", "2", "3", "4", "5"):
        outgoing.put(text)
    assert overflows == [True]
    writable.set()
    await asyncio.sleep(0)
    assert len(sent) == 4


@pytest.mark.parametrize("kind", [as_coroutine, as_awaitable])
def test_of_frames_that_replace_each_other_a_slow_client_gets_the_newest(kind: Callable[[Send], Send]) -> None:
    sent: list[str] = []

    async def scenario() -> None:
        writable = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            await writable.wait()
            sent.append(message["text"])

        outgoing = Outgoing(kind(send), 1, lambda: None)
        for text in ("book 1", "book 2", "book 3"):
            outgoing.put_newest(text)
        outgoing.put("error")
        outgoing.put_newest("book 4")
        writable.set()
        await outgoing.settled()
        outgoing.put_newest("book 5")

    asyncio.run(scenario())
    # The first was on its way already; what must not be left out comes before what replaces itself.
    assert sent == ["book 1", "error", "book 4", "book 5"]
