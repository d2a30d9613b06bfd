"""Forced orders as the collector knows them."""

import time
from decimal import Decimal

from hypothesis import strategies as st

from marketdata.types import Liquidation, Side


def liquidation(number: int, symbol: str = "BTCUSDT", received_ms: int | None = None) -> Liquidation:
    """The order with this number: its quantity, and the millisecond at which it traded."""
    now_ms = time.time_ns() // 1_000_000
    return Liquidation(
        venue="binance",
        symbol=symbol,
        side=Side.SELL if number % 2 else Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        status="FILLED",
        original_quantity=Decimal(number + 1),
        price=Decimal("80000.5"),
        average_price=Decimal("80010.25"),
        last_filled_quantity=Decimal(number + 1),
        filled_quantity=Decimal(number + 1),
        event_ms=1_795_000_000_000 + number,
        sent_ms=1_795_000_000_900 + number,
        received_ms=now_ms if received_ms is None else received_ms,
    )


numbers = st.decimals(min_value=0, max_value=10**12, places=8)
liquidations = st.builds(
    Liquidation,
    venue=st.just("binance"),
    symbol=st.sampled_from(["BTCUSDT", "1000SHIBUSDT", "币安人生USDT"]),
    side=st.sampled_from(Side),
    order_type=st.just("LIMIT"),
    time_in_force=st.just("IOC"),
    status=st.just("FILLED"),
    original_quantity=numbers,
    price=numbers,
    average_price=st.none() | numbers,
    last_filled_quantity=numbers,
    filled_quantity=numbers,
    event_ms=st.integers(1, 2**42),
    sent_ms=st.integers(1, 2**42),
    received_ms=st.integers(1, 2**42),
)
