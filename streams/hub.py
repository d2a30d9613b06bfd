"""The one receiver of live orders in a web process, and who in it gets which.

A member per process, not per socket: what the publisher encoded once is handed on as it is. The group may lose
messages (Redis goes away, a queue is full); the numbers tell, and the outbox has what is missing.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import structlog
from channels.layers import get_channel_layer

from streams.figures import DELIVERED, MENDED
from streams.outbox import outbox_head, outbox_since
from streams.reading import read
from streams.sequence import Sequence
from streams.types import LIQUIDATIONS_GROUP, LiveOrder, live_orders_decode

logger = structlog.get_logger(__name__)

POLL_S = 1.0  # how long nothing may come before the outbox is asked whether there is something
REORDERING_S = 0.05  # two collectors publish side by side: a number may come a moment after its successor
RETRY_S = 1.0
PAGE = 1000
READY_S = 5.0
# Frames between two turns of the event loop, and orders: a socket's buffer must not be filled before it is written.
FRAMES_PER_TURN, ORDERS_PER_TURN = 5000, 50


class Member(Protocol):
    def take(self, order: LiveOrder) -> None: ...

    def tick(self, now_s: float) -> None:
        """Called about once a second."""
        ...


class Hub:
    """Hands live orders to its members, each once and in the order of their numbers. Lives in one event loop."""

    def __init__(self) -> None:
        self.sequence = Sequence()
        self.everything: set[Member] = set()
        self.by_symbol: dict[str, set[Member]] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.ready, self.looked = asyncio.Event(), asyncio.Event()
        self.hole = asyncio.Event()
        self.turn = asyncio.Lock()
        self.last_taken_s = 0.0
        self.is_away = False

    @property
    def head(self) -> int | None:
        """The number of the newest order that the members have got, or are getting."""
        return self.sequence.head

    def start(self) -> None:
        """Begin to receive; to be called again is harmless."""
        if not self.tasks:
            self.tasks = [asyncio.create_task(work()) for work in (self.receive, self.follow_outbox, self.tick)]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []

    async def has_looked(self) -> None:
        """Waits a moment for the first look at the outbox, whatever came of it."""
        self.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                await self.looked.wait()

    def join(self, member: Member, symbol: str | None = None) -> None:
        """``member`` gets the orders of ``symbol``, or all, that come from now on."""
        self.start()
        members = self.everything if symbol is None else self.by_symbol.setdefault(symbol, set())
        members.add(member)

    def leave(self, member: Member, symbol: str | None = None) -> None:
        members = self.everything if symbol is None else self.by_symbol.get(symbol, set())
        members.discard(member)
        if symbol is not None and not members:
            self.by_symbol.pop(symbol, None)

    @property
    def members(self) -> list[Member]:
        return [*self.everything, *(member for members in self.by_symbol.values() for member in members)]

    async def receive(self) -> None:
        """Be the process's member of the group, for ever."""
        while True:
            layer: Any = get_channel_layer()
            try:
                channel = await layer.new_channel()
                await layer.group_add(LIQUIDATIONS_GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    await self.take(live_orders_decode(message["orders"]))
            except Exception as error:
                logger.warning(f"the channel layer does not answer, live orders come from the database: {error}")
                await asyncio.sleep(RETRY_S)

    async def take(self, orders: Iterable[LiveOrder]) -> None:
        """Orders from the group: hand on what follows, look for what is missing."""
        self.last_taken_s = time.monotonic()
        async with self.turn:
            await self.deliver(self.sequence.accept(orders))
        if self.sequence.has_hole:
            self.hole.set()

    async def follow_outbox(self) -> None:
        """Read what the group has not brought; begins with where the numbers are. Nobody waits for it: while the
        database does not answer, orders without a number go on."""
        while True:
            is_quiet = time.monotonic() - self.last_taken_s >= POLL_S
            if is_quiet or self.sequence.has_hole or not self.ready.is_set():
                await self.mend_if_possible()
            self.hole.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self.hole.wait()
                    await asyncio.sleep(REORDERING_S)

    async def mend_if_possible(self) -> None:
        try:
            await self.mend()
        except Exception as error:
            if not self.is_away:
                logger.warning(f"the database does not answer the sockets: {error}")
            self.is_away = True
        else:
            self.is_away = False
        self.looked.set()

    async def mend(self) -> None:
        """Hand on everything that the outbox has and we have not. Raises what the database raises."""
        before = self.sequence.head
        head = await read(outbox_head)
        # Lower than what we had seen before we asked: it is another database, or an emptied one.
        if self.sequence.head is None or (before is not None and head < before):
            self.sequence.restart(head)
        self.ready.set()
        missing = head > (self.sequence.head or 0) or self.sequence.has_hole
        while missing:
            orders = await read(outbox_since, self.sequence.head or 0, PAGE)
            MENDED.inc(len(orders))
            async with self.turn:
                await self.deliver(self.sequence.fill(orders))
            missing = len(orders) == PAGE
        # What the outbox does not have any more is not waited for.
        async with self.turn:
            await self.deliver(self.sequence.reach(head))

    async def deliver(self, orders: list[LiveOrder]) -> None:
        most = max(1, min(ORDERS_PER_TURN, FRAMES_PER_TURN // max(1, len(self.members))))
        for first in range(0, len(orders), most):
            some = orders[first : first + most]
            DELIVERED.inc(len(some))
            # Socket by socket and not order by order: the second write to a socket costs less than the first, since all
            # that the processor needs for it is at hand.
            for member in tuple(self.everything):
                for order in some:
                    member.take(order)
            for order in some:
                for member in tuple(self.by_symbol.get(order.symbol, ())):
                    member.take(order)
            # A burst must not keep the sockets from being read and written.
            await asyncio.sleep(0)

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            now_s = time.monotonic()
            for member in self.members:
                member.tick(now_s)


hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """This event loop's hub; a server has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]
