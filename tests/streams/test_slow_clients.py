"""A client that does not read delays nobody and is closed."""

import asyncio
from typing import Any

import pytest

from streams.outgoing import Outgoing


@pytest.mark.contract("D121")
def test_frames_of_a_slow_client_wait_in_order_and_too_many_end_it() -> None:
    asyncio.run(slow_client())


async def slow_client() -> None:
    sent: list[str] = []
    overflows: list[bool] = []
    writable = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        await writable.wait()
        sent.append(message["text"])

    outgoing = Outgoing(send, 2, lambda: overflows.append(True))
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
