"""Fills the sample database up to now."""

from itertools import islice

from django.db.models import Max

from liquidations.domain import DAY_MS, HOUR_MS, floor_ms
from liquidations.models import LiquidationOrder
from liquidations.sample import INSTRUMENTS, sample_orders
from liquidations.services import orders_write
from liquidations.types import WriteResult

BATCH_ROWS = 4000


def sample_fill(now_ms: int, days: int = 7, seed: int = 7, symbols: int = len(INSTRUMENTS)) -> WriteResult:
    """Write the sample's orders of the last ``days`` before ``now_ms``, from the last hour on that is there already.

    Oldest first, so that an interrupted fill goes on where it ended. The caller makes sure of a sample database.
    """
    newest_ms = LiquidationOrder.objects.aggregate(newest_ms=Max("order_trade_time"))["newest_ms"] or 0
    start_ms = floor_ms(max(now_ms - days * DAY_MS, newest_ms), HOUR_MS)
    orders = sample_orders(start_ms, now_ms, seed, symbols)
    result = WriteResult()
    while batch := list(islice(orders, BATCH_ROWS)):
        result += orders_write(batch)
    return result
