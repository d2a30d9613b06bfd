"""One connection to the venue, from the handshake to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from marketdata.clock import clock_ms
from marketdata.errors import LiquiError, VenueUnavailable
from marketdata.venues.binance import SIMULATED_HEADER, VENUE
from marketdata.venues.binance.refusals import connection_fault
from marketdata.venues.binance.routes import COMMAND_INTERVAL_S, Method, commands
from marketdata.venues.binance.wire import CommandReply, reply_of
from streams.collecting.coverage import Span
from streams.collecting.liveness import Liveness
from streams.collecting.pace import Pace
from streams.collecting.times import Times

MAX_FRAME_BYTES = 1 << 20
CLOSE_S = 1.0  # for the venue's side of a close

# Given the frame and when it came (ms UTC); whether it was good: data of the stream that could be understood.
OnFrame = Callable[[bytes, int], bool]


class Session:
    """``subscribed``: the streams that the venue has confirmed, in their order. Whoever keeps it says of it whether it
    ``is_confirmed``, having had all that was wanted, and ``is_retired``, another one having taken over; ``spans`` are
    the times that it covers in the gap ledger.
    """

    def __init__(self, socket: ClientConnection, host: str, times: Times) -> None:
        self.socket, self.host, self.times = socket, host, times
        self.liveness = Liveness(times, clock_ms())
        self.given_up: LiquiError | None = None
        self.is_confirmed = self.is_retired = False
        self.spans: list[Span] = []
        self.wanted: dict[str, None] = {}
        self.subscribed: dict[str, None] = {}
        self.changed = asyncio.Event()
        # The venue's pings are answered at once, by the library: our own frames leave room for that.
        self.pace, self.turn = Pace(COMMAND_INTERVAL_S), asyncio.Lock()
        self.ids = count(1)
        self.answers: dict[int | str | None, asyncio.Future[CommandReply]] = {}

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

    async def run(self, on_frame: OnFrame, streams: Sequence[str], on_confirmed: Callable[[], None]) -> LiquiError:
        """Subscribe to the streams and receive to the end; what ended it.

        ``on_confirmed`` is called once the venue has confirmed all that is wanted, and again after each change of that.
        Frames that come before are given to ``on_frame`` as well.
        """
        self.want(streams)
        # Subscribed first: each frame makes the next one wait.
        others = [asyncio.create_task(work) for work in (self.keep_subscribed(on_confirmed), self.watch())]
        try:
            while True:
                frame, now_ms = await self.socket.recv(decode=False), clock_ms()
                is_good = not self.is_answer(frame) and on_frame(frame, now_ms)
                (self.liveness.data if is_good else self.liveness.pong)(now_ms)
        except ConnectionClosed as error:
            return self.given_up or connection_fault(error, self.host)
        finally:
            for task in others:
                task.cancel()
            self.socket.transport.abort()

    def want(self, streams: Iterable[str]) -> None:
        """Have these streams, and no others, from now on."""
        self.wanted = dict.fromkeys(streams)
        self.changed.set()

    async def keep_subscribed(self, on_confirmed: Callable[[], None]) -> None:
        with suppress(ConnectionClosed):
            try:
                while True:
                    self.changed.clear()
                    await self.adapt()
                    on_confirmed()
                    await self.changed.wait()
            except LiquiError as fault:
                self.give_up(fault)

    async def adapt(self) -> None:
        """Raises as `subscribe` does."""
        await self.subscribe([stream for stream in self.wanted if stream not in self.subscribed])
        await self.unsubscribe([stream for stream in self.subscribed if stream not in self.wanted])

    async def subscribe(self, streams: Sequence[str]) -> None:
        """Returns once the venue has confirmed all of them.

        Raises `VenueUnavailable` when it refuses or does not answer in time, and ConnectionClosed.
        """
        await self.command("SUBSCRIBE", streams)
        self.subscribed |= dict.fromkeys(streams)

    async def unsubscribe(self, streams: Sequence[str]) -> None:
        """As `subscribe`; what is on its way still comes."""
        await self.command("UNSUBSCRIBE", streams)
        for stream in streams:
            self.subscribed.pop(stream, None)

    async def command(self, method: Method, streams: Sequence[str]) -> None:
        for id, frame in commands(method, streams, self.ids):
            answer = self.answers[id] = asyncio.get_running_loop().create_future()
            try:
                async with self.paced():
                    await self.socket.send(frame)
                async with asyncio.timeout(self.times.answer_s):
                    reply = await answer
            except TimeoutError:
                silence = f"no answer to {method} within {self.times.answer_s:g} s"
                raise VenueUnavailable(f"{VENUE}: {self.host}: {silence}") from None
            finally:
                del self.answers[id]
            if reply.error is not None:
                raise VenueUnavailable(f"{VENUE}: {self.host} refused {method}: {reply.error}")

    def is_answer(self, frame: bytes) -> bool:
        """Whether the frame was the answer to a command of ours, and has been given to whoever waits for it."""
        # Nearly always nobody waits, and no frame is decoded twice.
        reply = reply_of(frame) if self.answers else None
        answer = self.answers.get(reply.id) if reply is not None else None
        if reply is None or answer is None or answer.done():
            return False
        answer.set_result(reply)
        return True

    @asynccontextmanager
    async def paced(self) -> AsyncIterator[None]:
        """A moment in which the venue takes a frame of ours."""
        async with self.turn:
            await asyncio.sleep(self.pace.wait_s(time.monotonic()))
            self.pace.sent(time.monotonic())
            yield

    async def watch(self) -> None:
        """Ping, and give the connection up when it shows no life or no data."""
        with suppress(ConnectionClosed):
            while (fault := self.liveness.fault(clock_ms())) is None:
                async with self.paced():
                    asyncio.ensure_future(await self.socket.ping()).add_done_callback(self.pong)
                await asyncio.sleep(self.times.ping_s)
            self.give_up(VenueUnavailable(f"{VENUE}: {self.host}: {fault}"))

    def give_up(self, fault: LiquiError) -> None:
        self.given_up = fault
        self.socket.transport.abort()

    def pong(self, future: asyncio.Future[float]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.liveness.pong(clock_ms())

    async def close(self) -> None:
        await self.socket.close()
