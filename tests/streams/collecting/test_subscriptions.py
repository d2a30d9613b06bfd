"""Which connection carries which stream; that they are really subscribed, `test_market` sees at the exchange."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marketdata.venues.binance.routes import Route, route_of
from streams.collecting import subscriptions
from streams.collecting.subscriptions import Subscriptions
from tests.backend import sqlite_only

pytestmark = sqlite_only("subscriptions use no database")

MOST = 3
STREAMS = [f"{symbol}usdt@{kind}" for symbol in "abcdefg" for kind in ("depth@100ms", "aggTrade")]


class Line:
    """What a follower is to its owner, without a connection."""

    connections = failures = 0
    fault: str | None = None

    def __init__(self, streams: Sequence[str], changed: Callable[[], None]) -> None:
        self.streams, self.changed = tuple(streams), changed
        self.received: set[str] = set()
        self.is_running = False

    async def run(self) -> None:
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False

    def follow(self, streams: Sequence[str]) -> None:
        self.streams = tuple(streams)

    def become(self, received: Sequence[str], fault: str | None = None) -> None:
        self.received, self.fault = set(received), fault
        self.changed()


class Owner:
    """Subscriptions, and what they have told."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.told: list[Any] = []
        self.subscriptions = Subscriptions(
            self.open,
            lambda streams: self.told.append(("gained", set(streams))),
            lambda streams, reason: self.told.append(("lost", set(streams), reason)),
        )

    def open(self, route: Route, streams: Sequence[str], changed: Callable[[], None]) -> Any:
        self.lines.append(Line(streams, changed))
        return self.lines[-1]


@given(st.lists(st.sets(st.sampled_from(STREAMS)), max_size=8))
def test_every_stream_is_on_one_connection_of_its_route_and_none_is_left_empty(wishes: list[set[str]]) -> None:
    async def scenario() -> None:
        owner = Owner()
        for wish in wishes:
            owner.subscriptions.want(wish)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running = [line for line in owner.lines if line.is_running]
            carried = [stream for line in running for stream in line.streams]
            assert sorted(carried) == sorted(wish)
            assert all(0 < len(line.streams) <= MOST for line in running)
            assert all(len({route_of(stream) for stream in line.streams}) == 1 for line in running)
        await owner.subscriptions.close()
        assert not any(line.is_running for line in owner.lines)

    most, subscriptions.MAX_STREAMS = subscriptions.MAX_STREAMS, MOST
    try:
        asyncio.run(scenario())
    finally:
        subscriptions.MAX_STREAMS = most


def test_the_owner_is_told_once_of_what_begins_and_what_is_lost_with_the_reason() -> None:
    async def scenario() -> None:
        owner = Owner()
        owner.subscriptions.want({"ausdt@aggTrade", "busdt@aggTrade"})
        (line,) = owner.lines
        line.become([])
        line.become(["ausdt@aggTrade"])
        line.become(["ausdt@aggTrade", "busdt@aggTrade"])
        assert owner.subscriptions.received_count == 2
        line.become([], "the connection was cut")
        assert owner.told == [
            ("gained", {"ausdt@aggTrade"}),
            ("gained", {"busdt@aggTrade"}),
            ("lost", {"ausdt@aggTrade", "busdt@aggTrade"}, "the connection was cut"),
        ]
        await owner.subscriptions.close()

    asyncio.run(scenario())


def test_what_is_not_wanted_any_more_is_not_lost_and_begins_again_when_it_is_wanted_again() -> None:
    async def scenario() -> None:
        owner = Owner()
        both = {"ausdt@aggTrade", "busdt@aggTrade"}
        owner.subscriptions.want(both)
        (line,) = owner.lines
        line.become(list(both))
        owner.subscriptions.want({"busdt@aggTrade"})
        line.become(["busdt@aggTrade"])
        owner.subscriptions.want(both)
        line.become(list(both))
        assert owner.told == [("gained", both), ("gained", {"ausdt@aggTrade"})]
        # Counts outlive a connection.
        line.connections, line.failures = 2, 1
        owner.subscriptions.want(set())
        assert (owner.subscriptions.connections, owner.subscriptions.failures) == (2, 1)
        await owner.subscriptions.close()

    asyncio.run(scenario())
