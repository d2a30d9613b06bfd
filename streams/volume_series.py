"""The volume buckets of one symbol and timeframe, kept up to date for all sockets of a process that show them."""

import asyncio
from decimal import Decimal

from liquidations.domain import DAY_MS, floor_ms
from liquidations.volume import NOTHING, TIMEFRAMES_MS, VolumeSum, volume_bucket, volume_buckets
from marketdata.clock import clock_ms
from streams.hub import hub
from streams.market.ranges import MAX_CANDLES
from streams.messages import volume_frame
from streams.outgoing import Outgoing
from streams.reading import read
from streams.snapshots import volume_snapshot
from streams.tail import Tail
from streams.types import LiveOrder

FLUSH_S = 5.0  # shorter than every timeframe
MAX_KEPT = 100_000


class VolumeSeries:
    """Seeded from the bars and the table, then counted on. Orders count once they are stored."""

    def __init__(self, symbol: str, timeframe: str) -> None:
        self.symbol, self.timeframe, self.timeframe_ms = symbol, timeframe, TIMEFRAMES_MS[timeframe]
        self.sums: dict[int, VolumeSum] = {}
        self.touched: set[int] = set()
        self.listeners: set[Outgoing] = set()
        self.tail = Tail(self.add, MAX_KEPT, lambda: None)
        self.seeded = asyncio.create_task(self.seed())
        self.flushing = asyncio.create_task(self.flush_for_ever())

    async def seed(self) -> None:
        """Raises what the database raises; then this series is of no use."""
        hub().join(self, self.symbol)
        snapshot = await read(volume_snapshot, self.symbol, self.timeframe_ms, self.first_ms(), clock_ms())
        self.sums = snapshot.sums
        self.tail.open(snapshot.head)

    def take(self, order: LiveOrder) -> None:
        if order.sequence is not None:
            self.tail.take(order)

    def tick(self, now_s: float) -> None:
        """Nothing to do: `flush_for_ever` has its own pace."""

    def add(self, order: LiveOrder) -> None:
        open_ms = floor_ms(order.event_ms, self.timeframe_ms)
        # Of older buckets the whole sum is not known.
        if open_ms >= self.first_ms():
            notional = Decimal(repr(order.notional))
            self.sums[open_ms] = self.sums.get(open_ms, NOTHING).plus(order.side, notional)
            self.touched.add(open_ms)

    def first_ms(self) -> int:
        """The beginning of what is kept: of the longest chart's candles, and a day at least."""
        return floor_ms(clock_ms() - max(DAY_MS, MAX_CANDLES * self.timeframe_ms), self.timeframe_ms)

    async def listen(self, outgoing: Outgoing, start_ms: int | None = None) -> None:
        """Send the history from ``start_ms`` on, or of a day, then every change. Raises what the database raises."""
        await asyncio.shield(self.seeded)
        self.flush()
        first_ms = floor_ms(clock_ms() - DAY_MS if start_ms is None else start_ms, self.timeframe_ms)
        sums = {open_ms: volume for open_ms, volume in self.sums.items() if open_ms >= first_ms}
        if sums:
            buckets = volume_buckets(sums, self.timeframe_ms)
            outgoing.put(volume_frame(self.symbol, self.timeframe, buckets, clock_ms(), is_update=False))
        self.listeners.add(outgoing)

    async def flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()
            first_ms = self.first_ms()
            for open_ms in [open_ms for open_ms in self.sums if open_ms < first_ms]:
                del self.sums[open_ms]

    def flush(self) -> None:
        """Tell the listeners which buckets have changed, each with its whole sum."""
        if not self.touched:
            return
        buckets = [volume_bucket(open_ms, self.sums[open_ms]) for open_ms in sorted(self.touched)]
        self.touched.clear()
        frame = volume_frame(self.symbol, self.timeframe, buckets, clock_ms(), is_update=True)
        for outgoing in tuple(self.listeners):
            outgoing.put(frame)

    def close(self) -> None:
        hub().leave(self, self.symbol)
        self.seeded.cancel()
        self.flushing.cancel()


class VolumeBoard:
    """The series that are being shown, each as long as somebody shows it."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], VolumeSeries] = {}
        self.users: dict[VolumeSeries, int] = {}

    def acquire(self, symbol: str, timeframe: str) -> VolumeSeries:
        series = self.series.get((symbol, timeframe))
        if series is None or has_failed(series):
            series = self.series[symbol, timeframe] = VolumeSeries(symbol, timeframe)
        self.users[series] = self.users.get(series, 0) + 1
        return series

    def release(self, series: VolumeSeries) -> None:
        self.users[series] -= 1
        if self.users[series] == 0:
            del self.users[series]
            series.close()
            if self.series.get((series.symbol, series.timeframe)) is series:
                del self.series[series.symbol, series.timeframe]


def has_failed(series: VolumeSeries) -> bool:
    seeded = series.seeded
    return seeded.done() and (seeded.cancelled() or seeded.exception() is not None)


board = VolumeBoard()
