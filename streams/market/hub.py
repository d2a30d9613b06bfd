"""Which feeds this web process wants, and the replicas that keep them for its sockets.

One member of the channel layer's groups for the whole process. What is wanted is said to the collectors at every change
and again and again, so a word that is lost, a collector that starts, and a process that dies need nothing else.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import structlog
from channels.layers import get_channel_layer

from marketdata.types import DepthDelta, DepthSnapshot
from streams.figures import FEED_MESSAGES, FEEDS
from streams.market.ranges import Ranges
from streams.market_messages import (
    DEMAND_GROUP,
    REPEAT_S,
    Demand,
    Feed,
    FeedKind,
    FeedMessage,
    FeedState,
    LiveCandles,
    decode_feed,
    encode,
)

logger = structlog.get_logger(__name__)

RETRY_S = 1.0
TICK_S = 0.25
STALLED_S = 1.0  # between two ticks, from when on the process has stood still
LACKING_S = 1.0  # between two requests for the beginning of a feed
SEND_S = 2.0
STOP_S = 1.0  # for a task to end


class Replica(Protocol):
    """What a process keeps of one feed. Lives in the event loop of the hub; none of its methods waits."""

    feed: Feed
    lacks_beginning: bool  # whether a collector is asked for its snapshot or tape

    def take(self, message: FeedMessage) -> None: ...

    def tick(self, now_s: float) -> None:
        """Called every `TICK_S`."""
        ...

    def close(self) -> None: ...


R = TypeVar("R", bound=Replica)


class MarketHub:
    """Feeds of one event loop; each has a replica as long as somebody uses it."""

    def __init__(self) -> None:
        self.process = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.replicas: dict[Feed, Replica] = {}
        self.users: dict[Feed, int] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.changed = asyncio.Event()
        self.layer: Any = None
        self.channel: str | None = None
        self.joined: set[Feed] = set()
        self.asked_s: dict[Feed, float] = {}  # when a beginning was asked for last
        self.last_fault = ""
        self.ranges = Ranges()

    def acquire(self, feed: Feed, make: Callable[[Feed], R]) -> R:
        """The feed's replica, made if nobody uses it yet; `release` it once for each time."""
        self.start()
        if feed not in self.replicas:
            self.replicas[feed] = make(feed)
            FEEDS.labels(feed.kind).inc()
            self.changed.set()
        self.users[feed] = self.users.get(feed, 0) + 1
        replica: Any = self.replicas[feed]
        return replica

    def release(self, feed: Feed) -> None:
        self.users[feed] -= 1
        if self.users[feed] == 0:
            del self.users[feed]
            self.replicas.pop(feed).close()
            self.asked_s.pop(feed, None)
            FEEDS.labels(feed.kind).dec()
            self.changed.set()

    def ask_again(self, feed: Feed) -> None:
        """A replica has missed something: its beginning is asked for, soon."""
        if self.asked_s.get(feed, 0.0) < time.monotonic() - LACKING_S:
            self.changed.set()

    def start(self) -> None:
        if not self.tasks:
            self.tasks = [asyncio.create_task(work()) for work in (self.receive, self.say, self.tick)]

    async def stop(self) -> None:
        """Say that nothing is wanted any more, and receive no longer."""
        if not self.tasks:
            return
        pending = set(self.tasks)
        while pending:
            # Again: on Python 3.11 `asyncio.wait_for`, which Redis' client sends with, may swallow a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=STOP_S)
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []
        await self.send(Demand(process=self.process, feeds=[]))

    async def receive(self) -> None:
        """Be the process's member of the groups, for ever."""
        while True:
            self.layer = get_channel_layer()
            try:
                self.channel = await self.layer.new_channel()
                self.changed.set()
                while True:
                    self.heard(await self.layer.receive(self.channel))
            except Exception as error:
                self.told(error)
                self.channel = None
                self.joined.clear()
                await asyncio.sleep(RETRY_S)

    def heard(self, message: dict[str, Any]) -> None:
        try:
            for each in decode_feed(message["data"]):
                self.take(each)
        except Exception:
            # Anything of the user's may send to a group, and a fault in one feed must not cost the others.
            logger.exception("a message of market data could not be taken")

    def take(self, message: FeedMessage) -> None:
        kind = kind_of(message)
        FEED_MESSAGES.labels(kind).inc()
        if replica := self.replicas.get(Feed(kind, message.symbol)):
            replica.take(message)

    async def say(self) -> None:
        """Join the groups of what is wanted, then ask for it: at every change, and every `REPEAT_S` while there is
        something."""
        while True:
            try:
                async with asyncio.timeout(REPEAT_S):
                    await self.changed.wait()
                had_changed = True
            except TimeoutError:
                had_changed = False
            self.changed.clear()
            if had_changed or self.replicas:
                await self.join_and_demand()

    async def join_and_demand(self) -> None:
        try:
            await self.join_groups()
        except Exception as error:
            self.told(error)
            return
        lacking = [feed for feed, replica in self.replicas.items() if replica.lacks_beginning]
        now_s = time.monotonic()
        self.asked_s |= dict.fromkeys(lacking, now_s)
        await self.send(Demand(process=self.process, feeds=list(self.replicas), lacks=lacking))

    async def join_groups(self) -> None:
        if self.channel is None:
            return
        # Meanwhile the layer may fail, and the next channel begins as a member of nothing.
        channel = self.channel
        for feed in self.replicas.keys() - self.joined:
            await self.layer.group_add(feed.group, channel)
            if channel != self.channel:
                return
            self.joined.add(feed)
        for feed in self.joined - self.replicas.keys():
            self.joined.discard(feed)
            await self.layer.group_discard(feed.group, channel)

    async def send(self, demand: Demand) -> None:
        layer: Any = self.layer or get_channel_layer()
        message = {"type": "market", "data": encode(demand)}
        try:
            async with asyncio.timeout(SEND_S):
                await layer.group_send(DEMAND_GROUP, message)
        except Exception as error:
            # Whatever the layer's client raises: it is said again soon.
            self.told(error)
        else:
            self.last_fault = ""

    def told(self, error: Exception) -> None:
        fault = f"{type(error).__name__}: {error}"
        if fault != self.last_fault:
            logger.error("the channel layer does not answer: books, trades and candles stand still", error=fault)
        self.last_fault = fault

    async def tick(self) -> None:
        ticked_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            has_stalled, ticked_s = now_s - ticked_s > STALLED_S, now_s
            if has_stalled:
                # What was sent meanwhile is to be heard first: nobody has been silent.
                continue
            for replica in tuple(self.replicas.values()):
                try:
                    replica.tick(now_s)
                except Exception:
                    # As in `heard`.
                    logger.exception("what time does to market data has failed", feed=replica.feed)
                if replica.lacks_beginning:
                    self.ask_again(replica.feed)


def kind_of(message: FeedMessage) -> FeedKind:
    if isinstance(message, FeedState):
        return message.kind
    if isinstance(message, DepthDelta | DepthSnapshot):
        return FeedKind.BOOK
    return FeedKind.CANDLES if isinstance(message, LiveCandles) else FeedKind.TRADES


hubs: dict[asyncio.AbstractEventLoop, MarketHub] = {}


def market_hub() -> MarketHub:
    """This event loop's hub; a server has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = MarketHub()
    return hubs[loop]
