"""The builder of 1m candles: against the plain way, with late trades, silence, losses and the venue's klines."""

import csv
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.candles.building import GRACE_MS, MOST_EMPTY, CandleBuilder
from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, CandleSource, Kline, Side, Trade
from tests.marketdata.candles.making import SYMBOL, T0, VENUE, kline, naive_candles, trade, trades

M1, M2, M3 = (T0 + number * MINUTE_MS for number in (1, 2, 3))


def builder(begun_ms: int = T0) -> CandleBuilder:
    """One that has begun: every minute after that of ``begun_ms`` is whole."""
    made = CandleBuilder(VENUE, SYMBOL)
    made.take_trade(trade(0, begun_ms, 50))
    return made


def opens(candles: list[Candle]) -> list[int]:
    return [candle.open_ms for candle in candles]


@given(trades(), st.randoms(use_true_random=False))
def test_built_candles_equal_the_plain_group_by_however_late_the_trades(made: list[Trade], random: Random) -> None:
    """Late by less than the grace: whatever their order, every trade is in its minute."""
    building = builder(T0 - MINUTE_MS)
    closed: list[Candle] = []
    arrivals = sorted(
        ((each.event_ms + random.randrange(GRACE_MS), number, each) for number, each in enumerate(made)),
        key=lambda arrival: arrival[:2],
    )
    for now_ms, _, each in arrivals:
        closed += building.close_until(now_ms)
        building.take_trade(each)
    closed += building.close_until(made[-1].event_ms + MINUTE_MS + GRACE_MS)
    assert building.late == 0
    assert [each for each in closed if not each.is_empty] == naive_candles(made, "1m")
    assert opens(closed) == list(range(T0, closed[-1].open_ms + 1, MINUTE_MS)), "no minute is left out"
    assert_empty_ones_carry(closed, Decimal(50))


def assert_empty_ones_carry(closed: list[Candle], price: Decimal) -> None:
    for each in closed:
        if each.is_empty:
            assert (each.open, each.high, each.low, each.close) == (price,) * 4
            assert (each.volume, each.quote_volume, each.taker_buy_volume, each.trade_count) == (0, 0, 0, 0)
        price = each.close


@given(trades(), st.integers(0, 60), st.integers(0, 60))
def test_the_kline_takes_over_what_it_covers_and_later_trades_are_added(made: list[Trade], at: int, told: int) -> None:
    """Whenever the kline comes, and whichever trades it holds, the candle holds each trade once."""
    made = [each for each in made if each.event_ms < made[0].event_ms - made[0].event_ms % MINUTE_MS + MINUTE_MS]
    building = CandleBuilder(VENUE, SYMBOL)
    held = made[: told % len(made) + 1]
    for number, each in enumerate(made):
        if number == at % len(made):
            building.take_kline(kline(held))
        building.take_trade(each)
    (closed,) = building.close_until(made[-1].event_ms + MINUTE_MS + GRACE_MS)[:1]
    assert without_source(closed) == without_source(naive_candles(made, "1m")[0])
    assert closed.source == (CandleSource.VENUE if held == made else CandleSource.TRADES)


def without_source(candle: Candle) -> Candle:
    return msgspec.structs.replace(candle, source=CandleSource.TRADES)


def test_a_minute_begun_in_the_middle_is_never_closed_but_marked_for_repair() -> None:
    building = CandleBuilder(VENUE, SYMBOL)
    assert (building.running, building.close_until(T0), building.changed()) == (None, [], [])
    building.take_trade(trade(7, T0 + 30_000, 5))
    # Nor shown: its open, high, low and volume are not known.
    assert (building.running, building.changed()) == (None, [])
    assert building.close_until(M1 + GRACE_MS) == []
    assert building.needs_repair == {T0}
    assert opens(building.close_until(M2 + GRACE_MS)) == [M1]


def test_a_minute_begun_in_the_middle_is_closed_with_a_kline_that_reaches_our_first_trade() -> None:
    unseen, first, second = trade(6, T0, 9), trade(7, T0 + 1, 5), trade(8, T0 + 2, 7)
    building = CandleBuilder(VENUE, SYMBOL)
    building.take_trade(first)
    building.take_trade(second)
    building.take_kline(kline([unseen]))
    assert building.close_until(M1 + GRACE_MS) == naive_candles([unseen, first, second], "1m")
    assert building.needs_repair == set()


def test_a_kline_that_ends_before_our_first_trade_leaves_a_gap() -> None:
    building = CandleBuilder(VENUE, SYMBOL)
    building.take_kline(kline([trade(5, T0)]))
    building.take_trade(trade(7, T0 + 1))
    assert building.close_until(M1 + GRACE_MS) == []
    assert building.needs_repair == {T0}


def test_the_venues_last_word_closes_a_minute_of_which_we_saw_nothing_else() -> None:
    building = CandleBuilder(VENUE, SYMBOL)
    last_word = kline([trade(5, T0, 3), trade(6, T0, 4)], is_closed=True)
    building.take_kline(last_word)
    assert building.close_until(M1 + GRACE_MS) == [last_word.candle]


