"""One connection to the venue, from the handshake to its end."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketdata.errors import LiquiError, VenueUnavailable
from marketdata.venues.binance import SIMULATED_HEADER, VENUE
from marketdata.venues.binance.refusals import connection_fault
from streams.collecting.coverage import Span
from streams.collecting.liveness import Liveness
from streams.collecting.times import Times

MAX_FRAME_BYTES = 1 << 20
CLOSE_S = 1.0  # for the venue's side of a close

# Given the frame and when it came (ms UTC); whether it was good: data of the stream that could be understood.
OnFrame = Callable[[bytes, int], bool]


class Session:
    """``span`` is the time that it covers in the gap ledger; ``is_retired``: another one has taken over."""

    def __init__(self, socket: ClientConnection, host: str, times: Times) -> None:
        self.socket, self.host, self.times = socket, host, times
        self.liveness = Liveness(times, clock_ms())
        self.given_up: LiquiError | None = None
        self.is_retired = False
        self.span: Span

    @classmethod
    async def open(cls, url: str, times: Times) -> Self:
        """Raises what `connection_fault` puts into words."""
        # No compression: it costs more processor time than the venue's small frames are worth. Pings are our own: the
        # ledger wants to know of each pong.
        socket = await connect(
            url,
            compression=None,
            open_timeout=times.open_s,
            close_timeout=CLOSE_S,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
        )
        return cls(socket, urlsplit(url).netloc, times)

    @property
    def is_simulated(self) -> bool:
        return self.socket.response is not None and SIMULATED_HEADER in self.socket.response.headers

    async def run(self, on_frame: OnFrame) -> LiquiError:
        """Receive to the end; what ended it."""
        watching = asyncio.create_task(self.watch())
        try:
            while True:
                frame, now_ms = await self.socket.recv(decode=False), clock_ms()
                is_good = on_frame(frame, now_ms)
                (self.liveness.data if is_good else self.liveness.pong)(now_ms)
        except ConnectionClosed as error:
            return self.given_up or connection_fault(error, self.host)
        finally:
            watching.cancel()
            self.socket.transport.abort()

    async def watch(self) -> None:
        """Ping, and give the connection up when it shows no life or no data."""
        with suppress(ConnectionClosed):
            while (fault := self.liveness.fault(clock_ms())) is None:
                asyncio.ensure_future(await self.socket.ping()).add_done_callback(self.pong)
                await asyncio.sleep(self.times.ping_s)
            self.given_up = VenueUnavailable(f"{VENUE}: {self.host}: {fault}")
            self.socket.transport.abort()

    def pong(self, future: asyncio.Future[float]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.liveness.pong(clock_ms())

    async def close(self) -> None:
        await self.socket.close()


def clock_ms() -> int:
    return time.time_ns() // 1_000_000
