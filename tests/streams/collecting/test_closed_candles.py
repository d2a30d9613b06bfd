"""Closed candles on their way to the database: none is lost while it is away, up to a bound."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import pytest
from django.db import DataError, OperationalError
from msgspec.structs import replace

from marketdata.candles.models import CandleRow, CandleToRepair
from marketdata.candles.services import candle_upsert, candles_mark
from marketdata.types import Candle
from streams.collecting import closed_candles
from streams.collecting.closed_candles import ClosedCandles


def candle(number: int, close: int = 1) -> Candle:
    price = Decimal(close)
    return Candle(
        venue="binance",
        symbol="BTCUSDT",
        timeframe="1m",
        open_ms=number * 60_000,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(1),
    )


class Table:
    """A database that may be away, or refuse something."""

    def __init__(self) -> None:
        self.rows: dict[int, Candle] = {}
        self.error: Exception | None = None
        self.refused: set[int] = set()
        self.while_writing: Callable[[], None] = lambda: None

    def upsert(self, candles: Sequence[Candle]) -> int:
        self.while_writing()
        if self.error:
            raise self.error
        if any(each.open_ms in self.refused for each in candles):
            raise DataError(1264, "Out of range value")
        self.rows |= {each.open_ms: each for each in candles}
        return len(candles)

    def mark(self, venue: str, symbol: str, minutes: Iterable[int]) -> None:
        if self.error:
            raise self.error


def test_what_cannot_be_written_waits_and_what_came_last_of_a_minute_counts() -> None:
    table = Table()
    closed = ClosedCandles(table.upsert, table.mark)
    table.error = OperationalError(2003, "Can't connect")
    closed.put([candle(1), candle(2)])
    with pytest.raises(OperationalError):
        closed.write()
    closed.put([candle(1, close=5)])
    table.error = None
    closed.write()
    assert {row.open_ms // 60_000: row.close for row in table.rows.values()} == {1: 5, 2: 1}
    assert (closed.written, closed.waiting) == (2, {})


def test_a_candle_that_comes_while_it_is_being_written_is_written_again() -> None:
    table = Table()
    closed = ClosedCandles(table.upsert, table.mark)
    closed.put([candle(1)])
    table.while_writing = lambda: closed.put([candle(1, close=5)])
    closed.write()
    table.while_writing = lambda: None
    closed.write()
    assert table.rows[60_000].close == 5
    assert closed.waiting == {}


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_candles, "WAITING_AT_MOST", 3)
    closed = ClosedCandles(Table().upsert, Table().mark)
    closed.put([candle(number) for number in range(5)])
    assert [each.open_ms // 60_000 for each in closed.waiting.values()] == [2, 3, 4]
    assert closed.dropped == 2


def test_a_candle_that_the_table_refuses_keeps_no_other_waiting() -> None:
    table = Table()
    closed = ClosedCandles(table.upsert, table.mark)
    table.error = DataError(1264, "Out of range value")
    closed.put([candle(1)])
    closed.write()
    table.error = None
    closed.put([candle(2)])
    closed.write()
    assert list(table.rows) == [120_000]
    assert closed.written == 1


def test_of_a_batch_that_the_table_refuses_only_what_it_cannot_hold_is_left_out() -> None:
    table = Table()
    table.refused = {120_000}
    closed = ClosedCandles(table.upsert, table.mark)
    closed.put([candle(number) for number in range(1, 4)])
    closed.write()
    assert list(table.rows) == [60_000, 180_000]
    assert (closed.written, closed.waiting) == (2, {})


@pytest.mark.django_db
def test_candles_and_minutes_to_repair_are_in_the_database() -> None:
    closed = ClosedCandles(candle_upsert, candles_mark)
    closed.put([candle(1), replace(candle(2), close=Decimal("0.00000001"))])
    closed.have_repaired("ETHUSDT", {60_000, 120_000})
    closed.write()
    closed.write()
    assert list(CandleRow.objects.order_by("open_ms").values_list("symbol", "open_ms")) == [
        ("BTCUSDT", 60_000),
        ("BTCUSDT", 120_000),
    ]
    assert CandleToRepair.objects.filter(symbol="ETHUSDT").count() == 2
    assert (dict(closed.to_repair), closed.written) == ({}, 2)