def test_an_older_kline_does_not_take_back_what_a_newer_one_told() -> None:
    made = [trade(number, M1 + number, number) for number in range(1, 4)]
    building = builder()
    building.take_kline(kline(made))
    building.take_kline(kline(made[:1]))
    for each in made:
        building.take_trade(each)
    assert building.running is not None
    assert building.running.trade_count == 3


def test_the_kline_of_a_minute_without_trades_carries_the_venues_price() -> None:
    building = CandleBuilder(VENUE, SYMBOL)
    building.take_kline(empty_kline(T0, 70))
    building.take_trade(trade(1, M1 + 5, 80))
    closed = building.close_until(M2 + GRACE_MS)
    assert [(each.close, each.is_empty) for each in closed] == [(70, True), (80, False)]


def empty_kline(open_ms: int, price: int) -> Kline:
    carried = msgspec.structs.replace(
        kline([trade(1, open_ms, price)], is_closed=True).candle, volume=Decimal(0), trade_count=0, is_empty=True
    )
    return Kline(candle=carried, first_trade_id=-1, last_trade_id=-1, event_ms=open_ms)


def test_a_clock_closes_a_minute_a_second_after_its_end_also_without_a_trade() -> None:
    building = builder()
    building.take_trade(trade(1, M1 + 5, 6))
    building.close_until(M1 + GRACE_MS)
    assert building.close_until(M2 + GRACE_MS - 1) == []
    assert opens(building.close_until(M2 + GRACE_MS)) == [M1]
    assert building.close_until(M2 + GRACE_MS) == []
    (empty,) = building.close_until(M3 + GRACE_MS)
    assert (empty.open_ms, empty.close, empty.volume, empty.is_empty, empty.is_closed) == (M2, 6, 0, True, True)


def test_an_empty_minute_carries_the_close_before_it_although_the_next_has_begun() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 6))
    building.take_trade(trade(2, M3 + 1, 99))
    assert [each.close for each in building.close_until(M3 + GRACE_MS)] == [6, 6]


def test_a_trade_within_the_grace_is_merged_and_one_after_it_is_counted_and_marked() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 6))
    building.take_trade(trade(3, M2 + 1, 8))
    building.take_trade(trade(2, M2 - 1, 7))
    (closed,) = building.close_until(M2 + GRACE_MS)[-1:]
    assert (closed.open_ms, closed.close, closed.trade_count) == (M1, 7, 2)
    building.needs_repair.clear()
    building.take_trade(trade(4, M2 - 1, 7))
    assert (building.late, building.needs_repair) == (1, {M1})


def test_the_venues_word_on_a_closed_minute_corrects_it() -> None:
    building = builder()
    first, late = trade(1, M1, 6), trade(2, M2 - 1, 7)
    building.take_trade(first)
    building.close_until(M2 + GRACE_MS)
    building.take_trade(late)
    building.changed()
    word = kline([first, late], is_closed=True)
    building.take_kline(kline([first, late]))
    assert building.changed() == []
    building.take_kline(word)
    assert building.needs_repair == {T0}
    assert building.changed() == [word.candle]
    assert building.close_until(M2 + GRACE_MS) == [word.candle]
    assert building.close_until(M2 + GRACE_MS) == []


def test_what_was_lost_is_marked_and_the_minutes_after_it_are_whole_again() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 6))
    building.close_until(M1 + GRACE_MS)
    building.needs_repair.clear()
    building.lost(M1 + 5)
    assert building.close_until(M3 + GRACE_MS) == []
    assert building.needs_repair == {M1, M2}
    assert building.running is None
    building.take_trade(trade(9, M3 + 2000, 8))
    closed = building.close_until(M3 + 2 * MINUTE_MS + GRACE_MS)
    assert building.needs_repair == {M1, M2, M3}
    assert [(each.open_ms, each.close) for each in closed] == [(M3 + MINUTE_MS, 8)]


def test_a_loss_that_is_noticed_late_marks_minutes_that_are_closed_already() -> None:
    building = builder()
    building.take_trade(trade(1, M2, 6))
    building.close_until(M3 + GRACE_MS)
    building.needs_repair.clear()
    building.lost(M1 + 5)
    assert building.needs_repair == {M1, M2}


def test_a_kline_after_a_loss_makes_up_for_it() -> None:
    made = [trade(number, M1 + number) for number in range(1, 6)]
    building = builder()
    building.take_trade(made[0])
    building.lost(M1 + 1)
    building.take_trade(made[4])
    building.take_kline(kline(made[:4]))
    building.close_until(M1 + GRACE_MS)
    building.needs_repair.clear()
    assert building.close_until(M2 + GRACE_MS) == naive_candles(made, "1m")


def test_a_leap_of_the_clock_is_no_silence_of_the_market() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 6))
    assert building.close_until(M1 + (MOST_EMPTY + 2) * MINUTE_MS + GRACE_MS) == []
    assert building.needs_repair == {T0, M1}


