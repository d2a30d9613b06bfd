"""Reads over the table of forced orders and its bars; nothing here writes."""

import itertools
from collections.abc import Iterable, Sequence
from decimal import Context, localcontext
from typing import Any

from django.conf import settings

from database.reading import Reader, Row, reading, reading_snapshot
from database.streaming import RowStream
from liquidations.domain import (
    DAY_MS,
    MAX_TIMESTAMP_MS,
    Grid,
    Segment,
    canonical_symbol,
    floor_ms,
    plan_window,
    usable_bars,
)
from liquidations.schema import COLUMNS, WINDOW_INDEX
from liquidations.table import TableProfile, stored_symbols, symbol_spellings, table_profile
from liquidations.types import Anchor, Bucket, OrdersPage
from liquidations.windows import (
    COUNTED,
    grouped,
    integer_division,
    notional_sum,
    summed,
    window_condition,
)

# Decimal's usual 28 digits would round sums of 65.
EXACT = Context(prec=150)
# More pieces than this cost more to plan and send than to read the rows.
MAX_SEGMENTS = 64
TRADE_TIME = COLUMNS.index("order_trade_time")
SELECTED = ", ".join(COLUMNS)
SIDES = ("", "BUY", "SELL", "buy", "sell")  # by their code in `coded_columns`
SIDE_CODES = len(SIDES)

Statement = tuple[str, list[Any]]  # SQL and its parameters


def liquidation_buckets(
    symbol: str, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor = "start"
) -> list[Bucket]:
    """Σ average_price × filled quantity per bucket and side over [start_ms, end_ms], both ends included.

    Buckets begin at ``start_ms`` + k × ``timeframe_ms`` (or at multiples of ``timeframe_ms`` since the epoch); those
    without orders are left out. Sorted by time, then side. Raises `QueryTimeout`.
    """
    grid = Grid(origin_ms=start_ms if anchor == "start" else 0, timeframe_ms=timeframe_ms)
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        bars, table = bucket_parts(reader, symbol, grid, start_ms, end_ms + 1)
    sums = {(number, side): notional for number, side, notional in bars}
    # By far the most come from bars, where a bucket is met twice only if it has bars of several intervals.
    again = bars if len(sums) < len(bars) else []
    if again:
        sums.clear()
    with localcontext(EXACT):
        for number, side, notional in itertools.chain(again, table):
            key = (number, side.lower())
            known = sums.get(key)
            sums[key] = notional if known is None else known + notional
    first_ms, step_ms = grid.origin_ms, grid.timeframe_ms
    return [(first_ms + number * step_ms, side, notional) for (number, side), notional in sorted(sums.items())]


def bucket_parts(reader: Reader, symbol: str, grid: Grid, start_ms: int, end_ms: int) -> tuple[list[Row], list[Row]]:
    """(bucket number, side, notional) rows that add up to the buckets of [start_ms, end_ms): bars', and the table's.

    Two statements, because a common one would round the decimals of both to a common scale.
    """
    profile = table_profile()
    spellings = symbol_spellings(reader, symbol)
    if not spellings:
        return [], []
    segments = window_segments(reader, profile, canonical_symbol(symbol), grid, start_ms, end_ms)
    bars = [bars_select(canonical_symbol(symbol), segment, grid) for segment in segments if segment.interval_ms]
    from_table = [segment for segment in segments if not segment.interval_ms]
    return (reader.rows(*union(bars)) if bars else []), table_rows(reader, profile, spellings, from_table, grid)


