"""Which candles a client looks at."""

import asyncio

import pytest

from streams.market import ranges
from streams.market.ranges import ChartRange, Ranges

DAY = "mine", "BTCUSDT", "1d"


def test_volume_waits_for_the_history_and_begins_where_it_does() -> None:
    """A young symbol has fewer candles than the chart has room for."""

    async def scenario() -> None:
        known, shown = Ranges(), ChartRange(*DAY, 1000)
        waiting = asyncio.create_task(known.start_ms(*DAY))
        await asyncio.sleep(0)
        known.note(ChartRange("another's", *DAY[1:], 5))
        known.note(shown)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        shown.settle(3000)
        assert await waiting == 3000

    asyncio.run(scenario())


def test_a_history_that_cannot_be_had_leaves_the_width_of_the_chart() -> None:
    async def scenario() -> None:
        known, shown = Ranges(), ChartRange(*DAY, 1000)
        known.note(shown)
        shown.settle(None)
        assert await known.start_ms(*DAY) == 1000
        known.forget(shown)
        assert known.newest(*DAY) is None

    asyncio.run(scenario())


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "HISTORY_S", 0.05)
    monkeypatch.setattr(ranges, "WAIT_S", 0.05)

    async def scenario() -> None:
        known = Ranges()
        assert await known.start_ms(*DAY) is None
        known.note(ChartRange(*DAY, 1000))
        assert await known.start_ms(*DAY) == 1000

    asyncio.run(scenario())
