"""Terminals that stay open through whatever happens, in an event loop of their own beside the test.

Each socket is opened anew when it ends, remembers what it was told, and notes whatever it should not have been told.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

MINUTE_MS = 60_000
WHOLE_LIST = 100  # trades
AGAIN_SECONDS = 0.2  # before a socket that has ended is opened anew
BOOK = '{"type":"orderbook_update"'
RAW = "0.0000000001"  # a rounding finer than any tick: levels as they are

Levels = tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]  # bids and asks, the best first
Figures = tuple[float, float, float, float, float]  # open, high, low, close, volume


class Told(NamedTuple):
    """``at_s`` is when it came, monotonic; ``event_ms`` the exchange's time that it speaks of."""

    at_s: float
    event_ms: int


class Watcher:
    """One socket. ``errors`` are frames of the server, ``faults`` its breaches of what it promises."""

    def __init__(self, port: int, path: str) -> None:
        self.url, self.path = f"ws://127.0.0.1:{port}/api/v1/ws{path}", path
        self.connections = 0
        self.errors: list[str] = []
        self.faults: list[str] = []
        self.told: list[Told] = []

    async def watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(10):
                    client = await connect(self.url, compression=None, max_size=None, close_timeout=0.2)
                try:
                    self.begin()
                    async for text in client:
                        self.hear(str(text))
                finally:
                    client.transport.abort()
            except (OSError, TimeoutError, WebSocketException):
                pass
            await asyncio.sleep(AGAIN_SECONDS)

    def begin(self) -> None:
        self.connections += 1

    def hear(self, text: str) -> None:
        message = json.loads(text)
        if message["type"] == "error":
            self.errors.append(message["message"])
        else:
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        raise NotImplementedError

    def told_since(self, event_ms: int) -> float | None:
        """When it was first told of something that happened at the exchange no earlier than that."""
        return next((told.at_s for told in tuple(self.told) if told.event_ms >= event_ms), None)


class BookWatcher(Watcher):
    """Keeps the newest book."""

    def __init__(self, port: int, symbol: str, limit: int) -> None:
        super().__init__(port, f"/orderbook/{symbol}?limit={limit}&rounding={RAW}")
        self.symbol, self.limit = symbol, limit
        self.newest: tuple[float, str] | None = None  # when it came, monotonic seconds, and the frame

    def hear(self, text: str) -> None:
        # Large ones come often, and only few are looked at.
        if text.startswith(BOOK):
            self.newest = time.monotonic(), text
        else:
            super().hear(text)

    def take(self, message: dict[str, Any]) -> None:
        self.faults.append(f"not known: {message}")

    @property
    def shown(self) -> tuple[float, Levels] | None:
        """When the newest book came, and what it is."""
        newest = self.newest
        return newest and (newest[0], levels_of(json.loads(newest[1])))


def levels_of(message: dict[str, Any]) -> Levels:
    """Of an ``orderbook_update``."""
    bids, asks = message["bids"], message["asks"][::-1]
    return (
        tuple((level["price"], level["amount"]) for level in bids),
        tuple((level["price"], level["amount"]) for level in asks),
    )


class TradesWatcher(Watcher):
    """Follows the ids. A whole list, and what a connection begins with, holds the newest hundred: more than that may
    have been missed.
    """

    def __init__(self, port: int, symbol: str, *, only_new: bool) -> None:
        super().__init__(port, f"/trades/{symbol}" + ("?mode=delta" if only_new else ""))
        self.symbol, self.only_new = symbol, only_new
        self.trades: dict[int, tuple[float, float, str]] = {}  # price, amount, side
        self.last = 0

    def take(self, message: dict[str, Any]) -> None:
        # In the order in which they were traded.
        trades = message["trades"][::-1]
        if not trades:
            return
        ids = [int(trade["id"]) for trade in trades]
        is_delta = self.only_new and not message["initial"]
        if not self.follows(ids, is_delta=is_delta):
            self.faults.append(f"after {self.last}: {ids}")
        for id, trade in zip(ids, trades, strict=True):
            self.trades[id] = trade["price"], trade["amount"], trade["side"]
        self.last = max(self.last, ids[-1])
        self.told.append(Told(time.monotonic(), trades[-1]["timestamp"]))

    def follows(self, ids: Sequence[int], *, is_delta: bool) -> bool:
        if any(later != earlier + 1 for earlier, later in pairwise(ids)):
            return False
        if not self.last or is_delta:
            return ids[0] == (self.last or ids[0] - 1) + 1
        return self.last <= ids[-1] and (ids[0] <= self.last + 1 or len(ids) == WHOLE_LIST)


