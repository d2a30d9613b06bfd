"""Large liquidations as marks on UDF charts (`marketdata.udf.marks`)."""

from decimal import Decimal
from heapq import nlargest
from typing import Any

from django.conf import settings

from database.reading import Row
from liquidations.browsing import OrdersFilter, orders_browse
from liquidations.rendering import decimal_text
from liquidations.types import ForcedOrder
from marketdata.formatting import format_clock, format_notional
from marketdata.types import Instrument
from marketdata.udf.marks import Mark

NEWEST = 5000  # large orders among which the largest are looked for


def liquidation_marks(instrument: Instrument, start_ms: int, end_ms: int, limit: int) -> list[Mark]:
    """The ``limit`` largest orders in [start_ms, end_ms] from `UDF_MARKS_MIN_USD` on.

    Of a range that holds very many, the newest that can be found in half a second. Raises `QueryTimeout`.
    """
    least = Decimal(max(settings.UDF_MARKS_MIN_USD, 1))
    asked = OrdersFilter(instrument.symbol, min_notional=least, start_ms=start_ms, end_ms=end_ms)
    marks = (mark(instrument, row) for row in orders_browse(asked, NEWEST).rows if ForcedOrder(*row).side)
    return nlargest(limit, marks, key=lambda mark: mark.weight)


def mark(instrument: Instrument, row: Row) -> Mark:
    order = ForcedOrder(*row)
    side, price = order.side.upper(), exact(order.average_price)
    notional = price * exact(order.order_filled_accumulated_quantity)
    what, color = ("Long", "red") if side == "SELL" else ("Short", "green")
    worth = f"{format_notional(notional)} {instrument.quote_asset}".rstrip()
    return Mark(
        id=f"{order.order_trade_time}-{side}-{order.original_quantity}-{order.price}",
        time_ms=order.order_trade_time,
        weight=notional,
        color=color,
        label=what,
        text=f"{what} liquidated: {worth} at {decimal_text(price)}, {format_clock(order.order_trade_time)} UTC",
    )


def exact(number: Any) -> Decimal:
    """SQLite's decimals are floats."""
    return number if isinstance(number, Decimal) else Decimal(repr(number))
