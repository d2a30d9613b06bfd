"""Compares bars with the table: finds what other programs changed behind the re-read window."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from database.reading import Reader, Row, reading_snapshot
from liquidations.bars import BUILD_SECONDS, marks_write
from liquidations.caching import orders_changed_outside
from liquidations.domain import (
    BAR_INTERVALS_MS,
    DAY_MS,
    canonical_symbol,
    floor_ms,
    format_iso,
)
from liquidations.schema import WINDOW_INDEX
from liquidations.table import spellings_forget, stored_symbols, symbol_spellings, table_profile
from liquidations.windows import COUNTED, integer_division, notional_sum, summed, window_condition

# SQLite adds floats up in another order for bars than for the table.
RELATIVE_TOLERANCE = 1e-9
SUMS = 2  # notional and quantity; count and event times, which follow, are whole numbers

Sums = dict[tuple[int, int, str], tuple[Any, ...]]  # (interval, open time, side) → sums and bounds


@dataclass(frozen=True, slots=True)
class Difference:
    """A day of a symbol of which at least one bar differs from the table."""

    symbol: str
    day_ms: int

    def __str__(self) -> str:
        return f"{self.symbol} {format_iso(self.day_ms)[:10]}: bars differ from the table"


def bars_verify(symbol: str | None, start_ms: int, end_ms: int, *, repair: bool) -> Iterator[Difference]:
    """Days in [start_ms, end_ms), whole ones, whose bars are trusted but differ; ``repair`` marks them as stale,
    and outdates the symbol's kept answers."""
    spellings_forget()
    for name in [canonical_symbol(symbol)] if symbol is not None else known_symbols():
        days = differing_days(name, floor_ms(start_ms, DAY_MS), end_ms)
        if repair and days:
            marks_write((name, day_ms) for day_ms in days)
            orders_changed_outside(name)
        yield from (Difference(name, day_ms) for day_ms in days)


def known_symbols() -> list[str]:
    with reading_snapshot(BUILD_SECONDS) as reader:
        with_bars = {name for (name,) in reader.rows("SELECT DISTINCT symbol FROM liquidation_bars")}
        return sorted(with_bars | {canonical_symbol(name) for name in stored_symbols(reader)})


def differing_days(symbol: str, start_ms: int, end_ms: int) -> list[int]:
    with reading_snapshot(BUILD_SECONDS) as reader:
        progress = reader.rows("SELECT built_until_ms FROM liquidation_bars_progress WHERE id = 1")
        until_ms = min(end_ms, progress[0][0] if progress else 0)
        stale = {
            day_ms for (day_ms,) in reader.rows("SELECT day_ms FROM liquidation_bars_stale WHERE symbol = %s", [symbol])
        }
        if start_ms >= until_ms or not table_profile().fits_bars:
            return []
        bars, table = (
            sums_of_bars(reader, symbol, start_ms, until_ms),
            sums_of_table(reader, symbol, start_ms, until_ms),
        )
    differing = {
        floor_ms(key[1], DAY_MS) for key in bars.keys() | table.keys() if not equal(bars.get(key), table.get(key))
    }
    return sorted(differing - stale)


def sums_of_bars(reader: Reader, symbol: str, start_ms: int, end_ms: int) -> Sums:
    rows = reader.rows(
        "SELECT interval_ms, open_ms, side, notional, quantity, count, first_event_ms, last_event_ms "
        "FROM liquidation_bars WHERE symbol = %s AND open_ms >= %s AND open_ms + interval_ms <= %s",
        [symbol, start_ms, end_ms],
    )
    return by_bar(rows)


def sums_of_table(reader: Reader, symbol: str, start_ms: int, end_ms: int) -> Sums:
    spellings = symbol_spellings(reader, symbol)
    sums: Sums = {}
    if not spellings:
        return sums
    source = table_profile().source("symbol", "order_trade_time", covering=WINDOW_INDEX)
    for interval_ms in BAR_INTERVALS_MS:
        last_ms = floor_ms(end_ms, interval_ms) - 1
        rows = reader.rows(
            f"SELECT {interval_ms}, {interval_ms} * (order_trade_time {integer_division()} {interval_ms}), "
            f"UPPER(side), {notional_sum()}, {summed('order_filled_accumulated_quantity')}, COUNT(*), "
            f"MIN(order_trade_time), MAX(order_trade_time) FROM {source} "
            f"WHERE {window_condition(spellings)} AND {COUNTED} GROUP BY 1, 2, 3",
            [*spellings, start_ms, last_ms],
        )
        sums |= by_bar(rows)
    return sums


def by_bar(rows: list[Row]) -> Sums:
    return {(interval_ms, open_ms, side): tuple(sums) for interval_ms, open_ms, side, *sums in rows}


def equal(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    if one is None or other is None or connection.vendor != "sqlite":
        return one == other
    sums = zip(one[:SUMS], other[:SUMS], strict=True)
    return all(math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE) for a, b in sums) and one[SUMS:] == other[SUMS:]
