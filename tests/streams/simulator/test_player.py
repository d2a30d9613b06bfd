"""The exchange's clock, and publishing by it."""

import asyncio
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.contracts import contracts_list
from streams.simulator.kinds import Event
from streams.simulator.market import Market, MarketOptions
from streams.simulator.player import Clock, play
from tests.backend import sqlite_only
from tests.streams.simulator.running import START_MS, orders

pytestmark = sqlite_only("the exchange uses no database")


class Seconds:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000)), max_size=20), st.floats(0.1, 1000))
def test_time_passes_with_its_speed_and_only_while_it_runs(steps: list[tuple[bool, float]], speed: float) -> None:
    seconds = Seconds()
    clock, expected_ms = Clock(START_MS, speed, seconds), float(START_MS)
    for runs, elapsed_s in steps:
        clock.start() if runs else clock.stop()
        seconds.now_s += elapsed_s
        expected_ms += elapsed_s * 1000 * speed if runs else 0
        assert abs(clock.exact_ms() - expected_ms) < 1


def test_an_event_is_due_in_real_seconds() -> None:
    seconds = Seconds()
    clock = Clock(START_MS, 10, seconds)
    clock.start()
    assert clock.delay_s(START_MS + 5000) == 0.5
    seconds.now_s += 1
    assert clock.delay_s(START_MS + 5000) == -0.5


def played(events: list[Event], speed: float) -> list[Event]:
    async def main() -> list[Event]:
        published: list[Event] = []
        clock = Clock(START_MS, speed)
        clock.start()
        await play(events, clock, published.append, readers)
        return published

    return asyncio.run(main())


async def readers() -> None:
    """Always ready."""


def test_the_speed_changes_neither_the_events_nor_their_order() -> None:
    market = Market(MarketOptions(trades_per_s=100), contracts_list(5, START_MS), START_MS)
    events = list(islice(market.events(), 60))
    assert played(events, 0) == played(events, 10) == played(events, 1000) == events


def test_without_a_speed_the_clock_shows_the_last_event() -> None:
    async def main() -> None:
        clock = Clock(START_MS, 0)
        clock.start()
        await play([next(orders(1))._replace(at_ms=START_MS + 777)], clock, lambda _: None, readers)
        assert clock.now_ms() == START_MS + 777

    asyncio.run(main())


def test_nothing_is_published_while_the_clock_stands() -> None:
    async def main() -> None:
        published: list[Event] = []
        clock = Clock(START_MS, 1000)
        playing = asyncio.create_task(play(orders(3), clock, published.append, readers))
        await asyncio.sleep(0.05)
        assert published == []
        clock.start()
        await playing
        assert len(published) == 3

    asyncio.run(main())