def table_rows(
    reader: Reader, profile: TableProfile, spellings: Sequence[str], segments: Sequence[Segment], grid: Grid
) -> list[Row]:
    """(bucket number, side, notional) rows of the table's segments."""
    if not segments:
        return []
    if profile.dialect != "sqlite":
        statements = [table_select(profile, spellings, segment, coded_columns(grid)) for segment in segments]
        rows = reader.rows(*union(statements))
        if all(key % SIDE_CODES for key, _, _ in rows):
            return [(key // SIDE_CODES, SIDES[key % SIDE_CODES], notional) for key, _, notional in rows]
    columns = f"{bucket_number('order_trade_time', grid)} AS bucket, side"
    return reader.rows(*union([table_select(profile, spellings, segment, columns) for segment in segments]))


def coded_columns(grid: Grid) -> str:
    """Bucket and side in one number, 0 for a side of another name: MySQL groups numbers a fifth faster than texts."""
    names = ", ".join(f"'{name}'" for name in SIDES[1:])
    number = f"{SIDE_CODES} * ({bucket_number('order_trade_time', grid)})"
    return f"{number} + FIELD(side, {names}) AS bucket, NULL AS side"


def window_segments(
    reader: Reader, profile: TableProfile, symbol: str, grid: Grid, start_ms: int, end_ms: int
) -> list[Segment]:
    whole = [Segment(None, start_ms, end_ms)]
    intervals = usable_bars(grid.timeframe_ms, grid.origin_ms)
    if not intervals or not profile.has_bars or not profile.fits_bars:
        return whole
    progress = reader.rows("SELECT built_until_ms FROM liquidation_bars_progress WHERE id = 1")
    if not progress or progress[0][0] <= start_ms:
        return whole
    stale = reader.rows(
        "SELECT day_ms FROM liquidation_bars_stale WHERE symbol = %s AND day_ms BETWEEN %s AND %s ORDER BY day_ms",
        [symbol, floor_ms(start_ms, DAY_MS), end_ms],
    )
    segments = plan_window(start_ms, end_ms, intervals, progress[0][0], [day_ms for (day_ms,) in stale])
    return segments if len(segments) <= MAX_SEGMENTS else whole


def bars_select(symbol: str, segment: Segment, grid: Grid) -> Statement:
    where = "FROM liquidation_bars WHERE symbol = %s AND interval_ms = %s AND open_ms >= %s AND open_ms < %s"
    parameters = [symbol, segment.interval_ms, segment.start_ms, segment.end_ms]
    select = f"SELECT {bucket_number('open_ms', grid)} AS bucket, LOWER(side) AS side"
    if segment.interval_ms == grid.timeframe_ms:
        return f"{select}, notional {where}", parameters
    return f"{select}, {summed('notional')} AS notional {where} {grouped()}", parameters


def table_select(profile: TableProfile, spellings: Sequence[str], segment: Segment, columns: str) -> Statement:
    """``columns``: SQL for the columns bucket and side, by which the rows are grouped."""
    source = profile.source("symbol", "order_trade_time", covering=WINDOW_INDEX)
    return (
        f"SELECT {columns}, {notional_sum()} AS notional FROM {source} "
        f"WHERE {window_condition(spellings)} AND {COUNTED} {grouped()}",
        [*spellings, segment.start_ms, segment.end_ms - 1],
    )


def bucket_number(time: str, grid: Grid) -> str:
    """SQL for k of the bucket that holds the instant in column ``time``."""
    return f"({time} - {grid.origin_ms:d}) {integer_division()} {grid.timeframe_ms:d}"


def union(statements: Sequence[Statement]) -> Statement:
    parameters = [value for _, values in statements for value in values]
    if len(statements) == 1:
        return statements[0]
    # Each part in a SELECT of its own, because SQLite takes no parentheses around the parts of a UNION.
    parts = " UNION ALL ".join(f"SELECT * FROM ({select}) AS part" for select, _ in statements)
    return f"SELECT bucket, side, notional FROM ({parts}) AS parts", parameters


def symbols_listed() -> list[str]:
    """Symbols of the table, sorted, without those that end in a digit (dated futures: BTCUSDT_240927)."""
    with reading(settings.QUERY_TIMEOUT_SECONDS) as reader:
        stored = stored_symbols(reader)
    shown = {canonical_symbol(symbol): symbol for symbol in reversed(stored)}
    return sorted(symbol for symbol in shown.values() if symbol and symbol[-1] not in "0123456789")


def orders_latest(symbol: str, limit: int) -> list[Row]:
    """The newest ``limit`` orders that have a side, a filled quantity and an average price or at least an order price.

    The order price stands in for a missing average price: clients of this list cannot take a null.
    """
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        return newest_orders(reader, symbol, limit)


def newest_orders(reader: Reader, symbol: str, limit: int) -> list[Row]:
    """`orders_latest` inside a snapshot of the caller's."""
    profile, spellings = table_profile(), symbol_spellings(reader, symbol)
    if not spellings:
        return []
    columns = SELECTED.replace("average_price", "COALESCE(average_price, price) AS average_price")
    select = (
        f"SELECT {columns} FROM {profile.source('symbol', 'order_trade_time')} "
        f"WHERE {window_condition(spellings)} AND side IS NOT NULL AND order_filled_accumulated_quantity "
        f"IS NOT NULL AND (average_price IS NOT NULL OR price IS NOT NULL)"
    )
    newest = f"{select} ORDER BY order_trade_time DESC LIMIT %s"
    rows = reader.rows(newest, [*spellings, 0, MAX_TIMESTAMP_MS, limit + 1])
    if len(rows) > limit and rows[limit][TRADE_TIME] == rows[limit - 1][TRADE_TIME]:
        # The cut falls into one millisecond: which of its orders belong is decided by our order, so read it whole.
        last = rows[limit][TRADE_TIME]
        rows = [row for row in rows if row[TRADE_TIME] > last] + reader.rows(select, [*spellings, last, last])
    return sorted_newest_first(rows)[:limit]


def orders_page(symbol: str, start_ms: int, end_ms: int, page: int, page_size: int) -> OrdersPage:
    """Page ``page`` (from 1) of the orders in [start_ms, end_ms], newest first; orders of one millisecond keep a
    fixed order, so that walking the pages meets every order exactly once."""
    offset = (page - 1) * page_size
    with reading_snapshot(settings.LONG_QUERY_TIMEOUT_SECONDS) as reader:
        profile, spellings = table_profile(), symbol_spellings(reader, symbol)
        if not spellings or offset > MAX_TIMESTAMP_MS:
            return OrdersPage([], False)
        source = profile.source("symbol", "order_trade_time")
        condition = window_condition(spellings)
        # Only the times of the page, from the index alone; the rows themselves are then read by their times.
        times = reader.rows(
            f"SELECT order_trade_time FROM {source} WHERE {condition} "
            "ORDER BY order_trade_time DESC LIMIT %s OFFSET %s",
            [*spellings, start_ms, end_ms, page_size + 1, offset],
        )
        if not times:
            return OrdersPage([], False)
        newest, oldest = times[0][0], times[:page_size][-1][0]
        newer = (
            reader.value(f"SELECT COUNT(*) FROM {source} WHERE {condition}", [*spellings, newest + 1, end_ms])
            if offset
            else 0
        )
        rows = reader.rows(f"SELECT {SELECTED} FROM {source} WHERE {condition}", [*spellings, oldest, newest])
    first = offset - newer
    return OrdersPage(sorted_newest_first(rows)[first : first + page_size], len(times) > page_size)


def sorted_newest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=newest_first)


def newest_first(row: Row) -> tuple[int, list[tuple[bool, Any]]]:
    """Sort key: by time, newest first; within one millisecond by the other columns, NULLs first."""
    return -row[TRADE_TIME], [(value is not None, value) for value in row]


def orders_stream(symbol: str, start_ms: int, end_ms: int) -> RowStream | None:
    """The orders in [start_ms, end_ms] by time, newest first, through a server-side cursor; None for no such symbol.

    Orders of one millisecond come in any order: sorting them in SQL would sort the whole result first.
    """
    with reading(settings.QUERY_TIMEOUT_SECONDS) as reader:
        profile, spellings = table_profile(), symbol_spellings(reader, symbol)
    if not spellings:
        return None
    sql = (
        f"SELECT {SELECTED} FROM {profile.source('symbol', 'order_trade_time')} "
        f"WHERE {window_condition(spellings)} ORDER BY order_trade_time DESC"
    )
    return RowStream(sql, [*spellings, start_ms, end_ms], settings.STREAM_TIMEOUT_SECONDS)
