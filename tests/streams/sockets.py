"""Clients of the sockets, and live orders to send them."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from marketdata.types import Liquidation, Side
from streams.instruments import instruments_refresh
from streams.models import StreamCounter
from streams.outbox import COUNTER, orders_store
from streams.types import LIQUIDATIONS_GROUP, LiveOrder, live_orders_encode
from tests.live import LiveServer

SECONDS = 20  # how long a test waits for what has to come
SYMBOL = "BTCUSDT"


class Client:
    """A socket whose frames are read as JSON, with what has come so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: Any) -> None:
        self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def next(self, kind: str | None = None, seconds: float = SECONDS) -> dict[str, Any]:
        """The next frame (of this type; others are passed over)."""
        deadline = time.monotonic() + seconds
        while True:
            frame = json.loads(self.connection.recv(timeout=max(deadline - time.monotonic(), 0.01)))
            if kind is None or frame["type"] == kind:
                return frame

    def orders(self, count: int) -> list[dict[str, Any]]:
        """The next live orders."""
        return [self.next("liquidation_order") for _ in range(count)]

    def closed(self) -> tuple[int | None, str]:
        """The code and the reason with which the server ends the connection."""
        deadline = time.monotonic() + SECONDS
        try:
            while True:
                self.connection.recv(timeout=max(deadline - time.monotonic(), 0.01))
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (None, "")


@contextmanager
def client(server: LiveServer, path: str, **options: Any) -> Iterator[Client]:
    """A socket at /api/v1/ws``path``."""
    url = f"ws://127.0.0.1:{server.port}/api/v1/ws{path}"
    with connect(url, compression=None, close_timeout=1, open_timeout=SECONDS, **options) as connection:
        yield Client(connection)


def numbers_start() -> int:
    """Servers outlive a test and its tables: its numbers go on above all earlier ones."""
    last = time.time_ns() // 1_000_000
    StreamCounter.objects.update_or_create(pk=COUNTER, defaults={"last": last})
    return last


def liquidation(at: int | None = None, symbol: str = SYMBOL, **fields: Any) -> Liquidation:
    """A filled forced order, traded at ``at`` (ms; now by default); numbers may be given as text."""
    now_ms = time.time_ns() // 1_000_000
    at = now_ms if at is None else at
    quantity, price = Decimal(fields.get("quantity", "0.014")), Decimal(fields.get("price", "9910"))
    average_price = Decimal(fields.get("average_price", price))
    return Liquidation(
        venue="binance",
        symbol=symbol,
        side=Side(fields.get("side", "SELL")),
        order_type="LIMIT",
        time_in_force="IOC",
        status="FILLED",
        original_quantity=quantity,
        price=price,
        average_price=average_price,
        last_filled_quantity=quantity,
        filled_quantity=quantity,
        event_ms=at,
        sent_ms=at + 1,
        received_ms=now_ms,
    )


def refuse(position: int, reason: str) -> None:
    raise AssertionError(f"order {position} was rejected: {reason}")


def store(*orders: Liquidation) -> list[LiveOrder]:
    """Store without publishing: the hub finds them within a second or two."""
    instruments_refresh()
    return orders_store(orders, refuse)


def announce(*orders: Liquidation) -> list[LiveOrder]:
    """Store and, where processes share a channel layer, publish."""
    live = store(*orders)
    publish(live)
    return live


def publish(live: list[LiveOrder]) -> None:
    if settings.ENVIRONMENT.redis_url:
        asyncio.run(group_send(live))


async def group_send(live: list[LiveOrder]) -> None:
    layer: Any = get_channel_layer()
    await layer.group_send(LIQUIDATIONS_GROUP, {"type": "live.orders", "orders": live_orders_encode(live)})


Announce = Callable[..., list[LiveOrder]]
