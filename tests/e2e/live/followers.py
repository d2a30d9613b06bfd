"""Socket clients that keep the resume rule, in an event loop of their own beside the test."""

import asyncio
import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.e2e.live.exchange import Order, order_of

PATH = "/api/v1/ws/liquidations"
PAUSE_SECONDS = 0.2  # before the next attempt
STAY_SECONDS = (1.0, 8.0)  # after which a client leaves by itself, without a close


class Follower:
    """Follows all symbols at one server after the other, each time from the last number that it has seen.

    ``faults`` are breaches of what the server promises: a number twice, or one that does not follow the last.
    """

    def __init__(self, roots: Sequence[str], number: int) -> None:
        self.roots, self.random, self.turn = roots, random.Random(number), number
        self.last = 0
        self.orders: list[Order] = []
        self.unnumbered: list[Order] = []
        self.faults: list[str] = []
        self.connections = 0

    async def follow(self) -> None:
        while True:
            root = self.roots[self.turn % len(self.roots)]
            self.turn += 1
            try:
                async with asyncio.timeout(10):
                    client = await connect(f"{root}{PATH}?since={self.last}", compression=None, close_timeout=0.2)
                self.connections += 1
                try:
                    async with asyncio.timeout(self.random.uniform(*STAY_SECONDS)):
                        await self.read(client)
                finally:
                    client.transport.abort()
            except (OSError, TimeoutError, WebSocketException):
                await asyncio.sleep(PAUSE_SECONDS)

    async def read(self, client: ClientConnection) -> None:
        async for text in client:
            message = json.loads(text)
            if message["type"] == "liquidation_order":
                self.take(message)
            elif message["type"] == "feed" and not message["complete"]:
                self.faults.append(message["message"])

    def take(self, message: dict[str, Any]) -> None:
        data, sequence = message["data"], message["sequence"]
        order = order_of(data["symbol"], data["side"], data["timestamp"], data["quantity"], data["avgPrice"])
        if sequence is None:
            self.unnumbered.append(order)
            return
        if sequence <= self.last:
            self.faults.append(f"{sequence} after {self.last}")
        elif message["previous"] != self.last:
            self.faults.append(f"{sequence} follows {message['previous']}, not {self.last}")
        self.last = max(self.last, sequence)
        self.orders.append(order)


@contextmanager
def following(ports: Sequence[int], count: int) -> Iterator[list[Follower]]:
    """So many clients, at all servers, until the block ends."""
    roots = [f"ws://127.0.0.1:{port}" for port in ports]
    followers = [Follower(roots, number) for number in range(count)]
    is_over = threading.Event()

    async def follow_until_over() -> None:
        tasks = [asyncio.create_task(follower.follow()) for follower in followers]
        while not is_over.is_set():
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=[follow_until_over()], daemon=True)
    thread.start()
    try:
        yield followers
    finally:
        is_over.set()
        thread.join()


async def storm(port: int, clients: int, rounds: int) -> int:
    """Clients that connect, and break off at once without a close, again and again; how many were let in."""

    async def come_and_go() -> int:
        admitted = 0
        for _ in range(rounds):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(HANDSHAKE.format(port=port, path=f"{PATH}?since=0").encode())
                answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                admitted += answer.startswith(b"HTTP/1.1 101")
                writer.transport.abort()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(PAUSE_SECONDS)
        return admitted

    return sum(await asyncio.gather(*(come_and_go() for _ in range(clients))))


HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
