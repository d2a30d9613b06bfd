"""The law of liquidation bars, stated twice and independently of the code that it judges.

The answer equals the plain ``SUM … GROUP BY`` over the table: to the last digit on MySQL and MariaDB, to 1e-9 on
SQLite, whose arithmetic is floating.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.db import connection

from liquidations.queries import liquidation_buckets
from liquidations.types import Anchor
from tests.liquidations.outside import execute, stored_orders

RELATIVE = Fraction(1, 10**9)
Sums = dict[tuple[int, str], Fraction]


def assert_law(symbol: str, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor) -> None:
    """The service's answer, the raw rows added up here, and the database's own sums are the same."""
    question = (symbol, timeframe_ms, start_ms, end_ms, anchor)
    answer = liquidation_buckets(*question)
    keys = [(opened, side) for opened, side, _ in answer]
    assert keys == sorted(set(keys)), f"{question}: not in order, or a bucket twice: {keys}"
    sums = {(opened, side): Fraction(notional) for opened, side, notional in answer}
    assert_equal(sums, sums_of_rows(*question), f"{question}, rows added up one by one")
    assert_equal(sums, sums_in_sql(*question), f"{question}, the plain query")


def assert_equal(answered: Sums, expected: Sums, question: str) -> None:
    assert answered.keys() == expected.keys(), f"{question}: {answered.keys() ^ expected.keys()} in one of the two only"
    tolerance = RELATIVE if connection.vendor == "sqlite" else 0
    for key, value in expected.items():
        difference = abs(answered[key] - value)
        assert difference <= tolerance * abs(value), f"{question}, {key}: {float(answered[key])!r} ≠ {float(value)!r}"


def sums_of_rows(symbol: str, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor) -> Sums:
    origin_ms = start_ms if anchor == "start" else 0
    sums: Sums = {}
    for row in stored_orders():
        counted = None not in (row.side, row.average_price, row.order_filled_accumulated_quantity)
        if counted and matches(row.symbol, symbol) and start_ms <= row.order_trade_time <= end_ms:
            opened = origin_ms + (row.order_trade_time - origin_ms) // timeframe_ms * timeframe_ms
            notional = Fraction(row.average_price) * Fraction(row.order_filled_accumulated_quantity)
            sums[opened, row.side.lower()] = sums.get((opened, row.side.lower()), Fraction(0)) + notional
    return sums


def matches(stored: str | None, wanted: str) -> bool:
    return stored is not None and stored.upper() == wanted.upper()


def sums_in_sql(symbol: str, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor) -> Sums:
    origin_ms = start_ms if anchor == "start" else 0
    number = f"(order_trade_time - {origin_ms}) {'/' if connection.vendor == 'sqlite' else 'DIV'} {timeframe_ms}"
    # SQLite keeps whole numbers as integers, and its SUM of those fails beyond 64 bits.
    notional = f"average_price * order_filled_accumulated_quantity{' * 1.0' if connection.vendor == 'sqlite' else ''}"
    rows = execute(
        f"SELECT {number}, LOWER(side), SUM({notional}) "
        f"FROM {settings.DB_LIQ_TABLENAME} WHERE UPPER(symbol) = UPPER(%s) AND order_trade_time BETWEEN %s AND %s "
        f"AND side IS NOT NULL AND {notional} IS NOT NULL GROUP BY 1, 2",
        [symbol, start_ms, end_ms],
    )
    return {(origin_ms + bucket * timeframe_ms, side): exact(notional) for bucket, side, notional in rows}


def exact(value: Any) -> Fraction:
    assert isinstance(value, Decimal | float | int)
    return Fraction(value)
