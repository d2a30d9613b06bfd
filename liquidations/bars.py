"""Building liquidation bars from the table, so that they may answer for it.

Two facts say how far bars are to be trusted, and a reader takes both in the snapshot in which it reads the bars:

- ``built_until_ms``: everything traded before it is in bars. It stays a re-read window behind the clock, so that rows
  which another program inserts a little late are in the table before their bars are built.
- stale days: days of a symbol whose rows our writers have changed since. The mark is written in the writer's own
  transaction and removed in the one that builds the day again, under a lock on the mark. A writer that comes in between
  waits for that lock and marks the day anew, so no change is ever covered by bars that do not hold it.

A rebuild is nothing but marking every day as stale: meanwhile the table answers, any number of workers take marks off,
and what is killed half-way leaves its marks behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import DataError, connection, transaction

from database.reading import Reader
from database.retrying import retry_when_busy
from liquidations.domain import (
    BAR_INTERVALS_MS,
    DAY_MS,
    MAX_TIMESTAMP_MS,
    MINUTE_MS,
    canonical_symbol,
    floor_ms,
)
from liquidations.models import BarProgress, StaleBarDay
from liquidations.schema import WINDOW_INDEX
from liquidations.table import spellings_forget, symbol_spellings, table_profile
from liquidations.types import ForcedOrder
from liquidations.windows import COUNTED, integer_division, notional_sum, summed, window_condition
from marketdata.clock import clock_ms

logger = structlog.get_logger(__name__)

MARKS_AT_ONCE = 1000
DAYS_AT_ONCE = 31  # of one symbol in one transaction: seconds at most, and a writer may be waiting
BUILD_SECONDS = 3600  # a bound for reads while building, not a limit that anybody should meet

SymbolDay = tuple[str, int]


@dataclass(frozen=True, slots=True)
class BarsStatus:
    """``built_until_ms`` is None before the first build; ``lag_ms`` counts from the clock."""

    built_until_ms: int | None
    lag_ms: int | None
    stale_days: int
    stale_symbols: int


def reread_ms() -> int:
    """How late (ms) another program may insert an order for the bars to hold it without `verify` or `rebuild`."""
    return settings.BARS_REREAD_SECONDS * 1000


# Marking ---------------------------------------------------------------------------------------------------------


def stale_days_mark(orders: Iterable[ForcedOrder]) -> None:
    """Mark the days of orders that this transaction has inserted or changed."""
    if not table_profile().has_bars:
        return
    # The watermark cannot reach younger orders before this transaction has ended, so they need no mark.
    before_ms = clock_ms() - reread_ms() // 2
    marks_write(
        {
            (canonical_symbol(order.symbol), floor_ms(order.order_trade_time, DAY_MS))
            for order in orders
            if order.order_trade_time < before_ms
        }
    )


def marks_write(days: Iterable[SymbolDay]) -> None:
    """Insert marks; one that exists is locked, which waits for a build that is about to remove it."""
    # In one order everywhere, so that two writers do not wait for each other.
    ordered = sorted(days)
    conflict = "ON CONFLICT DO NOTHING" if connection.vendor == "sqlite" else "ON DUPLICATE KEY UPDATE day_ms = day_ms"
    with connection.cursor() as cursor:
        for first in range(0, len(ordered), MARKS_AT_ONCE):
            part = ordered[first : first + MARKS_AT_ONCE]
            cursor.execute(
                f"INSERT INTO liquidation_bars_stale (symbol, day_ms) VALUES {', '.join(['(%s, %s)'] * len(part))} "
                f"{conflict}",
                [value for day in part for value in day],
            )


@retry_when_busy
def bars_rebuild(symbol: str | None = None, start_ms: int = 0, end_ms: int = MAX_TIMESTAMP_MS) -> dict[str, int]:
    """Distrust all bars of the window [start_ms, end_ms) until they are built again; symbol → days marked."""
    first_ms = floor_ms(start_ms, DAY_MS)
    with transaction.atomic():
        progress_lock()
        days = days_with_rows(symbol, first_ms, end_ms) | days_with_bars(symbol, first_ms, end_ms)
        marks_write(days)
    counts: dict[str, int] = {}
    for name, _ in days:
        counts[name] = counts.get(name, 0) + 1
    return counts


def days_with_rows(symbol: str | None, start_ms: int, end_ms: int) -> set[SymbolDay]:
    profile, reader = table_profile(), Reader(BUILD_SECONDS)
    day = f"order_trade_time {integer_division()} {DAY_MS}"
    if symbol is None:
        source, condition, parameters = profile.quoted, "symbol IS NOT NULL AND order_trade_time BETWEEN %s AND %s", []
    else:
        spellings = symbol_spellings(reader, symbol)
        source, condition, parameters = (
            profile.source("symbol", "order_trade_time"),
            window_condition(spellings),
            spellings,
        )
        if not spellings:
            return set()
    rows = reader.rows(
        f"SELECT symbol, {day} AS day FROM {source} WHERE {condition} GROUP BY 1, 2",
        [*parameters, start_ms, end_ms - 1],
    )
    return {(canonical_symbol(name), number * DAY_MS) for name, number in rows}


def days_with_bars(symbol: str | None, start_ms: int, end_ms: int) -> set[SymbolDay]:
    condition, parameters = ("AND symbol = %s", [canonical_symbol(symbol)]) if symbol is not None else ("", [])
    rows = Reader(BUILD_SECONDS).rows(
        f"SELECT DISTINCT symbol, open_ms {integer_division()} {DAY_MS} FROM liquidation_bars "
        f"WHERE interval_ms = {MINUTE_MS} AND open_ms BETWEEN %s AND %s {condition}",
        [start_ms, end_ms - 1, *parameters],
    )
    return {(name, number * DAY_MS) for name, number in rows}


# Building --------------------------------------------------------------------------------------------------------


def bars_build(now_ms: int | None = None) -> int:
    """Bring all bars up to date: what is new up to the re-read window, then every stale day. Stale days built.

    Safe to run twice, at once in several processes, and killed at any moment.
    """
    bars_advance(clock_ms() if now_ms is None else now_ms)
    return sum(stale_days_build(symbol) for symbol in stale_symbols())


@retry_when_busy
def bars_advance(now_ms: int) -> int:
    """Build what was traded up to the re-read window before ``now_ms``; the new ``built_until_ms``."""
    until_ms = floor_ms(max(now_ms - reread_ms(), 0), MINUTE_MS)
    BarProgress.objects.get_or_create(id=1, defaults={"built_until_ms": 0})
    with transaction.atomic():
        built_ms = progress_lock()
        if until_ms <= built_ms:
            return built_ms
        spellings_forget()
        if built_ms == 0 or until_ms - built_ms > DAY_MS:
            # The first build, or one after a long pause, is left to whoever takes stale days.
            marks_write(days_with_rows(None, floor_ms(built_ms, DAY_MS), until_ms))
        else:
            for symbol in symbols_active(earliest_open(built_ms, until_ms), until_ms):
                bars_replace_or_mark(symbol, built_ms, until_ms)
        BarProgress.objects.filter(id=1).update(built_until_ms=until_ms)
    return until_ms


def bars_replace_or_mark(symbol: str, start_ms: int, end_ms: int) -> None:
    """As `bars_replace`; where the sums fit no bar, the days are left to the table, and other symbols to their bars."""
    try:
        with transaction.atomic():
            bars_replace(symbol, start_ms, end_ms)
    except DataError:
        marks_write((symbol, day_ms) for day_ms in range(floor_ms(start_ms, DAY_MS), end_ms, DAY_MS))


def progress_lock(*, shared: bool = False) -> int:
    """Lock the watermark until the transaction ends and read it; ``shared``: against its advance alone."""
    sql = "SELECT built_until_ms FROM liquidation_bars_progress WHERE id = 1"
    if connection.vendor == "mysql":
        sql += " LOCK IN SHARE MODE" if shared else " FOR UPDATE"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return row[0] if row else 0


def earliest_open(built_ms: int, until_ms: int) -> int:
    """Open time of the oldest bar that becomes complete when the watermark moves: an hour or a day reaches back."""
    return min(
        floor_ms(built_ms, interval)
        for interval in BAR_INTERVALS_MS
        if floor_ms(built_ms, interval) < floor_ms(until_ms, interval)
    )


def symbols_active(start_ms: int, end_ms: int) -> list[str]:
    profile = table_profile()
    by_time = profile.index_on("order_trade_time") is not None
    rows = Reader(BUILD_SECONDS).rows(
        f"SELECT DISTINCT symbol FROM {profile.source('order_trade_time') if by_time else profile.quoted} "
        "WHERE symbol IS NOT NULL AND order_trade_time BETWEEN %s AND %s",
        [start_ms, end_ms - 1],
    )
    return sorted({canonical_symbol(name) for (name,) in rows})


def stale_symbols() -> list[str]:
    return list(StaleBarDay.objects.order_by("symbol").values_list("symbol", flat=True).distinct())


def stale_days_build(symbol: str) -> int:
    """Build every stale day of the symbol that no other worker is at; how many there were."""
    built = 0
    while days := stale_days_build_some(symbol):
        built += days
    return built


@retry_when_busy
def stale_days_build_some(symbol: str) -> int:
    try:
        with transaction.atomic():
            days = stale_days_claim(symbol)
            if days:
                until_ms = progress_lock(shared=True)
                spellings_forget()
                for start_ms, end_ms in joined(days):
                    bars_replace(symbol, start_ms, min(end_ms, until_ms))
                marks_remove(symbol, days)
            return len(days)
    except DataError as error:
        # A sum that no bar can hold: the days stay stale, and the table goes on answering for them.
        logger.error("bars cannot be built; the table answers instead", symbol=symbol, error=str(error))
        return 0


def stale_days_claim(symbol: str) -> list[int]:
    """Lock some of the symbol's marks until the transaction ends; before anything is read, see above."""
    marks = StaleBarDay.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    return list(marks.filter(symbol=symbol).order_by("day_ms").values_list("day_ms", flat=True)[:DAYS_AT_ONCE])