def test_changed_tells_each_change_once_the_earliest_first() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 4))
    assert opens(building.changed()) == [M1]
    assert building.changed() == []
    building.take_trade(trade(2, M2 - 1, 5))
    building.take_trade(trade(3, M2, 6))
    assert [(each.open_ms, each.close, each.is_closed) for each in building.changed()] == [
        (M1, 5, False),
        (M2, 6, False),
    ]
    building.close_until(M2 + MINUTE_MS + GRACE_MS)
    building.take_trade(trade(4, M2 + MINUTE_MS, 7))
    told = building.changed()
    assert [(each.open_ms, each.is_closed) for each in told] == [(M1, True), (M2, True), (M2 + MINUTE_MS, False)]
    assert told[-1] == building.running


def test_the_first_word_on_a_minute_comes_with_the_last_on_those_before() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 4))
    building.changed()
    building.take_trade(trade(2, M2, 6))
    assert [(each.open_ms, each.close, each.is_closed) for each in building.changed()] == [
        (M1, 4, False),
        (M2, 6, False),
    ]
    # Nothing is traded for more than a minute, and nobody has looked at the clock.
    building.take_trade(trade(3, M2 + 2 * MINUTE_MS + 1, 7))
    assert opens(building.changed()) == [M2, M2 + MINUTE_MS, M2 + 2 * MINUTE_MS]
    building.take_trade(trade(4, M2 + 2 * MINUTE_MS + 2, 8))
    assert opens(building.changed()) == [M2 + 2 * MINUTE_MS]
    # Closed ones are told once.
    building.close_until(M2 + 2 * MINUTE_MS + GRACE_MS)
    assert [(each.open_ms, each.is_closed) for each in building.changed()] == [
        (M1, True),
        (M2, True),
        (M2 + MINUTE_MS, True),
    ]
    building.close_until(M2 + 3 * MINUTE_MS)
    assert opens(building.changed()) == [M2 + 2 * MINUTE_MS, M2 + 3 * MINUTE_MS]


def test_what_was_traded_before_anything_came_is_neither_late_nor_to_be_repaired() -> None:
    """The history of a tape reaches further back than we do."""
    building = builder(M1)
    building.take_trade(trade(1, M2, 6))
    building.close_until(M2 + GRACE_MS)
    building.needs_repair.clear()
    building.take_trade(trade(2, T0, 5))
    assert (building.late, building.needs_repair) == (0, set())
    building.take_trade(trade(3, M1, 5))
    assert (building.late, building.needs_repair) == (1, {M1})


def test_a_new_minute_runs_with_the_last_price_before_anything_is_traded_in_it() -> None:
    building = builder()
    building.take_trade(trade(1, M1, 6))
    building.close_until(M2)
    assert building.running is not None
    assert (building.running.open_ms, building.running.close, building.running.is_empty) == (M2, 6, True)
    assert building.changed()[-1] == building.running


@pytest.mark.parametrize("shuffled", [False, True])
def test_recorded_trades_are_the_candles_of_the_plain_group_by(recordings: Path, shuffled: bool) -> None:
    made = list(recorded_trades(recordings / "trades_ETHUSDT_2023-02-02.csv.gz"))
    assert_built(made, shuffled=shuffled)


def test_recorded_frames_are_the_candles_of_the_plain_group_by(recordings: Path) -> None:
    """Without the one print of the insurance fund, which is no trade of the market."""
    made = list(framed_trades(recordings / "wsraw_btcusdt_20230405.txt.gz"))
    assert len(made) == 10_737
    assert_built(made, shuffled=False)


def assert_built(made: list[Trade], *, shuffled: bool) -> None:
    expected = naive_candles(made, "1m")
    building = builder(made[0].event_ms - MINUTE_MS)
    # Before the first minute's end they may come in any order.
    minute = [each for each in made if each.event_ms < expected[0].open_ms + MINUTE_MS]
    Random(1).shuffle(minute) if shuffled else None
    closed: list[Candle] = []
    for each in minute + made[len(minute) :]:
        closed += building.close_until(each.event_ms)
        building.take_trade(each)
    closed += building.close_until(expected[-1].open_ms + MINUTE_MS + GRACE_MS)
    assert closed == expected
    assert building.late == 0


def recorded_trades(path: Path) -> Iterator[Trade]:
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            side = Side(row["side"].upper())
            yield trade(int(row["id"]), int(row["timestamp"]), row["price"], row["amount"], taker_side=side)


def framed_trades(path: Path) -> Iterator[Trade]:
    with gzip.open(path, "rt") as file:
        frames = (json.loads(line.partition(" ")[2]) for line in file if "@trade" in line)
        for data in (frame["data"] for frame in frames):
            if data["X"] == "MARKET":
                side = Side.SELL if data["m"] else Side.BUY
                yield trade(data["t"], data["T"], data["p"], data["q"], taker_side=side)
