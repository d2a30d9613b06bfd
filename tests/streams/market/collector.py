"""A collector's end of the channel layer: hears what is wanted, and publishes what a test says."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Self

from channels.layers import channel_layers, get_channel_layer

from marketdata.types import DepthDelta, DepthSnapshot, Instrument, Level, Side, Trade
from streams.market.hub import MarketHub
from streams.market_messages import DEMAND_GROUP, Demand, Feed, FeedKind, FeedMessage, decode_demand, encode
from streams.outgoing import Outgoing

SYMBOL = "BTCUSDT"
SECONDS = 10
BTC = Instrument(
    venue="binance",
    symbol=SYMBOL,
    base_asset="BTC",
    quote_asset="USDT",
    contract_type="PERPETUAL",
    status="TRADING",
    is_active=True,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)


class Wire:
    """Lives in the test's event loop."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Demand] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.layer: Any = get_channel_layer()
        self.channel = await self.layer.new_channel()
        await self.layer.group_add(DEMAND_GROUP, self.channel)
        self.listening = asyncio.create_task(self.listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.listening.cancel()
        await asyncio.gather(self.listening, return_exceptions=True)
        await self.layer.group_discard(DEMAND_GROUP, self.channel)

    async def listen(self) -> None:
        while True:
            message = await self.layer.receive(self.channel)
            self.heard.put_nowait(decode_demand(message["data"]))

    async def demand(self, is_meant: Callable[[Demand], bool] = lambda demand: True) -> Demand:
        """The next word that is meant; others are passed over."""
        async with asyncio.timeout(SECONDS):
            while not is_meant(demand := await self.heard.get()):
                pass
            return demand

    async def publish(self, feed: Feed, message: FeedMessage) -> None:
        await self.layer.group_send(feed.group, {"type": "market", "data": encode([message])})


class Reader:
    """Stands where a socket's `Outgoing` does, and keeps what it is given."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str] = asyncio.Queue()

    def put(self, text: str) -> None:
        self.frames.put_nowait(text)

    put_newest = put_last = put

    async def next(self) -> str:
        async with asyncio.timeout(SECONDS):
            return await self.frames.get()


class SlowClient:
    """A socket that takes nothing before it is told to `read`; ``outgoing`` is what the product sends with."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.writable = asyncio.Event()
        self.outgoing = Outgoing(self.send, 10, lambda: None)

    async def send(self, message: dict[str, Any]) -> None:
        await self.writable.wait()
        self.sent.append(message["text"])

    async def read(self) -> None:
        """All that is sent to it."""
        self.writable.set()
        await self.outgoing.settled()


def run(scenario: Callable[[Wire, MarketHub], Awaitable[None]]) -> None:
    """Both ends in one new event loop; a layer of an earlier loop is of no use in it."""

    async def main() -> None:
        channel_layers.backends.clear()
        hub = MarketHub()
        async with Wire() as wire:
            try:
                await scenario(wire, hub)
            finally:
                await hub.stop()

    asyncio.run(main())


def feed(kind: FeedKind, symbol: str = SYMBOL) -> Feed:
    return Feed(kind, symbol)


def levels(*pairs: tuple[str, str]) -> list[Level]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in pairs]


def snapshot(last_update_id: int, bid: str = "100.0", ask: str = "100.1") -> DepthSnapshot:
    return DepthSnapshot(
        venue="binance",
        symbol=SYMBOL,
        last_update_id=last_update_id,
        bids=levels((bid, "1")),
        asks=levels((ask, "1")),
        event_ms=1000 + last_update_id,
    )


def delta(previous: int, final: int, quantity: str = "2") -> DepthDelta:
    return DepthDelta(
        venue="binance",
        symbol=SYMBOL,
        first_id=previous + 1,
        final_id=final,
        previous_final_id=previous,
        bids=levels(("100.0", quantity)),
        asks=[],
        event_ms=1000 + final,
    )


def trade(id: int, event_ms: int = 0) -> Trade:
    return Trade(
        venue="binance",
        symbol=SYMBOL,
        id=id,
        price=Decimal("100.1"),
        quantity=Decimal("0.5"),
        taker_side=Side.BUY,
        event_ms=event_ms or 1_795_000_000_000 + id,
        received_ms=0,
        first_trade_id=id * 2,
        last_trade_id=id * 2 + 1,
    )
