"""Building bars: once or many times, with what comes late, with what fails, and from Celery."""

from typing import Any

import pytest
from django.db import transaction

from liquidations import bars
from liquidations.bars import (
    bars_advance,
    bars_build,
    bars_rebuild,
    bars_status,
    marks_write,
    stale_days_build,
    stale_days_build_some,
    stale_symbols,
)
from liquidations.domain import DAY_MS, HOUR_MS, MINUTE_MS
from liquidations.models import BarProgress, LiquidationBar, StaleBarDay
from liquidations.services import orders_write
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import MYSQL, execute, insert_raw, stored_orders

REREAD_MS = HOUR_MS
NOW = T0 + 10 * DAY_MS


@pytest.fixture(autouse=True)
def clock(committed: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.BARS_REREAD_SECONDS = REREAD_MS // 1000
    monkeypatch.setattr(bars, "clock_ms", lambda: NOW)


def all_bars() -> list[tuple[Any, ...]]:
    return sorted(LiquidationBar.objects.values_list())


def stale_days() -> list[tuple[str, int]]:
    return sorted(StaleBarDay.objects.values_list("symbol", "day_ms"))


def test_a_bar_holds_the_sums_count_and_bounds_of_its_orders() -> None:
    insert_raw(
        [
            order(T0 + 1, average_price="2", quantity="3"),
            order(T0 + 59_999, average_price="0.5", quantity="4"),
            order(T0 + 2, side="buy", average_price="7", quantity="1"),
            order(T0 + 3, average_price=None),
        ]
    )
    bars_build(NOW)
    fields = ("side", "notional", "quantity", "count", "first_event_ms", "last_event_ms")
    for interval_ms in (MINUTE_MS, HOUR_MS, DAY_MS):
        found = LiquidationBar.objects.filter(interval_ms=interval_ms, open_ms=T0, symbol="BTCUSDT")
        assert sorted(found.values_list(*fields)) == [
            ("BUY", 7, 1, 1, T0 + 2, T0 + 2),
            ("SELL", 8, 7, 2, T0 + 1, T0 + 59_999),
        ]


def test_building_twice_is_building_once() -> None:
    insert_raw([order(T0 + hours * HOUR_MS, symbol) for hours in range(30) for symbol in ("BTCUSDT", "ETHUSDT")])
    assert bars_build(NOW) == 4
    before = all_bars()
    assert before
    assert bars_build(NOW) == 0
    assert all_bars() == before


def test_the_watermark_stays_a_reread_window_behind_at_a_whole_minute_and_never_goes_back() -> None:
    assert bars_advance(NOW + 59_999) == NOW - REREAD_MS
    assert bars_advance(NOW + 60_000) == NOW - REREAD_MS + 60_000
    assert bars_advance(NOW - DAY_MS) == NOW - REREAD_MS + 60_000
    assert BarProgress.objects.get().built_until_ms == NOW - REREAD_MS + 60_000


def test_no_bar_reaches_beyond_the_watermark() -> None:
    insert_raw([order(NOW - minutes * MINUTE_MS) for minutes in range(0, 26 * 60)])
    bars_build(NOW)
    assert all(open_ms + interval <= NOW - REREAD_MS for _, interval, open_ms, *_ in all_bars_keys())


def all_bars_keys() -> list[tuple[Any, ...]]:
    return list(LiquidationBar.objects.values_list("symbol", "interval_ms", "open_ms", "side"))


def test_small_steps_and_one_leap_make_the_same_bars() -> None:
    insert_raw([order(T0 + minutes * 37 * MINUTE_MS + minutes) for minutes in range(100)])
    bars_build(T0 + 4 * DAY_MS)
    leap = all_bars()
    LiquidationBar.objects.all().delete()
    BarProgress.objects.update(built_until_ms=T0 - DAY_MS)
    for now_ms in range(T0, T0 + 4 * DAY_MS + 1, 71 * MINUTE_MS):
        bars_build(now_ms)
    bars_build(T0 + 4 * DAY_MS)
    assert all_bars() == leap


def test_a_leap_completes_the_day_and_hour_in_which_the_watermark_stood() -> None:
    """Their bars could not be made before, and no order has come since that would mark the day."""
    insert_raw([order(T0 + HOUR_MS + 1)])
    assert bars_advance(T0 + HOUR_MS + 30 * MINUTE_MS + REREAD_MS) == T0 + HOUR_MS + 30 * MINUTE_MS
    bars_build(T0 + HOUR_MS + 30 * MINUTE_MS + REREAD_MS)
    bars_build(NOW)
    for timeframe_ms in (MINUTE_MS, HOUR_MS, DAY_MS):
        assert_law("BTCUSDT", timeframe_ms, T0, NOW, "start")
        assert LiquidationBar.objects.filter(interval_ms=timeframe_ms).count() == 1


@pytest.mark.parametrize("age_ms", [MINUTE_MS, REREAD_MS, REREAD_MS + MINUTE_MS, 3 * REREAD_MS])
def test_orders_of_any_age_are_answered_before_and_after_the_next_build(age_ms: int) -> None:
    insert_raw([order(T0)])
    bars_build(NOW)
    orders_write([order(NOW - age_ms)])
    for later_ms in (0, REREAD_MS, DAY_MS):
        assert_law("BTCUSDT", MINUTE_MS, T0, NOW, "start")
        assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")
        bars_build(NOW + later_ms)
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")


def test_late_orders_mark_their_days_and_the_next_build_holds_them() -> None:
    insert_raw([order(T0)])
    bars_build(NOW)
    orders_write([order(T0 + 5), order(T0 + DAY_MS, "NEWUSDT"), order(NOW)])
    assert stale_days() == [("BTCUSDT", T0), ("NEWUSDT", T0 + DAY_MS)]
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")
    assert bars_build(NOW) == 2
    assert stale_days() == []
    assert LiquidationBar.objects.get(symbol="BTCUSDT", interval_ms=DAY_MS).count == 2
    assert LiquidationBar.objects.get(symbol="NEWUSDT", interval_ms=DAY_MS).count == 1


def test_an_average_price_that_comes_later_marks_the_day() -> None:
    orders_write([order(T0, average_price=None)])
    bars_build(NOW)
    assert not LiquidationBar.objects.exists()
    assert orders_write([order(T0)]).completed == 1
    assert stale_days() == [("BTCUSDT", T0)]
    bars_build(NOW)
    assert LiquidationBar.objects.get(interval_ms=DAY_MS).count == 1


def test_orders_that_were_known_mark_nothing() -> None:
    orders_write([order(T0)])
    bars_build(NOW)
    assert orders_write([order(T0)]).duplicates == 1
    assert stale_days() == []


def test_rows_of_the_reread_window_need_no_mark() -> None:
    orders_write([order(T0)])
    bars_build(NOW)
    insert_raw([order(NOW - REREAD_MS + 1), order(NOW)])
    bars_build(NOW + 2 * REREAD_MS)
    assert_law("BTCUSDT", MINUTE_MS, T0, NOW + DAY_MS, "start")
    assert LiquidationBar.objects.filter(interval_ms=MINUTE_MS).count() == 3


def test_a_failing_build_removes_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    insert_raw([order(T0), order(T0 + DAY_MS)])
    bars_advance(NOW)
    real = bars.bars_insert

    def fails_on_the_hours(symbol: str, spellings: Any, interval_ms: int, *window: int) -> None:
        if interval_ms == HOUR_MS:
            raise RuntimeError("the machine was switched off")
        real(symbol, spellings, interval_ms, *window)

    monkeypatch.setattr(bars, "bars_insert", fails_on_the_hours)
    with pytest.raises(RuntimeError):
        stale_days_build("BTCUSDT")
    assert len(stale_days()) == 2
    assert all_bars() == []
    monkeypatch.setattr(bars, "bars_insert", real)
    assert stale_days_build("BTCUSDT") == 2
    assert stale_days() == []


def test_a_failing_advance_leaves_the_watermark(monkeypatch: pytest.MonkeyPatch) -> None:
    insert_raw([order(T0)])
    bars_build(T0 + HOUR_MS)
    before = bars_status().built_until_ms

    def fails(*_: Any) -> None:
        raise RuntimeError("the machine was switched off")

    monkeypatch.setattr(bars, "bars_insert", fails)
    with pytest.raises(RuntimeError):
        bars_build(T0 + 4 * HOUR_MS)
    assert bars_status().built_until_ms == before
    assert all_bars() == []


def test_days_are_built_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "DAYS_AT_ONCE", 3)
    insert_raw([order(T0 + day * DAY_MS) for day in range(8)])
    bars_advance(NOW)
    assert [stale_days_build_some("BTCUSDT") for _ in range(4)] == [3, 3, 2, 0]
    assert LiquidationBar.objects.filter(interval_ms=DAY_MS).count() == 8


