"""`make bench BENCH=orderbook` (`ARGS="--markdown"`): diffs and aggregations a second, beside two other books.

The stream is ten minutes of BTCUSDT as it was recorded (LIQUI_RECORDINGS names the folder), its frames decoded as the
collector does; only the books' own work is timed, by the CPU. All books must show the same, or nothing is reported.
"""

import argparse
import gc
import gzip
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

import msgspec
from sortedcontainers import SortedDict

from benchmarks.machine import description
from benchmarks.main import run
from benchmarks.report import aligned, markdown, number
from benchmarks.server import BenchmarkFailed
from marketdata.books.aggregation import ShownLevel, aggregate
from marketdata.books.book import OrderBook
from marketdata.books.parameters import BookParameters
from marketdata.types import DepthDelta, DepthSnapshot, Instrument, Level
from marketdata.venues.binance.wire import decode
from streams.book_frames import orderbook_frame

FILES = ("wsraw_btcusdt_20240718.txt.gz", "wsraw_btcusdt_20240719.txt.gz")
ROUNDS = 3
CHUNK = 50  # deltas that are decoded, then applied, then shown
LIMIT = 20
ROUNDINGS = (Decimal("0.1"), Decimal(10), Decimal(100))  # the price step, the terminal's default, and one much wider
DUST = Decimal("0.000001")
NOW = 1_790_000_000_000
BTC = Instrument(
    venue="binance",
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    contract_type="PERPETUAL",
    status="TRADING",
    is_active=True,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)

View = tuple[list[ShownLevel], list[ShownLevel]]  # best first


class Book(Protocol):
    def load(self, snapshot: DepthSnapshot) -> None: ...

    def apply(self, delta: DepthDelta) -> None: ...

    def view(self, rounding: Decimal) -> View: ...


class Ours:
    def __init__(self) -> None:
        self.book = OrderBook("BTCUSDT")
        self.load, self.apply = self.book.load, self.book.apply

    def view(self, rounding: Decimal) -> View:
        view = aggregate(self.book, LIMIT, rounding)
        return view.bids, view.asks[::-1]


class PlainBook:
    """A dictionary for each side, sorted whenever it is shown. Checks nothing: neither ids nor crossing."""

    def __init__(self) -> None:
        self.bids, self.asks = self.sides()

    def sides(self) -> tuple[Any, Any]:
        return {}, {}

    def load(self, snapshot: DepthSnapshot) -> None:
        self.bids.update(snapshot.bids)
        self.asks.update(snapshot.asks)

    def apply(self, delta: DepthDelta) -> None:
        for side, changes in ((self.bids, delta.bids), (self.asks, delta.asks)):
            for price, quantity in changes:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def best_first(self) -> tuple[Iterable[Level], Iterable[Level]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())

    def view(self, rounding: Decimal) -> View:
        bids, asks = self.best_first()
        return added_up(bids, rounding, ROUND_FLOOR), added_up(asks, rounding, ROUND_CEILING)


class SortedBook(PlainBook):
    """As the plain one, but its sides are in order at any time."""

    def sides(self) -> tuple[Any, Any]:
        return SortedDict(), SortedDict()

    def best_first(self) -> tuple[Iterable[Level], Iterable[Level]]:
        return ((price, self.bids[price]) for price in reversed(self.bids)), self.asks.items()


def added_up(levels: Iterable[Level], rounding: Decimal, way: str) -> list[ShownLevel]:
    """The first levels of what is sorted, in one pass that ends when there are enough."""
    shown: list[ShownLevel] = []
    cumulative = amount = Decimal(0)
    bucket: Decimal | None = None
    for price, quantity in levels:
        multiple = (price / rounding).to_integral_value(way) * rounding
        if bucket is not None and multiple != bucket:
            if bucket and amount > DUST:
                cumulative += amount
                shown.append((float(bucket), float(amount), float(cumulative)))
                if len(shown) == LIMIT:
                    return shown
            amount = Decimal(0)
        bucket = multiple
        amount += quantity
    if bucket and amount > DUST:
        shown.append((float(bucket), float(amount), float(cumulative + amount)))
    return shown


BOOKS: dict[str, type[Book]] = {"liqui": Ours, "dict, sorted when shown": PlainBook, "SortedDict": SortedBook}


class Recording(NamedTuple):
    snapshot: DepthSnapshot
    frames: list[bytes]  # of the deltas behind it


