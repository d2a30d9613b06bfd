"""Sends what there is of feeds to the channel layer, in its order."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog
from channels.layers import get_channel_layer

from marketdata.venues.binance import VENUE
from streams.market_messages import Feed, FeedMessage, FeedState, encode

logger = structlog.get_logger(__name__)

WAITING_AT_MOST = 10_000
SEND_S = 2.0
RETRY_S = 0.5
SAME_REASON_S = 5.0
AWAY = "the exchange cannot be reached"


class Post:
    """Runs in the event loop to which the channel layer belongs.

    All that waits of a feed goes as one message: each takes a round trip to Redis, so one at a time they would fall
    behind without end on a busy machine, or where Redis is far.

    What cannot be sent is dropped: it would be old. ``resume`` is called with the feeds of which something was dropped
    once messages go through again, and is to post what there is of them.
    """

    def __init__(self, resume: Callable[[set[Feed]], None]) -> None:
        self.resume = resume
        self.layer: Any = get_channel_layer()
        self.waiting: dict[Feed, list[msgspec.Raw]] = {}  # the longest first
        self.unsent = 0  # messages in it
        self.wake = asyncio.Event()
        self.said: dict[Feed, tuple[str, float]] = {}  # why a feed is not live, and when that was said last
        self.broken: set[Feed] = set()  # of which something was dropped
        self.last_fault = ""
        self.dropped = 0

    def post(self, feed: Feed, message: FeedMessage) -> None:
        """Nothing is raised, and nothing is waited for."""
        if self.said and not isinstance(message, FeedState):
            self.said.pop(feed, None)
        if self.unsent >= WAITING_AT_MOST:
            self.drop()
        self.waiting.setdefault(feed, []).append(msgspec.Raw(encode(message)))
        self.unsent += 1
        self.wake.set()

    def state(self, feed: Feed, fault: str) -> None:
        """Say that a feed is not live, and why; not every time that somebody asks."""
        # What the venue's errors tell of hosts and networks is for the log.
        reason = AWAY if fault.startswith(f"{VENUE}: ") else fault
        now_s = time.monotonic()
        before, said_s = self.said.get(feed, ("", 0.0))
        # Another collector may have the feed alive, and be heard in between.
        if reason != before or now_s - said_s >= SAME_REASON_S:
            self.said[feed] = reason, now_s
            self.post(feed, FeedState(kind=feed.kind, symbol=feed.symbol, reason=reason))

    def forget(self, feeds: Iterable[Feed]) -> None:
        """These are not kept any more."""
        for feed in feeds:
            self.said.pop(feed, None)

    async def run(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            while self.waiting:
                await self.send(next(iter(self.waiting)))

    async def send(self, feed: Feed) -> None:
        """All that waits of it, by now."""
        messages = self.waiting.pop(feed)
        self.unsent -= len(messages)
        try:
            async with asyncio.timeout(SEND_S):
                await self.layer.group_send(feed.group, {"type": "market", "data": encode(messages)})
        except Exception as error:
            # Whatever the layer's client raises.
            self.failed(error)
            await asyncio.sleep(RETRY_S)
            self.lost(feed, len(messages))
            self.drop()
        else:
            self.went_through()

    def failed(self, error: Exception) -> None:
        fault = f"{type(error).__name__}: {error}"
        if fault != self.last_fault:
            logger.error("market data cannot be sent to the web processes", error=fault)
        self.last_fault = fault

    def drop(self) -> None:
        for feed, messages in self.waiting.items():
            self.lost(feed, len(messages))
        self.waiting.clear()
        self.unsent = 0

    def lost(self, feed: Feed, count: int) -> None:
        self.dropped += count
        self.broken.add(feed)
        self.said.pop(feed, None)

    def went_through(self) -> None:
        if self.last_fault:
            logger.info("market data can be sent to the web processes again")
        self.last_fault = ""
        if self.broken:
            broken, self.broken = self.broken, set()
            self.resume(broken)
