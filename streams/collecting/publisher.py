"""Sends live orders to the channel layer, from any thread, in their order, many at a time."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog
from channels.layers import get_channel_layer

from streams.types import LIQUIDATIONS_GROUP, LiveOrder, live_orders_encode

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 500
WAITING_AT_MOST = 10_000  # while the layer is away; hubs read stored orders from the outbox
SEND_S = 2.0


class Publisher:
    """Runs in the event loop to which the channel layer belongs."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.layer: Any = get_channel_layer()
        self.waiting: deque[LiveOrder] = deque(maxlen=WAITING_AT_MOST)
        self.wake = asyncio.Event()
        self.last_fault = ""

    def publish(self, orders: Sequence[LiveOrder]) -> None:
        """Safe from any thread; nothing is raised, and nothing is waited for."""
        if orders:
            self.waiting.extend(orders)
            self.loop.call_soon_threadsafe(self.wake.set)

    async def run(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            while self.waiting:
                await self.send([self.waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self.waiting)))])

    async def send(self, orders: list[LiveOrder]) -> None:
        message = {"type": "live.orders", "orders": live_orders_encode(orders)}
        try:
            async with asyncio.timeout(SEND_S):
                await self.layer.group_send(LIQUIDATIONS_GROUP, message)
        except Exception as error:
            # Whatever the layer's client raises: the orders are stored, or will be, and are read from the outbox then.
            fault = f"{type(error).__name__}: {error}"
            if fault != self.last_fault:
                logger.error("live orders cannot be sent to the web processes, which read them late", error=fault)
            self.last_fault = fault
        else:
            self.last_fault = ""
