"""What is measured over one table, and what DESIGN's section on speed demands of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

from benchmarks.market import DAY_MS, END_MS, HOUR_MS, TOP_SYMBOL
from benchmarks.measure import Ask, Row, compare, seconds_of
from benchmarks.naive import Original
from benchmarks.server import BenchmarkFailed, MemoryWatch, Server

START_MS = END_MS - 365 * DAY_MS
ODD_START = "buckets 1h over 365 d, start not on a minute"
PAGE, PAGE_SIZE = 50, 100
MIB = 1 << 20

Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the measuring may take."""

    repeats: int
    original_seconds: float  # for each row
    downloads: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A server of ours and the original's queries over one table."""

    server: Server
    original: Original
    effort: Effort

    def rows(self) -> Iterator[Row]:
        """All there is to measure on the table as an outside collector made it."""
        yield self.buckets("buckets 1h over 365 d, cold", "1h", HOUR_MS, year, goal=60)
        yield self.buckets("buckets 1h over 7 d, cold", "1h", HOUR_MS, week, goal=12)
        yield self.odd_start("the collector's five indexes", goal=None)
        yield self.buckets("buckets 1d over 1000 d, cold", "1d", DAY_MS, thousand_days, goal=1000)
        yield self.page(f"one page of {PAGE_SIZE} orders, page {PAGE} of 365 d", goal=15)
        yield self.latest("the newest 100 orders")
        yield self.symbols("the list of symbols")
        yield from self.export()
        yield self.overhead("HTTP and framework, a part of each of our answers (a request refused with 400)")

    def odd_start(self, indexes: str, goal: float | None) -> Row:
        return self.buckets(f"{ODD_START}; {indexes}", "1h", HOUR_MS, odd_year, goal)

    def buckets(
        self, work: str, timeframe: str, timeframe_ms: int, window: Callable[[int], Window], goal: float | None
    ) -> Row:
        def ours(number: int) -> bytes:
            return self.server.get(in_window("/api/liquidations", window(number), timeframe=timeframe))

        return self.compare(
            work, ours, lambda number: self.original.buckets(TOP_SYMBOL, timeframe_ms, *window(number)), goal
        )

    def page(self, work: str, goal: float | None) -> Row:
        def ours(number: int) -> bytes:
            path = "/api/liquidation-orders"
            return self.server.get(in_window(path, year(number), page=PAGE, page_size=PAGE_SIZE))

        return self.compare(
            work, ours, lambda number: self.original.page(TOP_SYMBOL, *year(number), PAGE, PAGE_SIZE), goal
        )

    def latest(self, work: str) -> Row:
        """A little more or less than 100 orders, so that no answer is that of an earlier question."""

        def ours(number: int) -> bytes:
            query = urlencode({"symbol": TOP_SYMBOL, "limit": about_hundred(number)})
            return self.server.get(f"/api/liquidation-orders?{query}")

        return self.compare(work, ours, lambda number: self.original.latest(TOP_SYMBOL, about_hundred(number)))

    def symbols(self, work: str) -> Row:
        return self.compare(work, lambda _: self.server.get("/api/symbols"), lambda _: self.original.symbols())

    def overhead(self, work: str) -> Row:
        path = in_window("/api/liquidation-orders", (END_MS, START_MS))
        times = [seconds_of(lambda _: self.server.get(path, status=400), number) for number in range(50)]
        return Row(work, "ms", median(times) * 1000)

    def compare(self, work: str, ours: Ask, original: Ask, goal: float | None = None) -> Row:
        effort = self.effort
        return compare(work, ours, original, repeats=effort.repeats, seconds=effort.original_seconds, goal=goal)

    def export(self) -> Iterator[Row]:
        """Every order of the year, several times; the original's first seconds of it."""
        paths = [
            in_window("/api/liquidation-orders/stream", (START_MS - number, END_MS))
            for number in range(self.effort.downloads)
        ]
        with MemoryWatch(self.server) as memory:
            downloads = [self.server.download(path) for path in paths]
        rows = self.orders_counted()
        if wrong := [download.rows for download in downloads if download.rows != rows]:
            raise BenchmarkFailed(f"the export has {wrong[0]} orders, the table {rows}")
        rate, first_seconds = self.export_original()
        first = median(download.first_byte_seconds for download in downloads)
        yield Row(
            "export of all its orders",
            "rows/s",
            rows / median(download.seconds for download in downloads),
            rate,
            goal=200_000,
            amount=rows,
        )
        yield Row("export: first byte", "ms", first * 1000, first_seconds * 1000, goal=100)
        yield Row("export: growth of the server's memory", "MiB", memory.growth_bytes / MIB)

    def export_original(self) -> tuple[float, float]:
        """Rows a second, and seconds until the first row."""
        began = time.perf_counter()
        lines = self.original.stream(TOP_SYMBOL, START_MS, END_MS, self.effort.original_seconds)
        next(lines)
        first = time.perf_counter() - began
        rows = 1 + sum(1 for _ in lines)
        return rows / (time.perf_counter() - began), first

    def orders_counted(self) -> int:
        return self.original.rows("SELECT COUNT(*) FROM binance_liqs WHERE symbol = %s", TOP_SYMBOL)[0][0]


def in_window(path: str, window: Window, **parameters: str | int) -> str:
    start_ms, end_ms = window
    query = {"symbol": TOP_SYMBOL, "start_timestamp": start_ms, "end_timestamp": end_ms, **parameters}
    return f"{path}?{urlencode(query)}"


def year(number: int) -> Window:
    return START_MS + number * HOUR_MS, END_MS - number * HOUR_MS


def week(number: int) -> Window:
    end_ms = END_MS - number * 31 * HOUR_MS
    return end_ms - 7 * DAY_MS, end_ms


def odd_year(number: int) -> Window:
    return START_MS + 12_345 + number, END_MS - number * 1000


def thousand_days(number: int) -> Window:
    end_ms = END_MS - number * DAY_MS
    return end_ms - 1000 * DAY_MS, end_ms


def about_hundred(number: int) -> int:
    return 100 + (number + 1) // 2 * (-1 if number % 2 else 1)
