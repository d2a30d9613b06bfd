"""The history of a symbol: complete from the venue, asked for once, and what is stored when it cannot be asked."""

from threading import Event, Thread
from typing import Any

import msgspec
import pytest

from marketdata.candles import asking
from marketdata.candles.history import candle_history, candles_between, running_parts
from marketdata.candles.queries import candles_read
from marketdata.candles.rolling import RunningCandle, roll_up
from marketdata.candles.services import candle_upsert
from marketdata.errors import VenueRateLimited, VenueUnavailable
from marketdata.timeframes import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    TIMEFRAMES,
    candle_close_ms,
    candle_open_ms,
    candle_shifted_ms,
)
from marketdata.types import Candle, CandleSource
from marketdata.venue import Venue, venue_reset
from tests.marketdata.candles.exchange import NOW, KlineExchange
from tests.marketdata.candles.making import SYMBOL, T0, VENUE, candle

pytestmark = pytest.mark.django_db

ALL = 2**40 * 2
real_klines = Venue.klines


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FRESH_S", 0.0)


def expected(klines: KlineExchange, timeframe: str, count: int, end_ms: int | None = None) -> list[Candle]:
    last_ms = candle_open_ms(timeframe, klines.now_ms if end_ms is None else min(klines.now_ms, end_ms - 1))
    found = klines.candles(timeframe, candle_shifted_ms(timeframe, last_ms, 1 - count), last_ms)
    return rolled(found) if timeframe == "3d" else found


def rolled(candles: list[Candle]) -> list[Candle]:
    return [msgspec.structs.replace(each, source=CandleSource.ROLLUP) for each in candles]


def stored(timeframe: str) -> list[Candle]:
    return candles_read(VENUE, SYMBOL, timeframe, 0, ALL)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_newest_candles_are_the_venues_and_the_closed_ones_are_stored(
    klines: KlineExchange, timeframe: str
) -> None:
    assert candle_history(SYMBOL, timeframe, 12) == expected(klines, timeframe, 12)
    kept = "1d" if timeframe == "3d" else timeframe
    assert [each.open_ms for each in stored(kept)] == [
        each.open_ms for each in expected(klines, kept, 12 * 3 if timeframe == "3d" else 12)[:-1]
    ]
    assert len(klines.asked) == 1
    assert candle_history(SYMBOL, timeframe, 12) == expected(klines, timeframe, 12)
    assert len(klines.asked) == 2


def test_what_is_stored_is_not_asked_for_again(klines: KlineExchange) -> None:
    candle_history(SYMBOL, "1m", 1000)
    assert [asked["limit"] for asked in klines.asked] == ["1000"]
    klines.asked.clear()
    klines.now_ms += 50 * MINUTE_MS
    assert candle_history(SYMBOL, "1m", 1000) == expected(klines, "1m", 1000)
    assert [asked["limit"] for asked in klines.asked] == ["99"], "of the least weight, and it brings what is missing"
    klines.asked.clear()
    assert candle_history(SYMBOL, "1m", 1500) == expected(klines, "1m", 1500)
    assert len(klines.asked) == 2


def test_holes_are_filled_from_the_venue(klines: KlineExchange) -> None:
    made = klines.candles("1m", NOW - 400 * MINUTE_MS, NOW)[:-1]
    candle_upsert(made[:100] + made[150:200] + made[320:])
    assert candle_history(SYMBOL, "1m", 380) == expected(klines, "1m", 380)
    assert len(klines.asked) <= 2
    assert candles_read(VENUE, SYMBOL, "1m", made[100].open_ms, ALL) == made[100:]


def test_a_closed_candle_of_ours_is_given_rather_than_the_running_one_of_the_venue(klines: KlineExchange) -> None:
    ours = candle(candle_open_ms("1m", NOW), 7, source=CandleSource.TRADES)
    candle_upsert([ours])
    assert candle_history(SYMBOL, "1m", 2)[-1] == ours


def test_candles_before_a_time_end_there(klines: KlineExchange) -> None:
    for end_ms in (NOW - DAY_MS, candle_open_ms("1h", NOW - DAY_MS), NOW + 5 * DAY_MS):
        for timeframe in ("1h", "3d", "1M"):
            assert candle_history(SYMBOL, timeframe, 3, end_ms) == expected(klines, timeframe, 3, end_ms)


def test_the_past_is_read_without_the_venue_once_it_is_stored(klines: KlineExchange) -> None:
    end_ms = NOW - DAY_MS
    first = candle_history(SYMBOL, "5m", 50, end_ms)
    klines.asked.clear()
    assert candle_history(SYMBOL, "5m", 50, end_ms) == first
    assert candle_history(SYMBOL, "5m", 20, end_ms) == first[-20:]
    assert klines.asked == []


