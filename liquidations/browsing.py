"""Looking through all forced orders, newest first, page by page: fast however many there are.

A page begins after an order, never at a number: nothing is counted and nothing is skipped. The orders of one
millisecond have no order in the table, so milliseconds are read whole and sorted here.

Where a filter lets only some rows through, a page looks through `SPAN_ROWS` rows at a time and for `SEARCH_SECONDS` at
the most; what it has found until then is a page too, and the next one goes on from there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from database.reading import Reader, Row, reading, reading_snapshot
from database.streaming import RowStream
from liquidations.domain import MAX_TIMESTAMP_MS
from liquidations.queries import SELECTED, TRADE_TIME, Statement, sorted_newest_first
from liquidations.schema import WINDOW_INDEX
from liquidations.table import symbol_spellings, table_profile

BROWSE_SECONDS = 5  # a page that takes longer lacks an index
SEARCH_SECONDS = 0.5
SPAN_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class OrdersFilter:
    """Empty means any; times (ms) are included, ``min_notional`` is average price × filled quantity in quote asset."""

    symbol: str = ""
    side: str = ""  # of the forced order: SELL closed a long, BUY closed a short
    min_notional: Decimal | None = None
    start_ms: int = 0
    end_ms: int = MAX_TIMESTAMP_MS

    @property
    def is_selective(self) -> bool:
        """Whether it leaves rows out within its symbol and window."""
        return bool(self.side) or self.min_notional is not None


@dataclass(frozen=True, slots=True)
class Position:
    """Between two orders, newest first: after the first ``skipped`` orders of the millisecond ``at_ms``."""

    at_ms: int
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class BrowsedPage:
    """``older`` and ``newer``: where the pages on either side begin, None where there is none.

    ``searched_to_ms``: how far it has looked, when it stopped before it was full.
    """

    rows: Sequence[Row]
    older: Position | None = None
    newer: Position | None = None
    searched_to_ms: int | None = None


@dataclass
class Rows:
    """Whole milliseconds of matching rows; ``reached_ms``: the next one to look at, when the search was cut short."""

    rows: list[Row]
    reached_ms: int | None = None


class OrdersBrowser:
    """One page's reads, in one snapshot."""

    def __init__(self, reader: Reader, asked: OrdersFilter, spellings: Sequence[str]) -> None:
        self.reader, self.asked, self.spellings = reader, asked, spellings
        self.source = browsed_source(asked)
        self.deadline = time.monotonic() + SEARCH_SECONDS

    def older(self, start: Position, size: int) -> BrowsedPage:
        found = self.walk(start.at_ms, start.skipped + size + 1, is_descending=True)
        ordered = sorted_newest_first(found.rows)
        rows = ordered[start.skipped :][:size]
        is_first = start == Position(self.asked.end_ms)
        newer = None if is_first else start
        if len(ordered) > start.skipped + size:
            end = start.skipped + size
            last_ms = rows[-1][TRADE_TIME]
            skipped = sum(row[TRADE_TIME] == last_ms for row in ordered[:end])
            return BrowsedPage(rows, Position(last_ms, skipped), newer)
        if found.reached_ms is None:
            return BrowsedPage(rows, None, newer)
        return BrowsedPage(rows, Position(found.reached_ms), newer, found.reached_ms)

    def newer(self, end: Position, size: int) -> BrowsedPage:
        """The page that ends where ``end`` is; the newest page when there are too few to fill it."""
        shared = sorted_newest_first(self.millisecond(end.at_ms))[: end.skipped] if end.skipped else []
        # One millisecond may hold more than a page.
        missing = max(size + 1 - len(shared), 0)
        found = self.walk(end.at_ms + 1, missing, is_descending=False) if missing else Rows([])
        ordered = [*sorted_newest_first(found.rows), *shared]
        first = len(ordered) - size
        if first <= 0 and found.reached_ms is None:
            return self.older(Position(self.asked.end_ms), size)
        if first <= 0 and found.reached_ms is not None:
            return BrowsedPage(ordered, end, Position(found.reached_ms - 1), found.reached_ms)
        rows = ordered[first:]
        skipped = sum(row[TRADE_TIME] == rows[0][TRADE_TIME] for row in ordered[:first])
        return BrowsedPage(rows, end, Position(rows[0][TRADE_TIME], skipped))

    def walk(self, from_ms: int, count: int, *, is_descending: bool) -> Rows:
        """At least ``count`` rows from ``from_ms`` on, if there are so many."""
        low, high = self.asked.start_ms, self.asked.end_ms
        low, high = (low, min(high, from_ms)) if is_descending else (max(low, from_ms), high)
        rows: list[Row] = []
        while low <= high:
            part_low, part_high = self.span(low, high, is_descending=is_descending)
            part = self.part(part_low, part_high, count - len(rows), is_descending=is_descending)
            if len(part) == count - len(rows):
                return Rows([*rows, *self.completed(part)])
            rows += part
            low, high = (low, part_low - 1) if is_descending else (part_high + 1, high)
            if low <= high and time.monotonic() > self.deadline:
                return Rows(rows, high if is_descending else low)
        return Rows(rows)

    def span(self, low: int, high: int, *, is_descending: bool) -> tuple[int, int]:
        """The part of the window to look through at once: all of it where every row matches."""
        if not self.asked.is_selective:
            return low, high
        condition, values = window_of(self.spellings, low, high)
        way, end = ("DESC", "MIN") if is_descending else ("ASC", "MAX")
        ((far_ms, rows),) = self.reader.rows(
            f"SELECT {end}(order_trade_time), COUNT(*) FROM (SELECT order_trade_time FROM {self.source} "
            f"WHERE {condition} ORDER BY order_trade_time {way} LIMIT {SPAN_ROWS}) AS span",
            values,
        )
        if rows < SPAN_ROWS:
            return low, high
        return (far_ms, high) if is_descending else (low, far_ms)

    def part(self, low: int, high: int, count: int, *, is_descending: bool) -> list[Row]:
        condition, values = matching(self.asked, self.spellings, low, high)
        return self.reader.rows(
            f"SELECT {SELECTED} FROM {self.source} WHERE {condition} "
            f"ORDER BY order_trade_time {'DESC' if is_descending else 'ASC'} LIMIT %s",
            [*values, count],
        )

    def completed(self, part: list[Row]) -> list[Row]:
        """The cut may have fallen into a millisecond."""
        last_ms = part[-1][TRADE_TIME]
        return [row for row in part if row[TRADE_TIME] != last_ms] + self.millisecond(last_ms)

    def millisecond(self, at_ms: int) -> list[Row]:
        condition, values = matching(self.asked, self.spellings, at_ms, at_ms)
        return self.reader.rows(f"SELECT {SELECTED} FROM {self.source} WHERE {condition}", values)