def marks_remove(symbol: str, days: Sequence[int]) -> None:
    StaleBarDay.objects.filter(symbol=symbol, day_ms__in=days).delete()


def joined(days: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of adjacent days as (start, end)."""
    runs: list[tuple[int, int]] = []
    for day_ms in days:
        if runs and runs[-1][1] == day_ms:
            runs[-1] = (runs[-1][0], day_ms + DAY_MS)
        else:
            runs.append((day_ms, day_ms + DAY_MS))
    return runs


def bars_replace(symbol: str, start_ms: int, end_ms: int) -> None:
    """Make the symbol's bars that end in (start_ms, end_ms] again from the table. Inside a transaction."""
    spellings = symbol_spellings(Reader(BUILD_SECONDS), symbol)
    for interval_ms in BAR_INTERVALS_MS:
        first_ms, last_ms = floor_ms(start_ms, interval_ms), floor_ms(end_ms, interval_ms)
        if first_ms < last_ms:
            bars_delete(symbol, interval_ms, first_ms, last_ms)
            if spellings:
                bars_insert(symbol, spellings, interval_ms, first_ms, last_ms)


def bars_delete(symbol: str, interval_ms: int, start_ms: int, end_ms: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM liquidation_bars WHERE symbol = %s AND interval_ms = %s AND open_ms >= %s AND open_ms < %s",
            [symbol, interval_ms, start_ms, end_ms],
        )


def bars_insert(symbol: str, spellings: Sequence[str], interval_ms: int, start_ms: int, end_ms: int) -> None:
    """The database adds up, so that a bar is exactly what a query over the table would give."""
    source = table_profile().source("symbol", "order_trade_time", covering=WINDOW_INDEX)
    parameters: list[Any] = [symbol, *spellings, start_ms, end_ms - 1]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO liquidation_bars (symbol, interval_ms, open_ms, side, notional, quantity, count, "
            f"first_event_ms, last_event_ms) SELECT %s, {interval_ms}, {interval_ms} * "
            f"(order_trade_time {integer_division()} {interval_ms}), UPPER(side), "
            f"{notional_sum()}, {summed('order_filled_accumulated_quantity')}, COUNT(*), "
            f"MIN(order_trade_time), MAX(order_trade_time) FROM {source} "
            f"WHERE {window_condition(spellings)} AND {COUNTED} GROUP BY 3, 4",
            parameters,
        )


# Telling ---------------------------------------------------------------------------------------------------------


def bars_status() -> BarsStatus:
    built_ms = BarProgress.objects.filter(id=1).values_list("built_until_ms", flat=True).first() or None
    return BarsStatus(
        built_until_ms=built_ms,
        lag_ms=None if built_ms is None else clock_ms() - built_ms,
        stale_days=StaleBarDay.objects.count(),
        stale_symbols=len(stale_symbols()),
    )
