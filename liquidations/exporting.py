"""A stream of forced orders as lines of JSON or CSV, in constant memory, for sync and async servers alike."""

import asyncio
import csv
import io
import threading
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from itertools import pairwise
from operator import neg
from typing import Any

import structlog
from django.conf import settings
from django.db import Error

from api.errors import TooManyStreams
from database.errors import QueryTimeout
from database.reading import Row
from database.streaming import RowStream
from liquidations.queries import TRADE_TIME, newest_first, orders_stream
from liquidations.rendering import LINE, csv_cell, decimal_text, order_texts
from liquidations.schema import COLUMNS, TYPES

logger = structlog.get_logger(__name__)

DECIMAL_POSITIONS = frozenset(COLUMNS.index(name) for name in COLUMNS if name not in TYPES)
FIRST_ROWS = 100  # the first chunk is small, so that the first byte is early

slots = threading.BoundedSemaphore(settings.MAX_STREAMS)
executor = ThreadPoolExecutor(settings.MAX_STREAMS, thread_name_prefix="export")

OnEnd = Callable[[int, bool], None]  # how many rows were read, and whether that was all of them


class RowExport:
    """Orders as chunks of lines; holds one of the process's export slots until it is closed.

    The first chunk is read at once, so that a database that fails before the first byte is still an error answer.
    Raises `TooManyStreams` when all slots are taken, `QueryTimeout` and Django's database errors.
    """

    head = b""  # before the first row
    cut_short = ""  # with REASON in it: the last line of an export that could not be read to its end

    def __init__(self, open_stream: Callable[[], RowStream | None], batch_size: int, on_end: OnEnd | None) -> None:
        if not slots.acquire(blocking=False):
            raise TooManyStreams
        self.batch_size, self.on_end = batch_size, on_end
        self.rows, self.is_complete = 0, False
        self.held: list[Row] = []  # read, but perhaps not all of their millisecond
        self.is_closed = False
        # A driver's connection is for one thread at a time, and under ASGI closing may meet a fetch under way.
        self.lock = threading.RLock()
        self.stream: RowStream | None = None
        try:
            self.stream = open_stream()
            self.first = self.head + self.next_chunk(FIRST_ROWS)
        except BaseException:
            self.on_end = None
            self.close()
            raise

    def lines(self, rows: Sequence[Row]) -> str:
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        try:
            chunk = self.first
            while chunk:
                yield chunk
                chunk = self.next_chunk_or_error()
        finally:
            self.close()

    def next_chunk_or_error(self) -> bytes:
        """The next chunk; when reading fails, one last line that says so, and then nothing."""
        try:
            return self.next_chunk(self.batch_size)
        except (Error, QueryTimeout) as error:
            logger.error("export cut short", error=str(error))
            self.close()
            reason = str(error) if isinstance(error, QueryTimeout) else "Database service unavailable"
            return self.cut_short.replace("REASON", reason).encode()

    def next_chunk(self, size: int) -> bytes:
        """Lines of whole milliseconds, at least one if any are left; empty at the end."""
        with self.lock:
            while self.stream and not self.is_closed:
                rows = self.stream.fetch(size)
                complete, self.held = split_last_millisecond([*self.held, *rows], is_end=not rows)
                self.rows += len(complete)
                if not rows:
                    self.is_complete = True
                    self.close()
                if complete:
                    return self.lines(in_order(complete)).encode()
            return b""

    def interrupt(self) -> None:
        """End the query although another thread may be waiting for its next row, and close."""
        if self.stream and not self.is_closed:
            self.stream.interrupt()
        self.close()

    def close(self) -> None:
        """End the query and give the slot back. Harmless when repeated."""
        with self.lock:
            if self.is_closed:
                return
            self.is_closed = True
            if self.stream:
                self.stream.close()
            slots.release()
        if self.on_end:
            self.on_end(self.rows, self.is_complete)


class OrderExport(RowExport):
    """The orders of a symbol in one window, as lines of JSON."""

    cut_short = '{"error": "Streaming error: REASON"}\n'

    def __init__(
        self, symbol: str, start_ms: int, end_ms: int, batch_size: int, *, as_strings: bool, on_end: OnEnd | None = None
    ) -> None:
        self.as_strings = as_strings
        super().__init__(partial(orders_stream, symbol, start_ms, end_ms), batch_size, on_end)

    def lines(self, rows: Sequence[Row]) -> str:
        return "".join(order_texts(rows, LINE, as_strings=self.as_strings))


class CsvExport(RowExport):
    """Rows as CSV under our columns' names, which `import_liquidations` reads again."""

    head = f"{','.join(COLUMNS)}\r\n".encode()
    cut_short = "export cut short: REASON\r\n"

    def lines(self, rows: Sequence[Row]) -> str:
        text = io.StringIO()
        csv.writer(text).writerows([self.cell(position, value) for position, value in enumerate(row)] for row in rows)
        return text.getvalue()

    def cell(self, position: int, value: Any) -> str:
        if value is None:
            return ""
        return csv_cell(decimal_text(value) if position in DECIMAL_POSITIONS else str(value))


class AsyncOrderExport:
    """A `RowExport` for an ASGI server, which would collect a synchronous iterator whole before sending it."""

    def __init__(self, export: RowExport) -> None:
        self.export = export

    def close(self) -> None:
        # Called in the event loop, which must not wait for a fetch that is under way.
        executor.submit(self.export.close)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        is_complete = False
        try:
            chunk = self.export.first
            while chunk:
                yield chunk
                chunk = await loop.run_in_executor(executor, self.export.next_chunk_or_error)
            is_complete = True
        finally:
            # Not awaited: the client has left, and this task is being cancelled or its generator closed.
            loop.run_in_executor(None, self.export.close if is_complete else self.export.interrupt)


def export_content(export: RowExport, *, is_asynchronous: bool) -> RowExport | AsyncOrderExport:
    """The content of a streaming response for the kind of server that asks."""
    return AsyncOrderExport(export) if is_asynchronous else export


def split_last_millisecond(rows: list[Row], *, is_end: bool) -> tuple[list[Row], list[Row]]:
    """The rows whose millisecond is complete, and those that the next batch may belong to."""
    if is_end or not rows:
        return rows, []
    last = rows[-1][TRADE_TIME]
    cut = len(rows)
    while cut and rows[cut - 1][TRADE_TIME] == last:
        cut -= 1
    return rows[:cut], rows[cut:]


def in_order(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with the orders of each millisecond in our order; rows come sorted by time already."""
    times = [row[TRADE_TIME] for row in rows]
    repeated = [position for position, (one, next_one) in enumerate(pairwise(times)) if one == next_one]
    if not repeated:
        return rows
    ordered, sorted_until = list(rows), 0
    for first in repeated:
        if first >= sorted_until:
            sorted_until = bisect_right(times, -times[first], lo=first, key=neg)
            ordered[first:sorted_until] = sorted(ordered[first:sorted_until], key=newest_first_of_texts)
    return ordered


def newest_first_of_texts(row: Row) -> tuple[int, list[tuple[bool, Any]]]:
    """`newest_first`, so that the stream has the order of the pages, for rows whose decimals are text: "10" < "9"."""
    return newest_first(
        tuple(
            Decimal(value) if position in DECIMAL_POSITIONS and isinstance(value, str) else value
            for position, value in enumerate(row)
        )
    )
