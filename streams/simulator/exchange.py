"""The exchange: who is connected, who follows which stream, what was sent, and how it misbehaves at the moment."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import msgspec
from websockets.frames import Frame, Opcode

from streams.simulator.connection import Connection, ConnectionRecord, unix_ms
from streams.simulator.contracts import Contract
from streams.simulator.kinds import Event, Route, route_of
from streams.simulator.player import AS_FAST_AS_READ, Clock
from streams.simulator.rules import Limits, RequestWeights
from streams.simulator.sent import SentLog

MAX_RECORDS = 10_000  # of connections, open and closed
PATIENT_BACKLOG = 64 << 20  # bytes that a client may be behind before it is dropped
EAGER_BACKLOG = 256 << 10  # bytes written ahead when the readers set the speed


@dataclass
class Fault:
    """An HTTP status that is answered until a moment (monotonic seconds)."""

    status: int = 0
    until_s: float = 0.0

    def set(self, status: int, seconds: float) -> None:
        self.status, self.until_s = status, time.monotonic() + seconds

    @property
    def current(self) -> int | None:
        return self.status if time.monotonic() < self.until_s else None

    @property
    def seconds_left(self) -> float:
        return max(self.until_s - time.monotonic(), 0.0)


class Frames:
    """One payload as the messages of a raw and of a combined connection, each made when first needed."""

    def __init__(self, stream: str, data: bytes) -> None:
        self.stream, self.data = stream, data

    @cached_property
    def raw(self) -> bytes:
        return text_frame(self.data)

    @cached_property
    def combined(self) -> bytes:
        return text_frame(b'{"stream":"%b","data":%b}' % (self.stream.encode(), self.data))


def text_frame(data: bytes) -> bytes:
    """A WebSocket frame as any client without extensions takes it: the same bytes for all."""
    return Frame(Opcode.TEXT, data).serialize(mask=False)


@dataclass
class Exchange:
    """``serves_unrouted``: streams are also sent to connections at the addresses of before 2026."""

    contracts: Sequence[Contract]
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    serves_unrouted: bool = False

    def __post_init__(self) -> None:
        self.weights = RequestWeights(self.limits.weight_per_minute, self.limits.refusals_before_ban)
        self.sent = SentLog()
        self.connections: dict[int, Connection] = {}
        self.records: dict[int, ConnectionRecord] = {}
        self.followers: dict[str, dict[Connection, None]] = {}
        self.is_followed = asyncio.Event()
        self.ids = count(1)
        self.events = self.frames = 0
        self.rest_fault, self.handshake_fault = Fault(), Fault()

    @property
    def waits_for_readers(self) -> bool:
        return self.clock.speed == AS_FAST_AS_READ

    @property
    def backlog_bytes(self) -> int:
        return EAGER_BACKLOG if self.waits_for_readers else PATIENT_BACKLOG

    def publish(self, event: Event) -> None:
        """Send an event to all who follow one of its streams, and remember forced orders."""
        self.events += 1
        data = None
        reached: list[int] = []
        for stream in event.streams:
            if followers := self.followers.get(stream):
                data = data or msgspec.json.encode(event.payload)
                reached += self.send(Frames(stream, data), followers)
        if event.order is not None and reached:
            # A connection may follow both streams of an order.
            self.sent.add(event.order, unix_ms(), tuple(dict.fromkeys(reached)))

    def send(self, frames: Frames, followers: dict[Connection, None]) -> list[int]:
        """The ids of the connections that it was written to."""
        reached = [
            connection.id
            for connection in followers
            if connection.send(frames.combined if connection.is_combined else frames.raw)
        ]
        self.frames += len(reached)
        return reached

    def opened(self, connection: Connection) -> None:
        self.connections[connection.id] = connection
        self.records[connection.id] = connection.record
        if len(self.records) > max(MAX_RECORDS, len(self.connections)):
            oldest_closed = next(id for id in self.records if id not in self.connections)
            del self.records[oldest_closed]

    def closed(self, connection: Connection) -> None:
        self.connections.pop(connection.id, None)

    def follow(self, connection: Connection, stream: str) -> None:
        """What goes by another route can be subscribed to, and stays silent: so does Binance."""
        if self.carries(connection.route, stream):
            self.followers.setdefault(stream, {})[connection] = None
            self.is_followed.set()

    def unfollow(self, connection: Connection, stream: str) -> None:
        followers = self.followers.get(stream, {})
        followers.pop(connection, None)
        if not followers and self.followers.pop(stream, None) is not None and not self.followers:
            self.is_followed.clear()

    def carries(self, route: Route | None, stream: str) -> bool:
        return route == route_of(stream) or (route is None and self.serves_unrouted)

    async def readers(self) -> None:
        """Returns when more can be sent; only where the readers set the speed is there anything to wait for."""
        if not self.waits_for_readers:
            return
        await self.is_followed.wait()
        for connection in list(self.connections.values()):
            await connection.writable.wait()