def orders_browse(
    asked: OrdersFilter, size: int, *, older: Position | None = None, newer: Position | None = None
) -> BrowsedPage:
    """The newest ``size`` orders, or those after ``older``, or those before ``newer``. Raises `QueryTimeout`."""
    with reading_snapshot(BROWSE_SECONDS) as reader:
        spellings = symbol_spellings(reader, asked.symbol) if asked.symbol else []
        if asked.symbol and not spellings:
            return BrowsedPage([])
        browser = OrdersBrowser(reader, asked, spellings)
        if newer:
            return browser.newer(newer, size)
        return browser.older(older or Position(asked.end_ms), size)


def orders_filtered_stream(asked: OrdersFilter) -> RowStream | None:
    """All of them by time, newest first, in constant memory; None for a symbol that cannot be there."""
    with reading(BROWSE_SECONDS) as reader:
        spellings = symbol_spellings(reader, asked.symbol) if asked.symbol else []
    if asked.symbol and not spellings:
        return None
    condition, values = matching(asked, spellings, asked.start_ms, asked.end_ms)
    sql = f"SELECT {SELECTED} FROM {browsed_source(asked)} WHERE {condition} ORDER BY order_trade_time DESC"
    return RowStream(sql, values, settings.STREAM_TIMEOUT_SECONDS)


def browsed_source(asked: OrdersFilter) -> str:
    if not asked.symbol:
        return table_profile().source("order_trade_time")
    # That one answers the filters too.
    covering = WINDOW_INDEX if asked.is_selective else ()
    return table_profile().source("symbol", "order_trade_time", covering=covering)


def matching(asked: OrdersFilter, spellings: Sequence[str], low: int, high: int) -> Statement:
    condition, values = window_of(spellings, low, high)
    if asked.side:
        condition += " AND side IN (%s, %s)"
        values += [asked.side.upper(), asked.side.lower()]
    if asked.min_notional is not None:
        condition += " AND average_price * order_filled_accumulated_quantity >= %s"
        # SQLite's decimals are floats, and to it every number is less than a text.
        is_sqlite = table_profile().dialect == "sqlite"
        values.append(float(asked.min_notional) if is_sqlite else asked.min_notional)
    return condition, values


def window_of(spellings: Sequence[str], low: int, high: int) -> tuple[str, list[Any]]:
    by_symbol = f"symbol IN ({', '.join(['%s'] * len(spellings))}) AND " if spellings else ""
    return f"{by_symbol}order_trade_time BETWEEN %s AND %s", [*spellings, low, high]
