"""The exchange: who is connected, who follows which stream, what was sent, and how it misbehaves at the moment."""

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec

from streams.simulator.broadcast import BEAT_MS, Broadcast
from streams.simulator.connection import Connection, ConnectionRecord, unix_ms
from streams.simulator.contracts import Contract
from streams.simulator.kinds import NOTHING, Event, Route, route_of
from streams.simulator.listing import Listing
from streams.simulator.player import AS_FAST_AS_READ, Clock
from streams.simulator.rules import Limits, RequestWeights
from streams.simulator.sent import SentLog

MAX_RECORDS = 10_000  # of connections, open and closed
NEVER_MS = 1 << 62
PATIENT_BACKLOG = 64 << 20  # bytes that a client may be behind before it is dropped
FINAL_TEXT = 0x81  # the first byte of a frame
SHORT_HEAD, MEDIUM_HEAD, LONG_HEAD = struct.Struct(">BB"), struct.Struct(">BBH"), struct.Struct(">BBQ")
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

    __slots__ = ("data", "made", "stream")

    def __init__(self, stream: str, data: bytes) -> None:
        self.stream, self.data = stream, data
        self.made: dict[bool, bytes] = {}

    def of(self, connection: Connection) -> bytes:
        """The one for this connection."""
        is_combined = connection.is_combined
        frame = self.made.get(is_combined)
        if frame is None:
            data = b'{"stream":"%b","data":%b}' % (self.stream.encode(), self.data) if is_combined else self.data
            frame = self.made[is_combined] = text_frame(data)
        return frame


def text_frame(data: bytes) -> bytes:
    """A WebSocket frame as any client without extensions takes it: the same bytes for all (RFC 6455, 5.2)."""
    size = len(data)
    if size < 126:
        return SHORT_HEAD.pack(FINAL_TEXT, size) + data
    if size < 1 << 16:
        return MEDIUM_HEAD.pack(FINAL_TEXT, 126, size) + data
    return LONG_HEAD.pack(FINAL_TEXT, 127, size) + data


@dataclass
class Exchange:
    """``serves_unrouted``: streams are also sent to connections at the addresses of before 2026.

    Without ``listings``, as in a replay, it has nothing but the events that it is given.
    """

    contracts: Sequence[Contract]
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    serves_unrouted: bool = False
    listings: Sequence[Listing] = ()

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
        self.path_faults: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()  # of REST, by path
        self.upcoming_ms: int | None = None  # when the event happens that is waited for
        # Who reads as fast as he can waits for nothing: for him the market is enough.
        enlivens = not self.waits_for_readers
        self.broadcast = Broadcast(self.listings, self.publish, self.now_ms, enlivens)

    def now_ms(self) -> int:
        """The exchange's time. It never runs ahead of the events, so that all before it has happened."""
        now_ms = self.clock.now_ms()
        return now_ms if self.upcoming_ms is None else min(now_ms, self.upcoming_ms)

    def happening(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events, each noted when it is the next, and beats between them where there is a market."""
        beat_ms = self.clock.now_ms() // BEAT_MS * BEAT_MS + BEAT_MS if self.listings else NEVER_MS
        for event in events:
            while beat_ms <= event.at_ms:
                self.upcoming_ms = beat_ms
                yield Event(beat_ms, (), NOTHING)
                beat_ms += BEAT_MS
            self.upcoming_ms = event.at_ms
            yield event
        self.upcoming_ms = None

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
        reached = [connection.id for connection in followers if connection.send(frames.of(connection))]
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
            is_first = stream not in self.followers
            self.followers.setdefault(stream, {})[connection] = None
            self.is_followed.set()
            if is_first:
                self.broadcast.followed(stream)

    def unfollow(self, connection: Connection, stream: str) -> None:
        followers = self.followers.get(stream, {})
        followers.pop(connection, None)
        if not followers and self.followers.pop(stream, None) is not None:
            self.broadcast.unfollowed(stream)
            if not self.followers:
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
