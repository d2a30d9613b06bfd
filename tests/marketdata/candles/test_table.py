"""The table of candles: what is stored is what is read, who replaces whom, and what is missing."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from marketdata.candles import services
from marketdata.candles.gaps import candle_count, first_open_ms, gaps_find, gaps_joined, windows_of
from marketdata.candles.models import CandleRow, CandleToRepair, StaleCandles
from marketdata.candles.queries import candle_gaps, candles_last, candles_read, candles_stored, symbols_followed
from marketdata.candles.services import candle_upsert, candles_mark, candles_unmark
from marketdata.clock import clock_ms
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, candle_open_ms, candle_shifted_ms
from marketdata.types import Candle, CandleSource
from tests.marketdata.candles.making import SYMBOL, T0, VENUE, candle

pytestmark = pytest.mark.django_db

AGES = 2**40


def stored(timeframe: str = "1m", symbol: str = SYMBOL) -> list[Candle]:
    return candles_read(VENUE, symbol, timeframe, 0, AGES * 2)


def changed(made: Candle, **values: Any) -> Candle:
    return msgspec.structs.replace(made, **values)


def minutes(count: int, start_ms: int = T0, **changes: Any) -> list[Candle]:
    return [candle(start_ms + number * MINUTE_MS, 100 + number, **changes) for number in range(count)]


def test_what_is_read_is_what_was_stored() -> None:
    made = [
        changed(candle(T0), open=Decimal("0.0000001"), low=Decimal("0.00000009"), high=Decimal("1234567.1")),
        candle(T0 + MINUTE_MS, "95000.1", volume=Decimal("987654321098765"), source=CandleSource.TRADES),
        candle(T0 + 2 * MINUTE_MS, quote_volume=None, taker_buy_volume=None, trade_count=None, is_empty=True),
        candle(T0 + 3 * MINUTE_MS, is_closed=False, source=CandleSource.IMPORT, taker_buy_quote_volume=None),
    ]
    assert candle_upsert(made) == 4
    assert stored() == made


def test_digits_beyond_a_float_are_kept_on_a_server() -> None:
    made = candle(T0, volume=Decimal("12345678901234567890.123456789012345"))
    candle_upsert([made])
    (found,) = stored()
    assert found.volume == (made.volume if connection.vendor == "mysql" else Decimal(str(float(made.volume))))


def test_timeframes_differ_by_case_and_symbols_by_script() -> None:
    candle_upsert([candle(T0), candle(T0, 7, timeframe="1M"), candle(T0, 8, symbol="币安人生USDT")])
    assert [len(stored("1m")), len(stored("1M")), len(stored(symbol="币安人生USDT"))] == [1, 1, 1]
    assert stored("1M")[0].close == 7


@pytest.mark.parametrize("count", [1, 2, 2500])
def test_storing_twice_changes_nothing(count: int) -> None:
    assert candle_upsert([]) == 0
    assert candle_upsert(minutes(count)) == count
    StaleCandles.objects.all().delete()
    before = list(CandleRow.objects.values_list())
    assert candle_upsert(minutes(count)) == 0
    assert list(CandleRow.objects.values_list()) == before
    assert not StaleCandles.objects.exists(), "nothing is to be rolled up anew"


def test_it_is_told_how_many_are_new_or_changed() -> None:
    candle_upsert(minutes(5))
    again = [*minutes(5)[1:], *minutes(1, T0 + HOUR_MS)]
    again[0] = changed(again[0], volume=Decimal(9))
    assert candle_upsert(again) == 2
    assert candle_upsert([changed(again[0], trade_count=4)]) == 1
    assert (stored()[1].volume, stored()[1].trade_count) == (9, 4)


BARE = dict.fromkeys(("quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count"))


def test_closed_goes_before_running_and_more_before_less_and_venue_and_import_before_trades() -> None:
    """Every pair of kinds, in both orders; a roll-up always replaces a roll-up."""
    kinds = list(product((False, True), CandleSource, ({}, BARE)))
    for number, (old, new) in enumerate(product(kinds, kinds)):
        first, second = of_kind(old, number, 1), of_kind(new, number, 2)
        candle_upsert([first])
        is_taken = rank(new) >= rank(old) or old[1] is new[1] is CandleSource.ROLLUP
        assert candle_upsert([second]) == is_taken
        (found,) = candles_read(VENUE, SYMBOL, "1m", first.open_ms, first.open_ms + 1)
        assert found == (second if is_taken else first), f"{new} after {old}"


def of_kind(kind: tuple[bool, CandleSource, dict[str, None]], number: int, price: int) -> Candle:
    is_closed, source, figures = kind
    return candle(T0 + number * MINUTE_MS, price, is_closed=is_closed, source=source, **figures)


def rank(kind: tuple[bool, CandleSource, dict[str, None]]) -> tuple[bool, bool, bool]:
    return kind[0], not kind[2], kind[1] in (CandleSource.VENUE, CandleSource.IMPORT)


def test_the_first_and_the_last_of_a_window_are_read_in_rising_order() -> None:
    candle_upsert(minutes(10)[::-1])
    candle_upsert([candle(T0, symbol="ETHUSDT"), candle(T0, timeframe="1h")])
    opens = [T0 + number * MINUTE_MS for number in range(10)]
    assert [each.open_ms for each in candles_read(VENUE, SYMBOL, "1m", opens[2], opens[6])] == opens[2:6]
    assert [each.open_ms for each in candles_read(VENUE, SYMBOL, "1m", 0, AGES * 2, 3)] == opens[:3]
    assert [each.open_ms for each in candles_last(VENUE, SYMBOL, "1m", 3)] == opens[-3:]
    assert [each.open_ms for each in candles_last(VENUE, SYMBOL, "1m", 3, opens[5])] == opens[2:5]
    assert [each.open_ms for each in candles_last(VENUE, SYMBOL, "1m", 9, opens[5], opens[3])] == opens[3:5]
    assert candles_stored(VENUE, SYMBOL, "1m", opens[2], opens[6]) == 4


def test_gaps_are_where_no_closed_candle_is() -> None:
    made = minutes(10)
    made[8] = changed(made[8], is_closed=False)
    candle_upsert([*made[2:4], *made[6:9]])
    found = candle_gaps(VENUE, SYMBOL, "1m", T0, T0 + 9 * MINUTE_MS)
    assert [((gap.start - T0) // MINUTE_MS, (gap.stop - T0) // MINUTE_MS) for gap in found] == [(0, 2), (4, 6), (8, 9)]
    assert candle_gaps(VENUE, SYMBOL, "1m", T0 + 2 * MINUTE_MS, T0 + 4 * MINUTE_MS) == []


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@given(
    present=st.sets(st.integers(0, 30)),
    bounds=st.tuples(st.integers(-3, 33), st.integers(-3, 33)),
    offset=st.integers(0, 2),
)
def test_gaps_and_candles_make_up_the_window(
    timeframe: str, present: set[int], bounds: tuple[int, int], offset: int
) -> None:
    first_ms = candle_open_ms(timeframe, T0)
    opens = [candle_shifted_ms(timeframe, first_ms, number) for number in range(-5, 40)]
    start_ms, end_ms = (candle_shifted_ms(timeframe, first_ms, bound) - offset for bound in sorted(bounds))
    wanted = [open_ms for open_ms in opens if start_ms <= open_ms < end_ms]
    there = [opens[number + 5] for number in sorted(present) if opens[number + 5] in wanted]
    gaps = gaps_find(timeframe, start_ms, end_ms, there)
    missing = [open_ms for open_ms in wanted if any(open_ms in gap for gap in gaps)]
    assert missing == [open_ms for open_ms in wanted if open_ms not in there]
    assert sum(candle_count(timeframe, gap.start, gap.stop) for gap in gaps) == len(missing)
    assert candle_count(timeframe, start_ms, end_ms) == len(wanted)
    parts = list(windows_of(timeframe, start_ms, end_ms, 7))
    assert [open_ms for part in parts for open_ms in wanted if open_ms in part] == wanted
    assert all(candle_count(timeframe, part.start, part.stop) <= 7 for part in parts)
    for gap in gaps_joined(timeframe, gaps, 5):
        assert sum(each.start in gap for each in gaps) == 1 or candle_count(timeframe, gap.start, gap.stop) <= 5


def test_the_first_candle_from_a_time_on() -> None:
    assert first_open_ms("1h", T0) == T0
    assert first_open_ms("1h", T0 + 1) == T0 + HOUR_MS
    assert first_open_ms("1M", T0 + 1) == T0 + 31 * DAY_MS


def test_a_change_marks_the_stretch_of_what_is_rolled_up() -> None:
    candle_upsert([candle(T0 + 3 * HOUR_MS + 5 * MINUTE_MS), candle(T0 + 3 * HOUR_MS, timeframe="5m")])
    candle_upsert([candle(T0 + 3 * HOUR_MS, timeframe="1h"), candle(T0 + DAY_MS, timeframe="1d")])
    assert sorted(StaleCandles.objects.values_list("timeframe", "open_ms")) == [
        ("1d", T0 + DAY_MS),
        ("1h", T0),
        ("1m", T0 + 3 * HOUR_MS),
    ]


def test_minutes_are_marked_for_repair_once_and_unmarked() -> None:
    opens = [T0 + number * MINUTE_MS for number in range(3)]
    candles_mark(VENUE, SYMBOL, opens)
    candles_mark(VENUE, SYMBOL, opens)
    candles_mark(VENUE, SYMBOL, [])
    candles_unmark(VENUE, SYMBOL, opens[1], opens[2])
    assert list(CandleToRepair.objects.order_by("open_ms").values_list("open_ms", flat=True)) == [opens[0], opens[2]]


def test_symbols_followed_lately_are_those_with_candles_near_the_newest_of_all() -> None:
    candle_upsert(minutes(3) + minutes(2, T0 - 2 * DAY_MS))
    candle_upsert([candle(T0 - 2 * HOUR_MS, symbol="ETHUSDT"), candle(T0 - 2 * DAY_MS, symbol="OLDUSDT")])
    assert symbols_followed(DAY_MS) == {
        (VENUE, SYMBOL): range(T0, T0 + 3 * MINUTE_MS),
        (VENUE, "ETHUSDT"): range(T0 - 2 * HOUR_MS, T0 - 2 * HOUR_MS + MINUTE_MS),
    }


@pytest.mark.parametrize("feed", ["none", "live", "simulated"])
def test_candles_of_the_future_lead_nobody_but_in_a_market_with_a_time_of_its_own(settings: Any, feed: str) -> None:
    settings.LIQUI_FEED = feed
    future_ms = clock_ms() // MINUTE_MS * MINUTE_MS + 400 * DAY_MS
    candle_upsert([*minutes(3), candle(future_ms), candle(future_ms, symbol="ETHUSDT")])
    assert symbols_followed(DAY_MS) == (
        {(VENUE, SYMBOL): range(T0, T0 + 3 * MINUTE_MS)}
        if feed != "simulated"
        else {(VENUE, symbol): range(future_ms, future_ms + MINUTE_MS) for symbol in (SYMBOL, "ETHUSDT")}
    )


def test_no_candles_are_no_symbols() -> None:
    assert symbols_followed(DAY_MS) == {}
    assert candles_last(VENUE, SYMBOL, "1m", 5) == []


def test_batches_are_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(services, "batch_upsert", lambda batch: (sizes.append(len(batch)), len(batch))[1])
    assert candle_upsert(minutes(2001)) == 2001
    assert sizes == [1000, 1000, 1]


def test_reading_uses_the_key_and_sorts_nothing() -> None:
    candle_upsert(minutes(200))
    if connection.vendor == "sqlite":
        plan = explained("EXPLAIN QUERY PLAN ")
        assert "USING INDEX" in plan
        assert "TEMP B-TREE" not in plan
    else:
        plan = explained("EXPLAIN ")
        assert "PRIMARY" in plan
        assert "filesort" not in plan


def explained(how: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{how} SELECT * FROM candles WHERE venue = %s AND symbol = %s AND timeframe = %s AND open_ms >= %s "
            "AND open_ms < %s ORDER BY open_ms DESC LIMIT 5",
            [VENUE, SYMBOL, "1m", T0, T0 + DAY_MS],
        )
        rows: Sequence[Any] = cursor.fetchall()
    return str(rows)
