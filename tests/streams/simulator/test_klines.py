"""Klines are the roll-up of the trades in them, before the start and after it, in every interval."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.timeframes import DAY_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from streams.simulator.contracts import contracts_list
from streams.simulator.kinds import AggTrade
from streams.simulator.klines import Kline, Minutes, merged
from streams.simulator.listing import LATE_MS, Listing, listings_of
from streams.simulator.market import Market, MarketOptions
from streams.simulator.tape import Fill, unpacked
from tests.streams.simulator.running import START_MS

NOW_MS = START_MS + 200_000


def listings(seconds: float = 200, seed: int = 7, symbols: int = 25, trades_per_s: float = 5) -> list[Listing]:
    """After so many seconds of a market in which some minutes of some symbols are empty."""
    market = Market(MarketOptions(seed, trades_per_s), contracts_list(symbols, START_MS), START_MS)
    made = listings_of(market)
    by_symbol = {listing.symbol: listing for listing in made}
    end_ms = START_MS + seconds * 1000
    for event in takewhile(lambda event: event.at_ms < end_ms, market.events()):
        if isinstance(event.payload, AggTrade):
            by_symbol[event.payload.s].tape.take(event.payload)
    return made


def direct(fills: Sequence[Fill], last_ticks: int) -> Kline:
    """The kline of these trades, the plain way."""
    if not fills:
        return Kline(last_ticks, last_ticks, last_ticks, last_ticks)
    prices = [fill.ticks for fill in fills]
    bought = [fill for fill in fills if not fill.is_sell]
    return Kline(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(fill.lots for fill in fills),
        sum(fill.ticks * fill.lots for fill in fills),
        sum(fill.trades for fill in fills),
        sum(fill.lots for fill in bought),
        sum(fill.ticks * fill.lots for fill in bought),
    )


fills = st.lists(
    st.builds(
        Fill,
        id=st.just(0),
        ticks=st.integers(1, 100),
        lots=st.integers(1, 100),
        first_id=st.just(0),
        trades=st.integers(1, 5),
        time_ms=st.integers(0, 10 * MINUTE_MS - 1),
        is_sell=st.booleans(),
    ),
    max_size=40,
).map(lambda fills: sorted(fills, key=lambda fill: fill.time_ms))


@given(fills, st.integers(0, 9), st.integers(1, 10))
def test_rolled_minutes_are_the_kline_of_their_trades(fills: list[Fill], start: int, length: int) -> None:
    minutes, running = Minutes(), Kline.flat(50)
    for minute in range(10):
        for fill in fills:
            if fill.minute == minute:
                running.add(fill.ticks, fill.lots, fill.trades, not fill.is_sell)
        minutes.append(running)
        running = Kline.flat(running.close)
    end = min(start + length, 10)
    before = [fill.ticks for fill in fills if fill.minute < start]
    inside = [fill for fill in fills if start <= fill.minute < end]
    assert minutes.rolled(start, end) == direct(inside, before[-1] if before else 50)
    for middle in range(start + 1, end):
        assert merged(minutes.rolled(start, middle), minutes.rolled(middle, end)) == minutes.rolled(start, end)


def test_klines_of_the_minutes_around_the_start_are_those_of_the_trades() -> None:
    empty = 0
    for listing in listings(trades_per_s=0.5):
        listing.advance(NOW_MS)
        fills = [unpacked(fill) for fill in (*listing.history.fills, *listing.tape.fills)]
        begin_ms = candle_open_ms("1m", fills[0].time_ms)
        for interval in ("1m", "3m", "5m"):
            first_ms = candle_close_ms(interval, candle_open_ms(interval, begin_ms))
            klines = listing.klines(interval, first_ms, NOW_MS + 1)
            assert klines[-1][0] == candle_open_ms(interval, NOW_MS - LATE_MS)
            for open_ms, kline in klines:
                close_ms = candle_close_ms(interval, open_ms)
                inside = [fill for fill in fills if open_ms <= fill.time_ms < close_ms]
                before = [fill.ticks for fill in fills if fill.time_ms < open_ms]
                assert kline == direct(inside, before[-1]), (listing.symbol, interval, open_ms)
                empty += not inside
    assert empty > 5


@cache
def month_of_minutes() -> tuple[Listing, list[tuple[int, Kline]]]:
    listing = listings(seconds=100, symbols=8)[7]
    listing.advance(START_MS + 100_000)
    return listing, listing.klines("1m", 0, NOW_MS)


@pytest.mark.parametrize("interval", TIMEFRAMES[1:])
def test_klines_of_every_interval_are_rolled_up_from_minutes(interval: str) -> None:
    listing, minutes = month_of_minutes()
    klines = listing.klines(interval, 0, NOW_MS)
    first_ms = minutes[0][0]
    for open_ms, kline in klines[:3] + klines[-3:]:
        start, end = ((at_ms - first_ms) // MINUTE_MS for at_ms in (open_ms, candle_close_ms(interval, open_ms)))
        inside = [each for _, each in minutes[max(start, 0) : end]]
        traded = [each for each in inside if each.count] or inside[-1:]
        assert kline.open == traded[0].open
        assert (kline.high, kline.low) == (max(each.high for each in traded), min(each.low for each in traded))
        assert kline.close == inside[-1].close
        for field in ("volume", "cash", "count", "taker_volume", "taker_cash"):
            assert getattr(kline, field) == sum(getattr(each, field) for each in inside)
    opens = [open_ms for open_ms, _ in klines]
    assert all(candle_close_ms(interval, earlier) == later for earlier, later in pairwise(opens))


def test_thirty_days_before_the_start_join_the_live_price_without_a_jump() -> None:
    for listing in listings(symbols=2):
        listing.advance(NOW_MS)
        klines = listing.klines("1m", 0, NOW_MS)
        opens = [open_ms for open_ms, _ in klines]
        assert opens == list(range(opens[0], opens[-1] + 1, MINUTE_MS))
        assert START_MS - opens[0] >= 30 * DAY_MS
        jumps = [abs(later.open / earlier.close - 1) for (_, earlier), (_, later) in pairwise(klines)]
        assert max(jumps) < 0.01
        for _, kline in klines:
            assert 0 < kline.low <= min(kline.open, kline.close) <= max(kline.open, kline.close) <= kline.high
            assert kline.low * kline.volume <= kline.cash <= kline.high * kline.volume
            assert 0 <= kline.taker_volume <= kline.volume
            assert kline.taker_cash <= kline.cash
            assert bool(kline.count) == bool(kline.volume)
            assert kline.count or kline == Kline.flat(kline.close)


def test_ids_run_on_across_the_start_without_a_hole() -> None:
    for listing in listings():
        fills = listing.fills(10_000)
        assert fills[0].time_ms < START_MS <= fills[-1].time_ms < NOW_MS
        assert all(later.id == earlier.id + 1 for earlier, later in pairwise(fills))
        assert all(later.first_id == earlier.last_id + 1 for earlier, later in pairwise(fills))
        assert all(later.time_ms >= earlier.time_ms for earlier, later in pairwise(fills))


def test_what_was_before_depends_on_the_seed_and_the_symbol_alone() -> None:
    # Another number of symbols, other trades, another time of asking: the same past.
    first, second = listings(1, symbols=3)[2], listings(150, symbols=20, trades_per_s=50)[2]
    assert first.symbol == second.symbol
    other = listings(1, seed=8, symbols=3)[2]
    pasts = [listing.klines("1h", 0, START_MS - 2 * 3_600_000) for listing in (first, second, other)]
    assert pasts[0] == pasts[1] != pasts[2]


def test_the_last_day_is_that_of_its_klines() -> None:
    for listing in listings()[:5]:
        listing.advance(NOW_MS)
        minutes = listing.klines("1m", NOW_MS - DAY_MS, NOW_MS)
        assert len(minutes) == 1440
        day = listing.day()
        assert day.cash == sum(kline.cash for _, kline in minutes)
        assert day.count == sum(kline.count for _, kline in minutes)
        assert (day.open, day.close) == (minutes[0][1].open, minutes[-1][1].close)
        assert (day.high, day.low) == (max(each.high for _, each in minutes), min(each.low for _, each in minutes))