def test_a_rebuild_marks_days_with_rows_and_days_with_bars_of_its_window_only() -> None:
    insert_raw([order(T0 + day * DAY_MS, symbol) for day in range(4) for symbol in ("BTCUSDT", "ETHUSDT")])
    bars_build(NOW)
    execute("DELETE FROM binance_liqs WHERE symbol = 'BTCUSDT' AND order_trade_time = %s", [T0 + DAY_MS])
    assert bars_rebuild("btcusdt", T0 + DAY_MS + 5, T0 + 2 * DAY_MS + 5) == {"BTCUSDT": 2}
    assert stale_days() == [("BTCUSDT", T0 + DAY_MS), ("BTCUSDT", T0 + 2 * DAY_MS)]
    assert bars_build(NOW) == 2
    assert LiquidationBar.objects.filter(symbol="BTCUSDT", interval_ms=DAY_MS).count() == 3
    assert bars_rebuild() == {"BTCUSDT": 3, "ETHUSDT": 4}


def test_a_rebuild_replaces_wrong_bars_and_meanwhile_the_table_answers() -> None:
    insert_raw([order(T0 + day * DAY_MS) for day in range(3)])
    bars_build(NOW)
    before = all_bars()
    LiquidationBar.objects.update(notional=1)
    bars_rebuild()
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")
    for symbol in stale_symbols():
        stale_days_build(symbol)
    assert all_bars() == before


