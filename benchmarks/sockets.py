"""Clients' sockets that read and understand nothing, so that hundreds of them take little of the machine."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast
from urllib.parse import urlsplit

AT_ONCE = 50  # handshakes under way
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, PING = 1, 9
LENGTH_BYTES = {126: 2, 127: 8}


class Socket(asyncio.Protocol):
    """One client. It reads, answers pings, and does nothing else; `take` notes what came."""

    def __init__(self, handshake: bytes) -> None:
        self.handshake = handshake
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rest = b""
        self.is_open = False

    def take(self, frame: bytes, now_s: float) -> None:
        """The payload of a text frame, and when it was read (Unix time)."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before the handshake"))

    def data_received(self, data: bytes) -> None:
        now_s = time.time()
        data = self.rest + data if self.rest else data
        if not self.is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self.rest = head
                return
            self.open(head)
        self.rest = self.frames(data, now_s)

    def open(self, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 101"):
            self.is_open = True
            self.opened.set_result(None)
        elif not self.opened.done():
            self.opened.set_exception(ConnectionError(head.decode(errors="replace")))

    def frames(self, data: bytes, now_s: float) -> bytes:
        """Takes the whole frames of ``data``; what is left of it."""
        at, end = 0, len(data)
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if wide := LENGTH_BYTES.get(length):
                length, start = int.from_bytes(data[start : start + wide]), start + wide
            if start + length > end:
                break
            if data[at] & 15 == TEXT:
                self.take(data[start : start + length], now_s)
            elif data[at] & 15 == PING:
                # A mask of zeros: the payload is as it was.
                self.transport.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + data[start : start + length])
            at = start + length
        return data[at:]


S = TypeVar("S", bound=Socket)


async def connect(addresses: Sequence[str], make: Callable[[bytes], S]) -> list[S]:
    """A socket for each address, made from its handshake; returns when all are let in. Raises `OSError`."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> S:
        parts = urlsplit(address)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        handshake = HANDSHAKE.format(path=path, host=parts.netloc).encode()
        async with turns:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: make(handshake), parts.hostname or "127.0.0.1", parts.port or 80
            )
            await asyncio.wait_for(client.opened, 60)
            return client

    return await asyncio.gather(*map(one, addresses))