def test_where_a_history_begins_is_asked_for_once(klines: KlineExchange) -> None:
    klines.begins_ms = candle_open_ms("1h", NOW - 5 * HOUR_MS)
    assert candle_history(SYMBOL, "1h", 100) == klines.last("1h", 6)
    klines.asked.clear()
    assert candle_history(SYMBOL, "1h", 100) == klines.last("1h", 6)
    assert len(klines.asked) == 1, "the running candle alone"
    klines.asked.clear()
    assert candle_history(SYMBOL, "1h", 10, klines.begins_ms) == []
    assert candle_history(SYMBOL, "1h", 10, klines.begins_ms - DAY_MS) == []
    assert candles_between(SYMBOL, "1h", klines.begins_ms - DAY_MS, klines.begins_ms + 1) == klines.last("1h", 6)[:1]
    assert klines.asked == []


def test_before_the_beginning_there_is_nothing_and_that_is_remembered(klines: KlineExchange) -> None:
    klines.begins_ms = NOW - DAY_MS
    assert candle_history(SYMBOL, "1h", 10, NOW - 3 * DAY_MS) == []
    assert candle_history(SYMBOL, "1h", 10, NOW - 4 * DAY_MS) == []
    assert len(klines.asked) == 1


def test_a_hole_of_the_venues_is_asked_for_once_and_hides_nothing_before_it(klines: KlineExchange) -> None:
    first_ms = candle_open_ms("1m", NOW) - 9 * MINUTE_MS
    klines.lacks = {first_ms, first_ms + MINUTE_MS, first_ms + 4 * MINUTE_MS}
    expected = klines.candles("1m", first_ms - DAY_MS, NOW)
    # The newest, those of the holes, and whether there is anything before the first one.
    for requests in (3, 1):
        klines.asked.clear()
        assert candle_history(SYMBOL, "1m", 10) == expected[-10:]
        assert len(klines.asked) == requests
    assert candle_history(SYMBOL, "1m", 30)[0].open_ms <= first_ms - 10 * MINUTE_MS


def test_the_venues_newest_candle_says_what_the_time_is(klines: KlineExchange) -> None:
    """Its market was played before, and further."""
    candle_history(SYMBOL, "1m", 10)
    klines.now_ms -= 5 * MINUTE_MS
    found = candle_history(SYMBOL, "1m", 10)
    assert [each.open_ms for each in found] == [each.open_ms for each in klines.last("1m", 10)]


def test_without_the_venue_the_stored_ones_are_the_answer(klines: KlineExchange) -> None:
    made = klines.candles("1m", NOW - 20 * MINUTE_MS, NOW)[:-1]
    candle_upsert(made)
    klines.status = 503
    assert candle_history(SYMBOL, "1m", 10) == made[-10:]
    assert candles_between(SYMBOL, "1m", made[3].open_ms, made[6].open_ms) == made[3:6]
    with pytest.raises(VenueUnavailable, match="503"):
        candle_history(SYMBOL, "1h", 10)


