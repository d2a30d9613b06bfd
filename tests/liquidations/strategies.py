"""Hypothesis' ideas of forced orders: few symbols, few instants, and everything that a column may hold."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from liquidations.domain import BAR_INTERVALS_MS, DAY_MS, HOUR_MS, MINUTE_MS
from liquidations.types import ForcedOrder
from tests.factories import T0

SYMBOLS = ("BTCUSDT", "币安人生USDT", "BTCUSDT_240329")
TIMEFRAMES_MS = tuple(
    [count * MINUTE_MS for count in (1, 5, 15, 45)]
    + [count * HOUR_MS for count in (1, 4, 7)]
    + [count * DAY_MS for count in (1, 3, 7)]
)
DAYS = 12  # of T0 and after it, in which everything happens


def decimals(places: int) -> st.SearchStrategy[Decimal]:
    """From the smallest step that a column holds to sums beyond a double's digits."""
    return st.integers(0, 10**18).map(lambda units: Decimal(units).scaleb(-places))


def instants(first_ms: int = T0, last_ms: int = T0 + DAYS * DAY_MS) -> st.SearchStrategy[int]:
    """Any ms of the range, and more often those beside the borders of minutes, hours and days."""

    def at_border(interval_ms: int) -> st.SearchStrategy[int]:
        borders = st.integers(first_ms // interval_ms, last_ms // interval_ms).map(lambda number: number * interval_ms)
        beside = st.tuples(borders, st.sampled_from([-1, 0, 0, 1])).map(sum)
        return beside.map(lambda at: min(max(at, first_ms), last_ms))

    return st.one_of(*map(at_border, BAR_INTERVALS_MS), st.integers(first_ms, last_ms))


def orders(
    symbols: tuple[Any, ...] = SYMBOLS,
    sides: tuple[Any, ...] = ("BUY", "SELL"),
    times: st.SearchStrategy[int] | None = None,
) -> st.SearchStrategy[ForcedOrder]:
    return st.builds(
        ForcedOrder,
        symbol=st.sampled_from(symbols),
        side=st.sampled_from(sides),
        order_type=st.just("LIMIT"),
        time_in_force=st.just("IOC"),
        original_quantity=st.none() | decimals(10),
        price=st.none() | decimals(10),
        average_price=st.none() | decimals(10),
        order_status=st.sampled_from(["FILLED", None]),
        order_last_filled_quantity=st.none() | decimals(10),
        order_filled_accumulated_quantity=st.sampled_from([False, False, False, True]).flatmap(
            lambda missing: st.none() if missing else decimals(10)
        ),
        order_trade_time=instants() if times is None else times,
    )


def as_others_write(times: st.SearchStrategy[int], *, nullable: bool) -> st.SearchStrategy[ForcedOrder]:
    """Rows that our writers would not make: other spellings, and where the table takes them no symbol and no side."""
    missing = (None,) if nullable else ()
    return orders((*SYMBOLS, "btcusdt", "BtcUsdt", *missing), ("BUY", "SELL", "buy", "Sell", "sELL", *missing), times)


def windows() -> st.SearchStrategy[tuple[int, int]]:
    """(first, last) ms of a request: empty, within a minute, over everything; aligned or not."""
    beyond = instants(T0 - 2 * DAY_MS, T0 + (DAYS + 2) * DAY_MS)
    return st.tuples(beyond, beyond).map(lambda ends: (min(ends), max(ends)))
