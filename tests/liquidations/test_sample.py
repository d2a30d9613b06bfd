from decimal import Decimal
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st

from liquidations.models import LiquidationOrder
from liquidations.sample import INSTRUMENTS, delivery_symbol, sample_orders
from liquidations.sample_fill import sample_fill
from tests.factories import DAY, HOUR, T0


def test_equal_seeds_give_equal_orders_and_others_do_not() -> None:
    assert list(sample_orders(T0, T0 + HOUR, 7)) == list(sample_orders(T0, T0 + HOUR, 7))
    assert list(sample_orders(T0, T0 + HOUR, 7)) != list(sample_orders(T0, T0 + HOUR, 8))


@given(st.lists(st.integers(T0, T0 + 3 * HOUR), min_size=1, max_size=4))
def test_topping_up_gives_the_same_orders_as_one_run(stops: list[int]) -> None:
    edges = sorted([T0, *stops, T0 + 3 * HOUR])
    parts = [order for start, end in pairwise(edges) for order in sample_orders(start, end)]
    assert parts == list(sample_orders(T0, T0 + 3 * HOUR))


def test_the_window_is_half_open_and_sorted() -> None:
    times = [order.order_trade_time for order in sample_orders(T0 + 5, T0 + 2 * HOUR)]
    assert times == sorted(times)
    moment = times[10]
    assert [order.order_trade_time for order in sample_orders(moment, moment + 1)] == [moment]
    assert list(sample_orders(moment, moment)) == []


def test_orders_look_like_the_venue_s() -> None:
    steps = {instrument.symbol: instrument for instrument in INSTRUMENTS}
    for order in sample_orders(T0, T0 + DAY):
        assert order.price is not None
        assert order.average_price is not None
        assert order.original_quantity is not None
        assert order.order_last_filled_quantity is not None
        assert order.price >= order.average_price if order.side == "BUY" else order.price <= order.average_price
        assert 0 < order.order_last_filled_quantity <= order.original_quantity
        assert order.order_filled_accumulated_quantity == order.original_quantity
        instrument = steps[order.symbol.partition("_")[0]]
        assert order.original_quantity % instrument.lot_size == 0
        assert order.price % Decimal(instrument.tick_size) == 0


def test_hours_have_the_venue_s_order_of_magnitude_and_at_most_one_order_per_symbol_and_second() -> None:
    for hour_ms in range(T0, T0 + DAY, HOUR):
        orders = list(sample_orders(hour_ms, hour_ms + HOUR))
        assert 100 <= len(orders) <= 400
        assert len({(order.symbol, order.order_trade_time // 1000) for order in orders}) == len(orders)


def test_symbols_include_a_dated_future_and_one_that_is_not_ascii() -> None:
    symbols = {order.symbol for order in sample_orders(T0, T0 + DAY)}
    assert len(symbols) == len(INSTRUMENTS) == 20
    assert {"BTCUSDT", "币安人生USDT", "BTCUSDT_240329"} <= symbols
    assert {order.symbol for order in sample_orders(T0, T0 + DAY, symbols=2)} == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize(
    ("moment_ms", "symbol"),
    [
        (1_704_067_200_000, "BTCUSDT_240329"),  # 2024-01-01
        (1_711_699_200_000, "BTCUSDT_240329"),  # 2024-03-29 08:00, its last moment
        (1_711_699_200_001, "BTCUSDT_240628"),
        (1_735_171_200_000, "BTCUSDT_241227"),  # 2024-12-26
        (1_735_430_400_000, "BTCUSDT_250328"),  # 2024-12-29, delivered
    ],
)
def test_the_dated_future_is_named_after_its_next_delivery(moment_ms: int, symbol: str) -> None:
    assert delivery_symbol("BTCUSDT", moment_ms) == symbol


@pytest.mark.django_db
def test_filling_twice_gives_the_same_rows_as_filling_once() -> None:
    now_ms = T0 + DAY + 12_345
    first = sample_fill(now_ms - 2 * HOUR, days=1)
    second = sample_fill(now_ms, days=1)
    assert second.duplicates < 400
    expected = list(sample_orders(T0 - 2 * HOUR, now_ms))
    assert first.inserted + second.inserted == LiquidationOrder.objects.count() == len(expected)
    assert sample_fill(now_ms, days=1).inserted == 0


@pytest.mark.django_db
def test_made_up_orders_are_refused_outside_a_sample_database(settings) -> None:
    settings.LIQUI_FEED = "none"
    with pytest.raises(CommandError, match="FEED is 'none'"):
        call_command("liquidations_sample")
    assert LiquidationOrder.objects.count() == 0


@pytest.mark.django_db
def test_the_command_fills_a_sample_database(settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.LIQUI_FEED = "sample"
    call_command("liquidations_sample", "--days", "1", "--symbols", "3")
    assert "orders written to" in capsys.readouterr().out
    assert LiquidationOrder.objects.count() > 2000
    for arguments in (["--symbols", "0"], ["--symbols", "21"], ["--days", "0"]):
        with pytest.raises(CommandError, match="must be"):
            call_command("liquidations_sample", *arguments)
