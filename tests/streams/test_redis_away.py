"""What only the group brings, and what the outbox brings while the group is away: a server over a private Redis."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from streams.outbox import live_order
from streams.types import LIQUIDATIONS_GROUP, LiveOrder, live_orders_encode
from tests.backend import server_only
from tests.live import LiveServer, serving
from tests.streams.sockets import SYMBOL, Client, client, liquidation, numbers_start, store
from tools.servers import PrivateRedis

pytestmark = server_only("a private Redis is started once")


@pytest.fixture
def server(committed: None, private_redis: PrivateRedis, tmp_path: Path) -> Iterator[LiveServer]:
    numbers_start()
    # Makes the symbol known, and is old when the server starts.
    store(liquidation(quantity="1"))
    with serving("asgi", tmp_path, REDIS_URL=private_redis.url()) as live:
        yield live


def publish(redis: PrivateRedis, orders: Sequence[LiveOrder]) -> None:
    """As one more publisher does it."""
    message = {"type": "live.orders", "orders": live_orders_encode(list(orders))}

    async def send() -> None:
        layer: Any = RedisPubSubChannelLayer(hosts=[redis.url()], prefix=settings.CACHE_KEY_PREFIX)
        await layer.group_send(LIQUIDATIONS_GROUP, message)
        await layer.flush()

    asyncio.run(send())


def orders_of_symbol(socket: Client, count: int) -> list[dict[str, Any]]:
    """The next orders but those of `wait_live`."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += [frame for frame in socket.orders(1) if frame["symbol"] == SYMBOL]
    return found


def wait_live(redis: PrivateRedis, socket: Client) -> None:
    """Until what the group alone can bring comes through the socket of all symbols."""
    for attempt in range(100):
        marker = live_order(liquidation(symbol="MARKUSDT", quantity=str(attempt + 1)), None)
        publish(redis, [marker])
        try:
            while socket.next("liquidation_order", seconds=0.5)["symbol"] != "MARKUSDT":
                pass
        except TimeoutError:
            continue
        return
    raise AssertionError("the group does not bring anything")


def test_orders_without_a_number_come_once_from_two_publishers_and_again_with_their_number(
    server: LiveServer, private_redis: PrivateRedis
) -> None:
    waiting, later = liquidation(quantity="2"), liquidation(quantity="3")
    with client(server, "/liquidations") as everything, client(server, f"/liquidations/{SYMBOL}") as single:
        everything.next("feed")
        assert len(single.next()["data"]) == 1
        wait_live(private_redis, everything)
        for _ in range(2):
            publish(private_redis, [live_order(waiting, None)])
        publish(private_redis, store(waiting, later))
        frames = orders_of_symbol(everything, 3)
        assert [frame["data"]["quantity"] for frame in frames] == ["2", "2", "3"]
        assert [frame["sequence"] is None for frame in frames] == [True, False, False]
        assert frames[2]["previous"] == frames[1]["sequence"]
        assert [frame["data"]["quantity"] for frame in single.orders(2)] == ["2", "3"]


def test_while_redis_is_away_orders_come_from_the_outbox_and_afterwards_live_again(
    server: LiveServer, private_redis: PrivateRedis
) -> None:
    with client(server, "/liquidations") as everything, client(server, f"/liquidations/{SYMBOL}") as single:
        everything.next("feed")
        single.next()
        wait_live(private_redis, everything)
        private_redis.kill()
        numbers = [order.sequence for n in range(5) for order in store(liquidation(quantity=f"2.{n + 1}"))]
        assert [frame["sequence"] for frame in orders_of_symbol(everything, 5)] == numbers
        assert [frame["sequence"] for frame in single.orders(5)] == numbers
        private_redis.start()
        wait_live(private_redis, everything)
        published = store(liquidation(quantity="3"))
        publish(private_redis, published)
        for socket in (everything, single):
            [frame] = orders_of_symbol(socket, 1)
            assert (frame["sequence"], frame["previous"]) == (published[0].sequence, numbers[-1])
