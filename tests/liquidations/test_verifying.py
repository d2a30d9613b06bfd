"""Changes that other programs make behind the re-read window are found, and repaired on request."""

from collections.abc import Callable
from typing import Any

import pytest

from liquidations import bars
from liquidations.bars import bars_build
from liquidations.domain import DAY_MS, HOUR_MS, MAX_TIMESTAMP_MS
from liquidations.models import LiquidationBar, StaleBarDay
from liquidations.services import orders_write
from liquidations.verifying import Difference, bars_verify
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import execute, insert_raw

NOW = T0 + 10 * DAY_MS


@pytest.fixture(autouse=True)
def built(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "clock_ms", lambda: NOW)
    insert_raw([order(T0 + day * DAY_MS + 7, symbol) for day in range(4) for symbol in ("BTCUSDT", "币安人生USDT")])
    bars_build(NOW)


def found(symbol: str | None = None, start_ms: int = 0, end_ms: int = MAX_TIMESTAMP_MS, *, repair: bool = False) -> Any:
    return list(bars_verify(symbol, start_ms, end_ms, repair=repair))


def test_bars_that_equal_the_table_are_not_reported() -> None:
    assert found() == []


CHANGES: dict[str, Callable[[], object]] = {
    "a row deleted": lambda: execute(
        "DELETE FROM binance_liqs WHERE symbol = 'BTCUSDT' AND order_trade_time = %s", [T0 + DAY_MS + 7]
    ),
    "a row inserted": lambda: insert_raw([order(T0 + DAY_MS + 8)]),
    "a row in lower case inserted": lambda: insert_raw([order(T0 + DAY_MS + 8, "btcusdt")]),
    "a price changed": lambda: execute(
        "UPDATE binance_liqs SET average_price = 1 WHERE symbol = 'BTCUSDT' AND order_trade_time = %s",
        [T0 + DAY_MS + 7],
    ),
    "a price removed": lambda: execute(
        "UPDATE binance_liqs SET average_price = NULL WHERE symbol = 'BTCUSDT' AND order_trade_time = %s",
        [T0 + DAY_MS + 7],
    ),
    "a side changed": lambda: execute(
        "UPDATE binance_liqs SET side = 'BUY' WHERE symbol = 'BTCUSDT' AND order_trade_time = %s", [T0 + DAY_MS + 7]
    ),
    "a row moved by 1 ms": lambda: execute(
        "UPDATE binance_liqs SET order_trade_time = order_trade_time + 1 WHERE symbol = 'BTCUSDT' "
        "AND order_trade_time = %s",
        [T0 + DAY_MS + 7],
    ),
    "a bar lost": lambda: LiquidationBar.objects.filter(
        symbol="BTCUSDT", interval_ms=HOUR_MS, open_ms=T0 + DAY_MS
    ).delete(),
    "a bar falsified": lambda: LiquidationBar.objects.filter(
        symbol="BTCUSDT", interval_ms=DAY_MS, open_ms=T0 + DAY_MS
    ).update(notional=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_behind_our_back_is_found_and_repaired(change: Callable[[], object]) -> None:
    change()
    expected = [Difference("BTCUSDT", T0 + DAY_MS)]
    assert found() == expected
    assert not StaleBarDay.objects.exists()
    assert found(repair=True) == expected
    assert_law("BTCUSDT", HOUR_MS, T0, NOW, "start")
    assert found() == [], "what is marked is no longer trusted"
    assert bars_build(NOW) == 1
    assert found() == []
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")


def test_symbols_without_a_row_left_are_found() -> None:
    execute("DELETE FROM binance_liqs WHERE symbol = %s", ["币安人生USDT"])
    assert found(repair=True) == [Difference("币安人生USDT", T0 + day * DAY_MS) for day in range(4)]
    bars_build(NOW)
    assert not LiquidationBar.objects.filter(symbol="币安人生USDT").exists()


def test_a_symbol_that_is_new_behind_our_back_is_found() -> None:
    insert_raw([order(T0, "NEWUSDT")])
    assert found() == [Difference("NEWUSDT", T0)]


def test_symbol_and_window_narrow_the_search_to_whole_days() -> None:
    LiquidationBar.objects.update(notional=1)
    assert found("btcusdt", T0 + DAY_MS + 5, T0 + 3 * DAY_MS) == [
        Difference("BTCUSDT", T0 + DAY_MS),
        Difference("BTCUSDT", T0 + 2 * DAY_MS),
    ]


def test_stale_days_and_what_is_newer_than_the_watermark_are_not_differences() -> None:
    orders_write([order(T0 + 8)])
    insert_raw([order(NOW)])
    assert found() == []


def test_a_difference_names_symbol_and_day() -> None:
    assert str(Difference("BTCUSDT", T0 + DAY_MS)) == "BTCUSDT 2024-01-02: bars differ from the table"
