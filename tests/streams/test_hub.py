"""How the hub hands on a burst: in order, and never so much at once that nothing else gets a turn."""

import asyncio

import pytest

from streams.hub import FRAMES_PER_TURN, ORDERS_PER_TURN, Hub
from streams.types import LiveOrder
from tests.streams.test_sequence import numbered

SYMBOL = "BTCUSDT"
ORDERS = 3 * ORDERS_PER_TURN + 1


class Listener:
    """A member that remembers what it was handed, and in which turn of the loop."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int | None]] = []

    def take(self, order: LiveOrder) -> None:
        self.taken.append((turn, order.sequence))

    def tick(self, now_s: float) -> None: ...


turn = 0


async def count_turns() -> None:
    global turn
    while True:
        turn += 1
        await asyncio.sleep(0)


def burst() -> list[LiveOrder]:
    return [numbered(number) for number in range(1, ORDERS + 1)]


def handed_on(listeners: list[Listener], symbol: str | None) -> None:
    async def scenario() -> None:
        hub = Hub()
        members = hub.everything if symbol is None else hub.by_symbol.setdefault(symbol, set())
        members.update(listeners)
        counting = asyncio.create_task(count_turns())
        await hub.deliver(burst())
        counting.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("symbol", [None, SYMBOL])
@pytest.mark.parametrize("members", [1, FRAMES_PER_TURN // ORDERS_PER_TURN, 1000, FRAMES_PER_TURN + 1])
def test_a_burst_lets_the_loop_turn_and_keeps_the_order(members: int, symbol: str | None) -> None:
    listeners = [Listener() for _ in range(members)]
    handed_on(listeners, symbol)
    for listener in listeners:
        assert [number for _, number in listener.taken] == list(range(1, ORDERS + 1))
    by_turn: dict[int, int] = {}
    for at, _ in listeners[0].taken:
        by_turn[at] = by_turn.get(at, 0) + 1
    most = max(by_turn.values())
    assert most <= ORDERS_PER_TURN
    # One order is handed to all of them in one turn, however many they are.
    assert most == 1 or most * members <= FRAMES_PER_TURN
    assert len(by_turn) >= ORDERS / ORDERS_PER_TURN
