"""Rolling up: equal to adding up the trades themselves, whatever lies between; and the running candle."""

from decimal import Decimal
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.candles.rolling import REPLACEABLE, RunningCandle, roll_up
from marketdata.timeframes import DAY_MS, FIXED_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from marketdata.types import Candle, CandleSource, Trade
from tests.marketdata.candles.making import T0, candle, naive_candles, trades

AT_ONCE = ("1m", "5m", "1h", "1d")
# What each may be made of: shorter ones that all its candles begin and end with.
PARTS = {
    timeframe: [
        shorter
        for shorter in AT_ONCE
        if timeframe == "1M"
        or (FIXED_MS[shorter] < FIXED_MS[timeframe] and not FIXED_MS[timeframe] % FIXED_MS[shorter])
    ]
    for timeframe in TIMEFRAMES[1:]
}
FIGURES = ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count")


def changed(made: Candle, **values: object) -> Candle:
    return msgspec.structs.replace(made, **values)


def plain(candles: list[Candle]) -> list[Candle]:
    """What is traded in them, whoever made them."""
    return [changed(each, source=CandleSource.TRADES, is_closed=True) for each in candles if not each.is_empty]


def filled(candles: list[Candle], timeframe: str, until_ms: int) -> list[Candle]:
    """Without holes from the first one to ``until_ms``: empty ones carry the last close."""
    found, by_open = [], {each.open_ms: each for each in candles}
    open_ms, close = candles[0].open_ms, candles[0].open
    while open_ms < until_ms:
        found.append(by_open.get(open_ms) or empty(open_ms, timeframe, close))
        open_ms, close = candle_close_ms(timeframe, open_ms), found[-1].close
    return found


def empty(open_ms: int, timeframe: str, price: Decimal) -> Candle:
    nothing = dict.fromkeys(("volume", *FIGURES), Decimal(0)) | {"trade_count": 0}
    return candle(open_ms, price, timeframe=timeframe, is_empty=True, **nothing)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@given(made=trades(most=40, step_ms=3 * DAY_MS))
def test_rolled_up_equals_added_up_from_the_trades(timeframe: str, made: list[Trade]) -> None:
    assert plain(roll_up(naive_candles(made, "1m"), timeframe)) == naive_candles(made, timeframe)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@given(made=trades(most=40))
def test_empty_minutes_in_between_change_nothing(timeframe: str, made: list[Trade]) -> None:
    minutes = naive_candles(made, "1m")
    without_holes = filled(minutes, "1m", minutes[-1].open_ms + 3 * MINUTE_MS)
    assert plain(roll_up(without_holes, timeframe)) == naive_candles(made, timeframe)


@pytest.mark.parametrize("timeframe", list(PARTS))
@given(made=trades(most=40, step_ms=DAY_MS), random=st.randoms(use_true_random=False))
def test_the_way_through_other_timeframes_does_not_matter(timeframe: str, made: list[Trade], random: Random) -> None:
    direct = roll_up(naive_candles(made, "1m"), timeframe)
    for shorter in PARTS[timeframe]:
        assert plain(roll_up(naive_candles(made, shorter), timeframe)) == plain(direct)
    assert plain(roll_up(mixed(made, PARTS[timeframe], random), timeframe)) == plain(direct)


def mixed(made: list[Trade], timeframes: list[str], random: Random) -> list[Candle]:
    """Each stretch of the longest part by candles of a timeframe of its own."""
    longest = timeframes[-1]
    chosen: dict[int, str] = {}
    found = []
    for shorter in timeframes:
        for each in naive_candles(made, shorter):
            stretch_ms = candle_open_ms(longest, each.open_ms)
            if chosen.setdefault(stretch_ms, random.choice(timeframes)) == shorter:
                found.append(each)
    return sorted(found, key=lambda each: each.open_ms)


