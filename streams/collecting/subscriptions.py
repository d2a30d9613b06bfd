"""Which connections carry the streams that are wanted: opened when one is needed, closed when nothing is left on it."""

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import structlog

from marketdata.venues.binance.routes import MAX_STREAMS, Route, route_of
from streams.collecting.chores import chore
from streams.collecting.follower import Follower

logger = structlog.get_logger(__name__)

# Makes the follower of streams of a route; it is to call the function when what it receives may have changed.
Open = Callable[[Route, Sequence[str], Callable[[], None]], Follower]


@dataclass(slots=True)
class Line:
    """A connection, with whatever replaces it. ``received`` is what its owner was told last."""

    route: Route
    streams: set[str]
    follower: Follower
    task: asyncio.Task[None]
    received: frozenset[str] = frozenset()


class Subscriptions:
    """``gained`` and ``lost`` are called with the streams that are received from now on, or not any more; ``lost`` also
    with the reason. What is not wanted any more is not lost.
    """

    def __init__(self, open: Open, gained: Callable[[Set[str]], None], lost: Callable[[Set[str], str], None]) -> None:
        self.open, self.gained, self.lost = open, gained, lost
        self.lines: list[Line] = []
        self.closing: set[asyncio.Task[None]] = set()
        self.closed_connections = self.closed_failures = 0

    @property
    def wanted(self) -> set[str]:
        return {stream for line in self.lines for stream in line.streams}

    @property
    def received_count(self) -> int:
        return sum(len(line.received) for line in self.lines)

    @property
    def connections(self) -> int:
        """Made since the start."""
        return self.closed_connections + sum(line.follower.connections for line in self.lines)

    @property
    def failures(self) -> int:
        return self.closed_failures + sum(line.follower.failures for line in self.lines)

    def fault_of(self, stream: str) -> str | None:
        """Why the stream is not received, where that is known."""
        return next((line.follower.fault for line in self.lines if stream in line.streams), None)

    def want(self, streams: Set[str]) -> None:
        """Have these and no others; commands and connections follow in their time."""
        before = self.wanted
        if streams == before:
            return
        for line in self.lines:
            line.streams &= streams
        for stream in sorted(streams - before):
            self.place(stream)
        for line in self.lines:
            if line.streams:
                self.tell(line)
            else:
                self.close_line(line)
        self.lines = [line for line in self.lines if line.streams]
        logger.info(
            "subscriptions follow demand", added=len(streams - before), left=len(before - streams), streams=len(streams)
        )

    def place(self, stream: str) -> None:
        route = route_of(stream)
        for line in self.lines:
            if line.route == route and len(line.streams) < MAX_STREAMS:
                line.streams.add(stream)
                return
        self.lines.append(self.open_line(route, stream))

    def open_line(self, route: Route, stream: str) -> Line:
        def changed() -> None:
            self.changed(line)

        follower = self.open(route, [stream], changed)
        line = Line(route, {stream}, follower, chore(follower.run()))
        return line

    def tell(self, line: Line) -> None:
        if line.streams != set(line.follower.streams):
            kept = [stream for stream in line.follower.streams if stream in line.streams]
            line.follower.follow([*kept, *sorted(line.streams - set(kept))])
        # What is left has been lost by nobody.
        line.received &= line.streams

    def changed(self, line: Line) -> None:
        """A connection has begun, changed or ended."""
        received = frozenset(line.follower.received & line.streams)
        before, line.received = line.received, received
        if gone := (before & line.streams) - received:
            self.lost(gone, line.follower.fault or "the connection to the venue was lost")
        if come := received - before:
            self.gained(come)

    def renew(self, stream: str) -> None:
        """Have another connection take over from the one that carries this stream."""
        for line in self.lines:
            if stream in line.streams:
                line.follower.reconnect()

    def renew_silent(self, silence_s: float, now_ms: int) -> None:
        """As `renew`, for all lines on which nothing has come for so long."""
        for line in self.lines:
            line.follower.renew_if_silent(silence_s, now_ms)

    def reconnect(self) -> None:
        for line in self.lines:
            line.follower.reconnect()

    def retry_now(self) -> None:
        for line in self.lines:
            line.follower.retry_now()

    def close_line(self, line: Line) -> None:
        self.closed_connections += line.follower.connections
        self.closed_failures += line.follower.failures
        line.streams = set()
        line.task.cancel()
        self.closing.add(line.task)
        line.task.add_done_callback(self.closing.discard)

    async def close(self) -> None:
        for line in self.lines:
            self.close_line(line)
        self.lines = []
        await asyncio.gather(*self.closing, return_exceptions=True)
