"""Makers of order book data, plain books to compare with, and the recorded streams."""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from marketdata.books.book import OrderBook
from marketdata.types import BookTicker, DepthDelta, DepthSnapshot, Instrument, Level
from marketdata.venues.binance.wire import decode

Written = Iterable[tuple[str | Decimal, str | Decimal]]

DEPTH, TICKER = b"depthUpdate", b"bookTicker"


def levels(written: Written) -> list[Level]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in written]


def snapshot(id: int, bids: Written = (), asks: Written = (), symbol: str = "BTCUSDT", at: int = 0) -> DepthSnapshot:
    return DepthSnapshot(
        venue="binance", symbol=symbol, last_update_id=id, bids=levels(bids), asks=levels(asks), event_ms=at or id
    )


def delta(
    first: int, final: int, previous: int, bids: Written = (), asks: Written = (), symbol: str = "BTCUSDT", at: int = 0
) -> DepthDelta:
    return DepthDelta(
        venue="binance",
        symbol=symbol,
        first_id=first,
        final_id=final,
        previous_final_id=previous,
        bids=levels(bids),
        asks=levels(asks),
        event_ms=at or final,
    )


def book_of(bids: Written = (), asks: Written = ()) -> OrderBook:
    book = OrderBook("BTCUSDT")
    book.load(snapshot(1, bids, asks))
    return book


def instrument(tick: str | None = "0.1", lot: str | None = "0.001", symbol: str = "BTCUSDT") -> Instrument:
    return Instrument(
        venue="binance",
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        contract_type="PERPETUAL",
        status="TRADING",
        is_active=True,
        tick_size=Decimal(tick) if tick else None,
        lot_size=Decimal(lot) if lot else None,
    )


class PlainBook:
    """What a book must be, the simplest way: a dictionary for each side."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def change(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in changes:
                side[price] = quantity
                if not quantity:
                    del side[price]

    def levels(self) -> tuple[list[Level], list[Level]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())


# Recordings

Recorded = tuple[DepthSnapshot | DepthDelta | bytes, int]  # bytes: a bookTicker's frame, decoded only where needed


def recorded_lines(*paths: Path) -> Iterator[Recorded]:
    """Snapshots, deltas and best levels in the order in which they were received, each with its update id."""
    for path in paths:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                _, _, frame = line.partition(b" ")
                if b"lastUpdateId" in frame:
                    snapshot = rest_snapshot("BTCUSDT", frame)
                    yield snapshot, snapshot.last_update_id
                elif DEPTH in frame:
                    delta = one(frame)
                    yield delta, delta.final_id
                elif TICKER in frame:
                    yield frame, int(frame[frame.index(b'"u":') + 4 : frame.index(b',"s"')])


def recorded_2021(folder: Path) -> list[tuple[float, DepthSnapshot | DepthDelta | BookTicker]]:
    """Of four symbols, each with the time at which it was received, in that order."""
    received: list[tuple[float, DepthSnapshot | DepthDelta | BookTicker]] = []
    with gzip.open(folder / "wsraw_multi_2021-07-22.http.txt.gz", "rb") as answers:
        for line in answers:
            if found := re.match(rb"\S+symbol=(\w+)\S* -> ([\d.]+): (.*)", line):
                received.append((float(found[2]), rest_snapshot(found[1].decode(), found[3])))
    with gzip.open(folder / "wsraw_multi_2021-07-22.ws.txt.gz", "rb") as frames:
        for line in frames:
            time, _, frame = line.partition(b": ")
            if DEPTH in frame or TICKER in frame:
                received.append((float(time), one(frame)))
    return sorted(received, key=lambda each: each[0])


def rest_snapshot(symbol: str, body: bytes) -> DepthSnapshot:
    fields: dict[str, Any] = msgspec.json.decode(body)
    return snapshot(fields["lastUpdateId"], fields["bids"], fields["asks"], symbol, fields["T"])


def one(frame: bytes) -> Any:
    (event,) = decode(frame, 0)
    return event


def best(book: OrderBook) -> tuple[Level | None, Level | None]:
    return book.best_bid, book.best_ask


def best_of(ticker: BookTicker) -> tuple[Level, Level]:
    return ticker.best_bid, ticker.best_ask


def last_until(tickers: Sequence[BookTicker], id: int) -> BookTicker | None:
    """The newest of them up to an update id."""
    return max((each for each in tickers if each.update_id <= id), key=lambda each: each.update_id, default=None)
