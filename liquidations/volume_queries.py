"""Liquidation volume with counts, from bars where they answer exactly and from the table otherwise."""

from decimal import Decimal, localcontext
from typing import Any

from django.conf import settings

from database.reading import Reader, reading_snapshot
from liquidations.domain import Grid, Segment, canonical_symbol
from liquidations.queries import EXACT, bucket_number, newest_orders, window_segments
from liquidations.schema import WINDOW_INDEX
from liquidations.table import TableProfile, symbol_spellings, table_profile
from liquidations.volume import VolumeSum, volume_sums
from liquidations.windows import COUNTED, grouped, notional_sum, summed, window_condition


def liquidation_volume(symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> dict[int, VolumeSum]:
    """Sums per bucket (of multiples of ``timeframe_ms`` since the epoch) over [start_ms, end_ms], both included.

    Orders without an average price are in none. Raises `QueryTimeout`.
    """
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        return volume_read(reader, symbol, timeframe_ms, start_ms, end_ms)


def volume_read(reader: Reader, symbol: str, timeframe_ms: int, start_ms: int, end_ms: int) -> dict[int, VolumeSum]:
    """`liquidation_volume` inside a snapshot of the caller's."""
    profile, spellings = table_profile(), symbol_spellings(reader, symbol)
    if not spellings:
        return {}
    grid, name = Grid(0, timeframe_ms), canonical_symbol(symbol)
    rows: list[Any] = []
    for segment in window_segments(reader, profile, name, grid, start_ms, end_ms + 1):
        rows += segment_rows(reader, profile, name, spellings, segment, grid)
    with localcontext(EXACT):
        return volume_sums(
            ((number * timeframe_ms, side, as_decimal(notional), int(count)) for number, side, notional, count in rows),
            timeframe_ms,
        )


def segment_rows(
    reader: Reader, profile: TableProfile, symbol: str, spellings: list[str], segment: Segment, grid: Grid
) -> list[Any]:
    """(bucket number, side, notional, count) rows of one segment."""
    if segment.interval_ms:
        return reader.rows(
            f"SELECT {bucket_number('open_ms', grid)} AS bucket, side, {summed('notional')}, SUM(count) "
            "FROM liquidation_bars WHERE symbol = %s AND interval_ms = %s AND open_ms >= %s AND open_ms < %s "
            f"{grouped()}",
            [symbol, segment.interval_ms, segment.start_ms, segment.end_ms],
        )
    source = profile.source("symbol", "order_trade_time", covering=WINDOW_INDEX)
    return reader.rows(
        f"SELECT {bucket_number('order_trade_time', grid)} AS bucket, side, {notional_sum()}, COUNT(*) FROM {source} "
        f"WHERE {window_condition(spellings)} AND {COUNTED} {grouped()}",
        [*spellings, segment.start_ms, segment.end_ms - 1],
    )


def as_decimal(value: Any) -> Decimal:
    """SQLite's sums are floats, whose first 15 digits count: what is beyond comes of adding."""
    return value if isinstance(value, Decimal) else Decimal(f"{value:.15g}")


def symbol_is_stored(symbol: str) -> bool:
    """Whether the table has an order of it, in any spelling, that can be shown."""
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        return bool(newest_orders(reader, symbol, 1))