@pytest.mark.parametrize("timeframe", ["3m", "1h", "1d", "3d", "1w", "1M"])
def test_only_a_candle_whose_closed_parts_leave_no_hole_is_closed(timeframe: str) -> None:
    shorter = PARTS[timeframe][-1]
    end_ms = candle_close_ms(timeframe, candle_open_ms(timeframe, T0))
    parts = filled([candle(candle_open_ms(timeframe, T0), timeframe=shorter)], shorter, end_ms)
    (whole,) = roll_up(parts, timeframe)
    assert (whole.is_closed, whole.source) == (True, CandleSource.ROLLUP)
    for hole in (0, len(parts) // 2, len(parts) - 1):
        assert [each.is_closed for each in roll_up(parts[:hole] + parts[hole + 1 :], timeframe)] == [False]
    running = [*parts[:-1], changed(parts[-1], is_closed=False)]
    assert not roll_up(running, timeframe)[0].is_closed


def test_weeks_begin_on_monday_and_months_by_the_calendar() -> None:
    days = [candle(T0 + number * DAY_MS, timeframe="1d") for number in range(-1, 61)]
    assert [each.open_ms for each in roll_up(days, "1w")][1] == T0
    months = roll_up(days, "1M")
    assert [(each.open_ms, each.volume, each.is_closed) for each in months] == [
        (T0 - 31 * DAY_MS, 1, False),
        (T0, 31, True),
        (T0 + 31 * DAY_MS, 29, True),
        (T0 + 60 * DAY_MS, 1, False),
    ]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_that_one_part_lacks_is_lacking(figure: str) -> None:
    parts = [candle(T0), changed(candle(T0 + MINUTE_MS), **{figure: None}), candle(T0 + 2 * MINUTE_MS)]
    (rolled,) = roll_up(parts, "3m")
    assert {name: getattr(rolled, name) for name in FIGURES if getattr(rolled, name) is None} == {figure: None}
    assert rolled.volume == 3


def test_empty_parts_count_for_prices_among_their_like_alone() -> None:
    one = changed(candle(T0 + MINUTE_MS, 7), open=Decimal(6), low=Decimal(5), high=Decimal(8))
    parts = [empty(T0, "1m", Decimal(100)), one, empty(T0 + 2 * MINUTE_MS, "1m", Decimal(7))]
    # It may carry a close that has been corrected since.
    for carried in (7, 90):
        (rolled,) = roll_up([*parts[:2], empty(parts[2].open_ms, "1m", Decimal(carried))], "3m")
        assert (rolled.open, rolled.high, rolled.low, rolled.close, rolled.is_empty) == (6, 8, 5, 7, False)
    (rolled,) = roll_up([parts[0], parts[2]], "3m")
    assert (rolled.open, rolled.high, rolled.low, rolled.close, rolled.is_empty) == (100, 100, 7, 7, True)
    assert roll_up([], "1h") == []


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@given(made=trades(most=25, step_ms=5 * MINUTE_MS), split=st.integers(0, 40))
def test_the_running_candle_is_the_roll_up_of_all_its_minutes(timeframe: str, made: list[Trade], split: int) -> None:
    """At every change of a minute, seeded with any number of them."""
    minutes = naive_candles(made, "1m")
    running = RunningCandle(timeframe)
    seeded = minutes[:split]
    running.seed(seeded)
    for number, minute in enumerate(minutes[split:], split):
        for update in (changed(minute, volume=minute.volume / 2, is_closed=False), minute):
            *_, now = running.take(update)
            assert now == roll_up([*minutes[:number], update], timeframe)[-1]


def test_the_candle_before_closes_when_its_last_minute_does_although_the_next_has_begun() -> None:
    running = RunningCandle("3m")
    minutes = [candle(T0 + number * MINUTE_MS, 10 + number) for number in range(5)]
    running.seed(minutes[:2])
    (now,) = running.take(changed(minutes[2], is_closed=False))
    assert (now.open, now.close, now.is_closed) == (10, 12, False)
    before, after = running.take(changed(minutes[3], is_closed=False))
    assert (before.open_ms, before.is_closed, after.open_ms, after.close) == (T0, False, minutes[3].open_ms, 13)
    (before,) = running.take(minutes[2])
    assert (before.open_ms, before.is_closed, before.volume) == (T0, True, 3)
    (now,) = running.take(minutes[4])
    assert (now.open_ms, now.close) == (minutes[3].open_ms, 14)


def test_a_minute_may_be_corrected_until_it_is_added_up() -> None:
    running = RunningCandle("1h")
    running.seed([candle(T0 - HOUR_MS, timeframe="1h")])
    minutes = [candle(T0 + number * MINUTE_MS) for number in range(REPLACEABLE + 1)]
    for minute in minutes:
        running.take(minute)
    (now,) = running.take(changed(minutes[1], volume=Decimal(10)))
    assert now.volume == len(minutes) + 9
    assert running.take(minutes[0]) == []
    assert running.take(candle(T0 - MINUTE_MS)) == [], "it is in the seed"
    assert running.take(candle(T0 - 2 * HOUR_MS)) == []


def test_of_two_collectors_the_one_that_is_behind_does_not_take_a_minute_back() -> None:
    running = RunningCandle("5m")
    first = candle(T0)
    (now,) = running.take(changed(first, volume=Decimal(10), is_closed=False))
    assert running.take(changed(first, volume=Decimal(9), is_closed=False)) == []
    (now,) = running.take(changed(first, volume=Decimal(11)))
    assert running.take(changed(first, volume=Decimal(12), is_closed=False)) == [], "it is over"
    (now,) = running.take(changed(first, volume=Decimal(8)))
    assert now.volume == 8, "the venue's last word"


def test_a_seed_of_longer_parts_holds_their_minutes() -> None:
    running = RunningCandle("1d")
    running.seed([candle(T0, timeframe="1h"), candle(T0 + HOUR_MS)])
    assert running.take(candle(T0 + 30 * MINUTE_MS)) == []
    (now,) = running.take(candle(T0 + HOUR_MS + MINUTE_MS))
    assert now.volume == 3
