"""Messages of feeds on their way to the channel layer."""

import asyncio
import time
from typing import Any

from channels.layers import get_channel_layer

from marketdata.types import Trade
from streams.collecting.posting import Post
from streams.market_messages import Feed, FeedKind, NewTrades, decode_feed
from tests.backend import sqlite_only
from tests.streams.market.collector import trade

pytestmark = sqlite_only("it is about the collector's end of the layer")

ROUND_TRIP_S = 0.02
MESSAGES = 400


class FarLayer:
    """The channel layer, at a distance."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(ROUND_TRIP_S)
        await self.layer.group_send(group, message)


def test_a_layer_that_is_far_away_delays_nothing_by_more_than_its_distance_and_keeps_the_order() -> None:
    async def scenario() -> None:
        post = Post(lambda feeds: None)
        layer: Any = get_channel_layer()
        post.layer = FarLayer(layer)
        feeds = [Feed(FeedKind.TRADES, f"A{number}USDT") for number in range(4)]
        channel = await layer.new_channel()
        for feed in feeds:
            await layer.group_add(feed.group, channel)
        sending, began_s = asyncio.create_task(post.run()), time.monotonic()
        for number in range(MESSAGES):
            symbol = feeds[number % 4].symbol
            post.post(feeds[number % 4], NewTrades(symbol=symbol, trades=[trade(number)]))
        came: dict[str, list[Trade]] = {feed.symbol: [] for feed in feeds}
        while sum(map(len, came.values())) < MESSAGES:
            async with asyncio.timeout(10):
                for message in decode_feed((await layer.receive(channel))["data"]):
                    assert isinstance(message, NewTrades)
                    came[message.symbol] += message.trades
        # One by one they would take eight seconds.
        assert time.monotonic() - began_s < MESSAGES * ROUND_TRIP_S / 4
        for first, feed in enumerate(feeds):
            assert [each.id for each in came[feed.symbol]] == list(range(first, MESSAGES, 4))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(scenario())
