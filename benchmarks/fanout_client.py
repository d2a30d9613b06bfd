"""Many sockets in one process that note when each frame came: `python -m benchmarks.fanout_client ADDRESS COUNT FILE`.

Every socket gets the same frames, so a frame is only told from others by its bytes, and understood afterwards. Prints
"ready" once all are connected; at the end of standard input it writes what came to FILE, and how many are still there.
"""

import asyncio
import sys
import time
from array import array
from collections import defaultdict
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

AT_ONCE = 50  # handshakes under way
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, PING = 1, 9
LENGTH_BYTES = {126: 2, 127: 8}

Arrivals = dict[bytes, "array[float]"]  # of each frame: Unix times in seconds


class Socket(asyncio.Protocol):
    """One client. It reads, answers pings, and does nothing else."""

    def __init__(self, handshake: bytes, arrivals: Arrivals) -> None:
        self.handshake, self.arrivals = handshake, arrivals
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rest = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before the handshake"))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        data = self.rest + data if self.rest else data
        if not self.is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self.rest = head
                return
            self.open(head)
        self.rest = self.frames(data, now)

    def open(self, head: bytes) -> None:
        if head.startswith(b"HTTP/1.1 101"):
            self.is_open = True
            self.opened.set_result(None)
        elif not self.opened.done():
            self.opened.set_exception(ConnectionError(head.decode(errors="replace")))

    def frames(self, data: bytes, now: float) -> bytes:
        """Notes the whole frames of ``data``; what is left of it."""
        at, end = 0, len(data)
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if wide := LENGTH_BYTES.get(length):
                length, start = int.from_bytes(data[start : start + wide]), start + wide
            if start + length > end:
                break
            if data[at] & 15 == TEXT:
                self.arrivals[data[start : start + length]].append(now)
            elif data[at] & 15 == PING:
                # A mask of zeros: the payload is as it was.
                self.transport.write(bytes((0x8A, 0x80 | length, 0, 0, 0, 0)) + data[start : start + length])
            at = start + length
        return data[at:]


async def connect(address: str, count: int, arrivals: Arrivals) -> list[Socket]:
    parts = urlsplit(address)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    handshake = HANDSHAKE.format(path=path, host=parts.netloc).encode()
    loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def one() -> Socket:
        async with turns:
            _, client = await loop.create_connection(
                lambda: Socket(handshake, arrivals), parts.hostname or "127.0.0.1", parts.port
            )
            await asyncio.wait_for(client.opened, 60)
            return client

    return await asyncio.gather(*(one() for _ in range(count)))


async def main(address: str, count: str, file: str) -> None:
    arrivals: Arrivals = defaultdict(lambda: array("d"))
    clients = await connect(address, int(count), arrivals)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    Path(file).write_bytes(msgspec.msgpack.encode([(frame, times.tobytes()) for frame, times in arrivals.items()]))
    print(sum(client.is_open for client in clients), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