class Measured:
    """Seconds spent by one book: in applying, and in showing by rounding."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.applying: list[float] = []
        self.showing: dict[Decimal, list[float]] = {rounding: [] for rounding in ROUNDINGS}


def recording_read(folder: Path) -> Recording:
    snapshot: DepthSnapshot | None = None
    frames: list[bytes] = []
    for line in recorded_lines(folder):
        if b"lastUpdateId" in line:
            body = msgspec.json.decode(line)
            snapshot = DepthSnapshot(
                venue="binance",
                symbol="BTCUSDT",
                last_update_id=body["lastUpdateId"],
                bids=levels(body["bids"]),
                asks=levels(body["asks"]),
                event_ms=body["T"],
            )
        elif b"depthUpdate" in line:
            frames.append(line)
    if snapshot is None:
        raise BenchmarkFailed(f"{folder}: no snapshot in {FILES[0]}")
    last_id = snapshot.last_update_id
    return Recording(snapshot, [frame for frame in frames if delta_of(frame).final_id >= last_id])


def levels(written: Iterable[tuple[str, str]]) -> list[Level]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in written]


def recorded_lines(folder: Path) -> Iterator[bytes]:
    try:
        for name in FILES:
            with gzip.open(folder / name, "rb") as lines:
                yield from (line.partition(b" ")[2] for line in lines)
    except OSError as error:
        raise BenchmarkFailed(f"the recordings cannot be read: {error}; LIQUI_RECORDINGS names their folder") from error


def decoded(frames: Sequence[bytes]) -> list[DepthDelta]:
    return [delta_of(frame) for frame in frames]


def delta_of(frame: bytes) -> DepthDelta:
    (delta,) = decode(frame, NOW)
    if not isinstance(delta, DepthDelta):
        raise BenchmarkFailed(f"not a depth update: {delta}")
    return delta


def measure(recording: Recording, rounds: int) -> list[Measured]:
    """All books over the whole recording, in turns after every chunk of it."""
    measured = [Measured(name) for name in BOOKS]
    for _ in range(rounds):
        books = [make() for make in BOOKS.values()]
        for each, book in zip(measured, books, strict=True):
            book.load(recording.snapshot)
            each.applying.append(0.0)
        for start in range(0, len(recording.frames), CHUNK):
            frames = recording.frames[start : start + CHUNK]
            # Decoded for each book: a decimal remembers its hash, which is what a dictionary spends its time on.
            views = [step(each, book, decoded(frames)) for each, book in zip(measured, books, strict=True)]
            if any(view != views[0] for view in views):
                raise BenchmarkFailed(f"the books differ {start + len(frames)} updates after the snapshot")
    return measured


def step(measured: Measured, book: Book, deltas: Sequence[DepthDelta]) -> list[View]:
    """Apply a chunk, and show the book in every way."""
    began = time.process_time()
    for delta in deltas:
        book.apply(delta)
    measured.applying[-1] += time.process_time() - began
    return [shown(measured, book, rounding) for rounding in ROUNDINGS]


def shown(measured: Measured, book: Book, rounding: Decimal) -> View:
    began = time.process_time()
    view = book.view(rounding)
    measured.showing[rounding].append(time.process_time() - began)
    return view


def frame_us(recording: Recording, rounding: Decimal) -> float:
    """The median of aggregating our book and writing its frame."""
    book = OrderBook("BTCUSDT")
    book.load(recording.snapshot)
    times: list[float] = []
    for place, frame in enumerate(recording.frames):
        book.apply(delta_of(frame))
        if place % CHUNK == 0:
            began = time.process_time()
            view = aggregate(book, LIMIT, rounding)
            orderbook_frame(view, BookParameters(LIMIT, rounding), BTC, ROUNDINGS, NOW)
            times.append(time.process_time() - began)
    return median(times) * 1e6


def cells(measured: Measured, deltas: int) -> tuple[str, ...]:
    return (
        measured.name,
        number(deltas / median(measured.applying)),
        *(number(1 / median(times)) for times in measured.showing.values()),
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orderbook", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of which medians are taken (default {ROUNDS})")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    options = parser.parse_args(arguments)
    recording = recording_read(Path(os.environ.get("LIQUI_RECORDINGS", ".")))
    gc.collect()
    gc.freeze()
    deltas = len(recording.frames)
    measured = measure(recording, options.rounds)
    changes = sum(len(delta.bids) + len(delta.asks) for delta in map(delta_of, recording.frames))
    print(f"{deltas:,} diffs of {changes / deltas:.0f} levels, medians by CPU time. {description()}.\n")
    head = ("a second", "diffs applied", *(f"shown, {LIMIT} levels of {rounding}" for rounding in ROUNDINGS))
    table = markdown if options.markdown else aligned
    print("\n".join(table([head, *(cells(each, deltas) for each in measured)])))
    frames = ", ".join(f"{number(frame_us(recording, rounding))} µs of {rounding}" for rounding in ROUNDINGS)
    print(f"\nall books showed the same. liqui, aggregated and written as a frame: {frames}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, sys.argv[1:]))
