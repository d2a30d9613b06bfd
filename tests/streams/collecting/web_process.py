"""What a web process is to a collector: somebody at the channel layer who says what it wants, and hears."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.layers import get_channel_layer

from marketdata.books.sync import BookSync
from marketdata.trades import TradeTape
from marketdata.types import Candle, DepthDelta, DepthSnapshot, Trade
from streams.market_messages import (
    DEMAND_GROUP,
    REPEAT_S,
    Demand,
    Feed,
    FeedKind,
    FeedMessage,
    FeedState,
    LiveCandles,
    NewTrades,
    Tape,
    decode_feed,
    encode,
)


def book(symbol: str = "BTCUSDT") -> Feed:
    return Feed(FeedKind.BOOK, symbol)


def trades(symbol: str = "BTCUSDT") -> Feed:
    return Feed(FeedKind.TRADES, symbol)


def candles(symbol: str = "BTCUSDT") -> Feed:
    return Feed(FeedKind.CANDLES, symbol)


class WebProcess:
    """``heard`` is all that was published of each feed that it has ever wanted, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layer: Any = get_channel_layer()
        self.feeds: list[Feed] = []
        self.heard: dict[Feed, list[FeedMessage]] = defaultdict(list)
        self.joined: set[Feed] = set()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.channel = await self.layer.new_channel()
        self.tasks = [asyncio.create_task(work()) for work in (self.receive, self.repeat)]

    async def want(self, *feeds: Feed, lacks: bool = True) -> None:
        """These from now on; the beginnings of what is new are asked for."""
        new = [feed for feed in feeds if feed not in self.feeds]
        self.feeds = list(feeds)
        for feed in set(feeds) - self.joined:
            await self.layer.group_add(feed.group, self.channel)
            self.joined.add(feed)
        await self.say(new if lacks else [])

    async def say(self, lacks: list[Feed] | None = None) -> None:
        demand = Demand(process=self.name, feeds=self.feeds, lacks=lacks or [])
        await self.layer.group_send(DEMAND_GROUP, {"type": "market", "data": encode(demand)})

    async def die(self) -> None:
        """Without a word."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for feed in self.joined:
            await self.layer.group_discard(feed.group, self.channel)

    async def receive(self) -> None:
        while True:
            for message in decode_feed((await self.layer.receive(self.channel))["data"]):
                self.heard[feed_of(message)].append(message)

    async def repeat(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_S)
            if self.feeds:
                await self.say()

    # What it makes of that

    def states(self, feed: Feed) -> list[FeedState]:
        return [each for each in self.heard[feed] if isinstance(each, FeedState)]

    def book(self, symbol: str = "BTCUSDT") -> BookSync:
        """The collector's book, followed from its first message to its last."""
        sync = BookSync(symbol)
        for message in self.heard[book(symbol)]:
            if isinstance(message, DepthDelta):
                sync.take_delta(message)
            elif isinstance(message, DepthSnapshot):
                sync.take_snapshot(message)
            elif isinstance(message, FeedState):
                sync.lost(message.reason)
        return sync

    def tape(self, symbol: str = "BTCUSDT") -> list[Trade]:
        """The trades of the first whole tape, and what has followed them without a hole."""
        tape = TradeTape(limit=100_000)
        for message in self.heard[trades(symbol)]:
            if isinstance(message, Tape):
                tape.seed(message.trades)
            elif isinstance(message, NewTrades) and tape.is_seeded:
                tape.take(message.trades)
        return tape.snapshot()

    def new_trades(self, symbol: str = "BTCUSDT") -> list[Trade]:
        """As they came."""
        messages = (each for each in self.heard[trades(symbol)] if isinstance(each, NewTrades))
        return [trade for message in messages for trade in message.trades]

    def candles(self, symbol: str = "BTCUSDT") -> dict[int, Candle]:
        """The last that was said of each minute."""
        return {
            candle.open_ms: candle
            for message in self.heard[candles(symbol)]
            if isinstance(message, LiveCandles)
            for candle in message.candles
        }


def feed_of(message: FeedMessage) -> Feed:
    if isinstance(message, FeedState):
        return Feed(message.kind, message.symbol)
    if isinstance(message, DepthDelta | DepthSnapshot):
        return book(message.symbol)
    return candles(message.symbol) if isinstance(message, LiveCandles) else trades(message.symbol)


@asynccontextmanager
async def web_process(name: str = "web") -> AsyncIterator[WebProcess]:
    web = WebProcess(name)
    await web.start()
    try:
        yield web
    finally:
        await web.die()