def test_more_marks_than_fit_into_one_statement_are_written() -> None:
    marks_write(("BTCUSDT", day * DAY_MS) for day in range(2 * bars.MARKS_AT_ONCE + 1))
    marks_write([("BTCUSDT", 0)])
    assert StaleBarDay.objects.count() == 2 * bars.MARKS_AT_ONCE + 1


def test_status_tells_watermark_lag_and_what_waits() -> None:
    status = bars_status()
    assert (status.built_until_ms, status.lag_ms, status.stale_days) == (None, None, 0)
    insert_raw([order(T0), order(T0 + DAY_MS), order(T0, "ETHUSDT")])
    bars_advance(NOW)
    status = bars_status()
    assert (status.built_until_ms, status.lag_ms) == (NOW - REREAD_MS, REREAD_MS)
    assert (status.stale_days, status.stale_symbols) == (3, 2)


def test_marks_are_written_and_removed_with_the_rows_they_concern() -> None:
    """A transaction that is rolled back leaves neither rows nor marks."""
    insert_raw([order(T0)])
    bars_build(NOW)
    with transaction.atomic():
        orders_write([order(T0 + 5)])
        assert stale_days() == [("BTCUSDT", T0)]
        transaction.set_rollback(True)
    assert stale_days() == []
    assert len(stored_orders()) == 1


@MYSQL
def test_a_sum_that_no_bar_holds_keeps_its_day_stale_and_no_other_symbols() -> None:
    orders_write([order(T0, "HUGE", average_price="9" * 20, quantity="9" * 20), order(T0)])
    bars_build(NOW)
    assert stale_days() == [("HUGE", T0)]
    assert LiquidationBar.objects.get(interval_ms=DAY_MS).symbol == "BTCUSDT"
    assert_law("HUGE", DAY_MS, T0, NOW, "start")


def test_whole_numbers_beyond_64_bits_add_up() -> None:
    """SQLite keeps 10000000000.0 as an integer, and its SUM of integers fails beyond 64 bits."""
    insert_raw([order(T0 + n, average_price=3 * 10**9, quantity=10**9) for n in range(5)])
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")
    bars_build(NOW)
    for timeframe_ms in (DAY_MS, 3 * DAY_MS):
        assert_law("BTCUSDT", timeframe_ms, T0, NOW, "start")
    insert_raw([order(T0 + 2 * DAY_MS + n, average_price=3 * 10**9, quantity=10**9) for n in range(5)])
    bars_rebuild()
    bars_build(NOW)
    assert_law("BTCUSDT", 3 * DAY_MS, T0, NOW, "start")