def allow(monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    """The venue wants no more than so many requests from now on."""
    left = iter(range(requests))

    def klines(*wanted: Any, **window: Any) -> list[Candle]:
        if next(left, None) is None:
            raise VenueRateLimited("the weight of this minute is used up", 7.0)
        return real_klines(*wanted, **window)

    monkeypatch.setattr(Venue, "klines", klines)
    venue_reset()


def with_two_holes(klines: KlineExchange) -> list[Candle]:
    """The last 3000 minutes, of which two holes of 1100 each are not stored."""
    made = klines.candles("1m", NOW - 3000 * MINUTE_MS, NOW)[:-1]
    candle_upsert(made[:200] + made[1300:1700] + made[2800:])
    return made


@pytest.mark.parametrize(("requests", "first"), [(0, 2800), (1, 2800), (2, 1300), (3, 1300), (4, 0)])
def test_the_sides_of_a_hole_that_could_not_be_asked_for_are_never_joined(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch, requests: int, first: int
) -> None:
    """Each hole takes two requests, and the newer one is filled first."""
    made = with_two_holes(klines)
    allow(monkeypatch, requests)
    assert candle_history(SYMBOL, "1m", len(made), made[-1].open_ms + 1) == made[first:]
    window = made[0].open_ms, made[-1].open_ms + 1
    allow(monkeypatch, 0)
    assert candles_between(SYMBOL, "1m", *window) == made[first:]
    assert candle_history(SYMBOL, "1m", 100, made[200].open_ms) == made[100:200], "what is before is there for who asks"
    allow(monkeypatch, 9)
    assert candles_between(SYMBOL, "1m", *window) == made


def test_the_newest_candles_are_not_joined_to_those_of_weeks_ago(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    candle_upsert(klines.candles("1h", NOW - 40 * DAY_MS, NOW - 20 * DAY_MS))
    allow(monkeypatch, 1)
    assert candle_history(SYMBOL, "1h", 900) == klines.last("1h", 99)


def test_the_sides_of_a_hole_that_nobody_can_fill_stay_together(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    made = klines.candles("1m", NOW - 30 * MINUTE_MS, NOW)[:-1]
    klines.lacks = {each.open_ms for each in made[10:20]}
    rest = made[:10] + made[20:]
    candle_upsert(rest)
    asked = SYMBOL, "1m", len(made), made[-1].open_ms + 1
    assert candle_history(*asked) == rest
    candle_upsert([msgspec.structs.replace(each, symbol="GONEUSDT") for each in rest])
    klines.unknown = {"GONEUSDT"}
    assert len(candle_history("GONEUSDT", *asked[1:])) == len(rest)
    allow(monkeypatch, 0)
    assert candle_history(*asked) == made[20:]
    settings.LIQUI_FEED = "none"
    assert candle_history(*asked) == rest


def test_a_hole_that_was_asked_for_in_the_same_request_is_known(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = klines.candles("1m", NOW - 3000 * MINUTE_MS, NOW)[:-1]
    klines.lacks = {each.open_ms for each in made[2000:2010]}
    candle_upsert(made[:100] + made[900:2000] + made[2010:])
    allow(monkeypatch, 1)
    assert candle_history(SYMBOL, "1m", len(made), made[-1].open_ms + 1) == made[900:2000] + made[2010:]


def test_three_days_that_are_not_all_there_are_not_given_while_the_venue_cannot_be_asked(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = klines.candles("1d", candle_open_ms("3d", NOW) - 9 * DAY_MS, NOW)
    candle_upsert([*days[:1], *days[2:-1]])
    allow(monkeypatch, 0)
    found = candle_history(SYMBOL, "3d", 4)
    assert [each.open_ms for each in found] == [each.open_ms for each in days[3:-1:3]]


def test_a_venue_that_is_away_is_left_alone_for_a_moment(klines: KlineExchange, monkeypatch: Any) -> None:
    klines.status, klines.refusals = 503, 1
    for _ in range(3):
        with pytest.raises(VenueUnavailable, match="503"):
            candle_history(SYMBOL, "1h", 10)
    assert klines.refusals == 0
    monkeypatch.setattr(asking, "AWAY_S", 0.0)
    klines.status, klines.refusals = 503, 1
    venue_reset()
    with pytest.raises(VenueUnavailable):
        candle_history(SYMBOL, "1h", 10)
    assert candle_history(SYMBOL, "1h", 10) == expected(klines, "1h", 10)


def test_too_many_requests_are_told_with_their_time(klines: KlineExchange) -> None:
    klines.status, klines.headers = 429, {"Retry-After": "7"}
    for _ in range(2):
        with pytest.raises(VenueRateLimited) as refused:
            candle_history(SYMBOL, "1h", 10)
        assert 5 < refused.value.retry_after_s <= 7


def test_a_feed_that_collects_nothing_has_what_is_stored(klines: KlineExchange, settings: Any) -> None:
    made = klines.candles("1m", NOW - 20 * MINUTE_MS, NOW)[:-1]
    candle_upsert(made)
    settings.LIQUI_FEED = "none"
    assert candle_history(SYMBOL, "1m", 5) == made[-5:]
    with pytest.raises(VenueUnavailable, match="FEED=none"):
        candle_history("ETHUSDT", "1m", 5)
    assert klines.asked == []


@pytest.mark.parametrize("timeframe", ["1m", "1h", "3d", "1w", "1M"])
def test_candles_between_two_times(klines: KlineExchange, timeframe: str) -> None:
    first_ms = candle_open_ms(timeframe, NOW - 200 * DAY_MS)
    start_ms, end_ms = candle_shifted_ms(timeframe, first_ms, 1) - 1, candle_shifted_ms(timeframe, first_ms, 4) + 1
    opens = [candle_shifted_ms(timeframe, first_ms, number) for number in (1, 2, 3, 4)]
    assert [each.open_ms for each in candles_between(SYMBOL, timeframe, start_ms, end_ms)] == opens
    assert [each.open_ms for each in candles_between(SYMBOL, timeframe, start_ms, end_ms, 2)] == opens[2:]
    assert candles_between(SYMBOL, timeframe, end_ms, end_ms) == []
    assert candles_between(SYMBOL, timeframe, NOW + 9 * 7 * DAY_MS, NOW + 99 * 7 * DAY_MS) == []


def test_a_window_that_reaches_into_the_future_ends_with_the_running_candle(klines: KlineExchange) -> None:
    found = candles_between(SYMBOL, "1h", NOW - 5 * HOUR_MS, NOW + DAY_MS)
    assert found == klines.last("1h", 5)
    assert not found[-1].is_closed


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_the_parts_of_the_running_candle_cover_it_exactly(klines: KlineExchange, timeframe: str) -> None:
    until_ms = candle_open_ms("1m", NOW)
    open_ms = candle_open_ms(timeframe, NOW)
    parts = running_parts(SYMBOL, timeframe, open_ms, until_ms)
    next_ms = open_ms
    for part in parts:
        assert part.open_ms == next_ms
        next_ms = candle_close_ms(part.timeframe, part.open_ms)
    assert next_ms == until_ms
    assert len(klines.asked) <= 3
    running = RunningCandle(timeframe)
    running.seed(parts)
    (now,) = running.take(klines.candle("1m", until_ms))
    assert (now,) == tuple(rolled([klines.candle(timeframe, open_ms)]))
    klines.asked.clear()
    assert running_parts(SYMBOL, timeframe, open_ms, until_ms) == parts
    assert klines.asked == []


def test_parts_that_cannot_be_had_are_no_silent_hole(klines: KlineExchange) -> None:
    until_ms = candle_open_ms("1m", NOW)
    candle_upsert(klines.candles("1m", until_ms - 5 * MINUTE_MS, until_ms - 1))
    klines.status = 503
    with pytest.raises(VenueUnavailable):
        running_parts(SYMBOL, "1h", candle_open_ms("1h", until_ms), until_ms)
    assert len(running_parts(SYMBOL, "1h", until_ms - 5 * MINUTE_MS, until_ms)) == 5


def test_a_crowd_asks_for_the_newest_candles_once(klines: KlineExchange, monkeypatch: Any, committed: None) -> None:
    monkeypatch.setattr(asking, "FRESH_S", 60.0)
    candle_history(SYMBOL, "1h", 10)
    klines.asked.clear()
    klines.gate = Event()
    found: list[list[Candle]] = []
    threads = [Thread(target=lambda: found.append(in_thread())) for _ in range(8)]
    for thread in threads:
        thread.start()
    klines.gate.set()
    for thread in threads:
        thread.join()
    assert found == [expected(klines, "1h", 10)] * 8
    assert len(klines.asked) == 0


def test_charts_that_ask_again_up_to_now_share_an_answer(klines: KlineExchange, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "FRESH_S", 60.0)
    candle_history(SYMBOL, "1h", 10, klines.now_ms)
    klines.asked.clear()
    for later_ms in (1, 1000, 2000):
        found = candle_history(SYMBOL, "1h", 10, klines.now_ms + later_ms)
        assert found == expected(klines, "1h", 10)
    assert klines.asked == []


def test_what_is_over_is_not_what_was_running_a_moment_ago(klines: KlineExchange, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "FRESH_S", 60.0)
    end_ms = candle_open_ms("1m", klines.now_ms) + MINUTE_MS
    candle_history(SYMBOL, "1m", 10, end_ms - 1)
    klines.now_ms = end_ms + 100
    assert running_parts(SYMBOL, "1h", end_ms - 10 * MINUTE_MS, end_ms)[-1].is_closed


def test_no_more_of_the_newest_candles_are_kept_than_a_moment_brings(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_FRESH", 3)
    for count in range(1, 12):
        candle_history(SYMBOL, "1h", count)
    assert 0 < len(asking.venue_candles().fresh) <= 3


def in_thread() -> list[Candle]:
    from django.db import connection

    try:
        return candle_history(SYMBOL, "1h", 10)
    finally:
        connection.close()


def test_three_day_candles_are_ours_and_not_the_venues(klines: KlineExchange) -> None:
    days = klines.candles("1d", T0 - 10 * DAY_MS, NOW)
    assert candle_history(SYMBOL, "3d", 5) == roll_up(days, "3d")[-5:]
    assert {asked["interval"] for asked in klines.asked} == {"1d"}
    assert stored("3d") == []
