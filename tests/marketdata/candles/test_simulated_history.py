"""The history of the exchange simulator's market: what is rolled up here is what it says itself."""

import asyncio
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import msgspec
import pytest

from marketdata.candles.backfilling import candles_backfill
from marketdata.candles.history import candle_history, candles_between, running_parts
from marketdata.candles.keeping import candles_build
from marketdata.candles.queries import candles_read
from marketdata.candles.rolling import RunningCandle, roll_up
from marketdata.timeframes import DAY_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from marketdata.types import Candle, CandleSource
from marketdata.venue import venue, venue_reset
from tests.marketdata.candles.making import SYMBOL, VENUE
from tests.streams.simulator.running import market_running

pytestmark = pytest.mark.django_db


@pytest.fixture
def simulator(settings: Any) -> Iterator[None]:
    """Served from a thread of its own, since what is tested here waits for its answers."""
    started, stop = Event(), asyncio.Event()

    async def serve() -> None:
        async with market_running(speed=0.1) as running:
            settings.LIQUI_FEED = "simulated"
            settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{running.port}"
            started.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(60)
    venue_reset()
    yield
    venue_reset()
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def figures(candles: list[Candle]) -> list[Candle]:
    """The closed ones, whoever made them."""
    return [msgspec.structs.replace(each, source=CandleSource.VENUE) for each in candles if each.is_closed]


def test_the_newest_candles_are_closed_but_for_the_running_one(simulator: None) -> None:
    found = candle_history(SYMBOL, "1m", 120)
    assert [each.is_closed for each in found] == [True] * 119 + [False]
    opens = [each.open_ms for each in found]
    assert opens == list(range(opens[0], opens[-1] + 1, MINUTE_MS))
    assert candle_history(SYMBOL, "1m", 120)[:-1] == found[:-1]


@pytest.mark.parametrize("timeframe", ["1h", "4h", "1d", "3d", "1w"])
def test_the_simulators_candles_are_the_roll_up_of_its_minutes(simulator: None, timeframe: str) -> None:
    (longer, *_) = candle_history(SYMBOL, timeframe, 2)
    minutes = candles_between(SYMBOL, "1m", longer.open_ms, candle_close_ms(timeframe, longer.open_ms))
    assert figures(roll_up(minutes, timeframe)) == figures([longer])


def test_backfilled_minutes_are_rolled_up_to_what_the_simulator_says(simulator: None) -> None:
    end_ms = candle_open_ms("1d", candle_history(SYMBOL, "1m", 1)[0].open_ms)
    start_ms = end_ms - 2 * DAY_MS
    assert candles_backfill(SYMBOL, "1m", start_ms, end_ms) == 2 * DAY_MS // MINUTE_MS
    candles_build()
    for timeframe in TIMEFRAMES[1:12]:
        ours = candles_read(VENUE, SYMBOL, timeframe, start_ms, end_ms)
        assert {each.source for each in ours} == {CandleSource.ROLLUP}
        # Not asked of the table, which has them all.
        assert figures(ours) == figures(said(timeframe, start_ms, end_ms)), timeframe


def said(timeframe: str, start_ms: int, end_ms: int) -> list[Candle]:
    return venue().klines(SYMBOL, timeframe, start_ms=start_ms, end_ms=end_ms - 1, limit=1500)


def test_the_parts_and_the_running_minute_are_the_running_month(simulator: None) -> None:
    for _ in range(50):
        (minute,) = venue().klines(SYMBOL, "1m", limit=1)
        open_ms = candle_open_ms("1M", minute.open_ms)
        running = RunningCandle("1M")
        running.seed(running_parts(SYMBOL, "1M", open_ms, minute.open_ms))
        (now,) = running.take(minute)
        (told,) = venue().klines(SYMBOL, "1M", limit=1)
        if venue().klines(SYMBOL, "1m", limit=1) == [minute]:
            break
    else:
        pytest.fail("something was traded between any two questions")
    assert now == msgspec.structs.replace(told, source=CandleSource.ROLLUP)
    assert minute.open_ms - open_ms > DAY_MS