class CandlesWatcher(Watcher):
    """Draws a chart, whose candles must follow each other without a hole."""

    def __init__(self, port: int, symbol: str) -> None:
        super().__init__(port, f"/candles/{symbol}/1m")
        self.symbol = symbol
        self.chart: dict[int, Figures] = {}  # by the opening

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "historical_candles":
            self.chart = {candle["timestamp"]: figures_of(candle) for candle in message["data"]}
            opens = list(self.chart)
            if any(later - earlier != MINUTE_MS for earlier, later in pairwise(opens)):
                self.faults.append(f"a history with a hole: {opens}")
            return
        open_ms = message["timestamp"]
        if self.chart and not 0 <= open_ms - max(self.chart) <= MINUTE_MS:
            self.faults.append(f"{open_ms} follows {max(self.chart)}")
        self.chart[open_ms] = figures_of(message)
        self.told.append(Told(time.monotonic(), message["stream_timestamp"]))


def figures_of(candle: dict[str, Any]) -> Figures:
    return candle["open"], candle["high"], candle["low"], candle["close"], candle["volume"]


class LiquidationsWatcher(Watcher):
    """Live orders, none of them twice."""

    def __init__(self, port: int, symbol: str) -> None:
        super().__init__(port, f"/liquidations/{symbol}?timeframe=1m")
        self.seen: set[Any] = set()

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] != "liquidation_order" or message.get("initial"):
            return
        order = message["data"]
        # One that was shown while it could not be stored may come again, with its number.
        key = order["timestamp"], order["side"], order["quantity"], order["avgPrice"], message["sequence"] is None
        if key in self.seen:
            self.faults.append(f"twice: {message}")
        self.seen.add(key)


class Terminal:
    """The four sockets of one symbol at one server."""

    def __init__(self, port: int, symbol: str, *, only_new: bool, limit: int) -> None:
        self.symbol = symbol
        self.book = BookWatcher(port, symbol, limit)
        self.trades = TradesWatcher(port, symbol, only_new=only_new)
        self.candles = CandlesWatcher(port, symbol)
        self.liquidations = LiquidationsWatcher(port, symbol)

    @property
    def is_shown(self) -> bool:
        """Whether all that may be looked at is there."""
        return bool(self.book.newest and self.trades.trades and self.candles.chart)

    @property
    def watchers(self) -> Sequence[Watcher]:
        return self.book, self.trades, self.candles, self.liquidations


@contextmanager
def terminals_open(ports: Sequence[int], symbols: Sequence[str], limit: int = 20) -> Iterator[list[Terminal]]:
    """Two for each symbol, in different servers where there are several; one of them has only new trades sent."""
    terminals = [
        Terminal(ports[(number + turn) % len(ports)], symbol, only_new=bool(number), limit=limit)
        for turn, symbol in enumerate(symbols)
        for number in range(2)
    ]
    watchers = [watcher for terminal in terminals for watcher in terminal.watchers]
    is_over = threading.Event()

    async def watch_until_over() -> None:
        tasks = [asyncio.create_task(watcher.watch()) for watcher in watchers]
        while not is_over.is_set():
            await asyncio.sleep(0.1)
        for watcher, task in zip(watchers, tasks, strict=True):
            if task.done():
                watcher.faults.append(f"cannot be understood: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=[watch_until_over()], daemon=True)
    thread.start()
    try:
        yield terminals
    finally:
        is_over.set()
        thread.join()
